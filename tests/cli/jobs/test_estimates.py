"""The estimates know every kind of proof that they may be asked about."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import pytest

from provenance.statements import kinds_of
from provenance_cli.jobs import estimates
from provenance_trainer.run.plan import Plan
from tests.support.places import REPO


def test_every_kind_of_proof_about_weights_has_gas_and_seconds() -> None:
    kinds = set(kinds_of("ModelLedger"))
    assert set(estimates.SAMPLE_GAS) == kinds
    assert set(estimates.SAMPLE_PROOF_S) == kinds


def test_weights_are_estimated_for_every_kind() -> None:
    for kind in kinds_of("ModelLedger"):
        made = estimates.weights([(kind, 4)], tensors=3, draws=12)
        assert made.transactions == 5  # anchoring, draw, one batch of 3 proofs, two heads
        assert made.gas > 3 * estimates.SAMPLE_GAS[kind]
        assert made.seconds == 3 * estimates.SAMPLE_PROOF_S[kind]


@pytest.mark.parametrize(("epochs", "name"), [(3, "3 epochs"), (16, "16 epochs")])
def test_epochs_at_once_cost_about_what_was_measured(epochs: int, name: str) -> None:
    """Plans promise gas; the snapshot is measured on every change of a contract."""
    measured = json.loads((REPO / "contracts" / ".gas-snapshot.json").read_text("utf-8"))
    gas = measured[f"anchorAndProve, {name} of one chunk, shared G"]
    plan = SimpleNamespace(chunks=1, epochs=epochs, proof_transactions={epochs: 1}, proving_s=1.0)
    made = estimates.epochs(cast(Plan, plan))
    assert made.transactions == 1
    assert 0.97 < made.gas / gas < 1.03
