"""The estimates know every kind of proof that they may be asked about."""

from __future__ import annotations

from provenance.statements import kinds_of
from provenance_cli.jobs import estimates


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
