"""`publish` releases nothing whose proofs another contract than the deployed one accepted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provenance.errors import Conflict
from provenance.ids import Address
from provenance.layout import RunFolder
from provenance.log.record import Record
from provenance_cli.jobs import publish
from tests.support.core.log_maker import LogMaker, derived, trained

OLD, NEW = Address("0x" + "11" * 20), Address("0x" + "22" * 20)


def proven_on_old() -> list[Record]:
    log = trained(LogMaker())
    log.prove(0, ledger=OLD)
    derived(log)
    log.sample("merge", ledger=OLD)
    log.sample("quantize", ledger=OLD)
    return log.records


class Deployed:
    """A run that was proven on OLD, and the contracts that are deployed now."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, prove: bool) -> None:
        self.contracts = SimpleNamespace(ledger=OLD, models=OLD)
        patch.setattr(publish, "read_records", lambda _: proven_on_old())
        patch.setattr(publish, "run_id_of", lambda _: bytes(32))
        patch.setattr(publish, "load_trust", lambda _: None)
        patch.setattr(publish, "load_deployment", lambda _: self.contracts)
        patch.setattr(RunFolder, "require", lambda run: run)
        workshop: Any = SimpleNamespace(settings=SimpleNamespace(trust=None))
        request = publish.PublishRequest(folder, None, prove=prove)
        self.job = publish.PublishJob(request, workshop)


@pytest.mark.parametrize("prove", [True, False])
def test_proofs_on_the_deployed_contracts_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prove: bool
) -> None:
    at = Deployed(tmp_path, monkeypatch, prove)
    at.job.check(spend=False)
    assert at.job._is_proven()


def test_weights_that_were_proven_elsewhere_are_proven_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Deployed(tmp_path, monkeypatch, prove=True)
    at.contracts.models = NEW
    assert not at.job._is_proven()


def test_without_proving_them_again_nothing_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Deployed(tmp_path, monkeypatch, prove=False)
    at.contracts.models = NEW
    with pytest.raises(Conflict, match="weights are proven on another contract"):
        at.job.check(spend=False)


@pytest.mark.parametrize("prove", [True, False])
def test_epochs_that_were_proven_elsewhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prove: bool
) -> None:
    at = Deployed(tmp_path, monkeypatch, prove)
    at.contracts.ledger = NEW
    with pytest.raises(Conflict, match="epoch is proven on another contract"):
        at.job.check(spend=False)
