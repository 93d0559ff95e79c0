"""Registering a dataset on a chain that lags: what was not shown is not stored as finished."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import UnavailableError
from provenance.ids import DatasetId, KeyId
from provenance_zk.prover.client import Commitments
from provenance_zk.training.registration import Keys, ProvingSite, find_registration, register
from tests.support.memory_chain import MemoryChain

LEDGER = "0x" + "11" * 20
KEY = KeyId(bytes(32))


class Dataset:
    """A committed dataset of three leaves."""

    root, leaves = DatasetRoot(7, 5, 3), bytes(96)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "private").mkdir(mode=0o700)

    def __len__(self) -> int:
        return self.root.count


class Lagging(MemoryChain):
    """Takes the registration, and then answers from a block before it."""

    def begin_dataset(self, *_: Any) -> DatasetId:
        return DatasetId(bytes(31) + b"\1")


class Prover:
    def commit_values(self, *_: Any) -> Commitments:
        return Commitments((bytes(64),), (bytes(64),), 16, KEY)


def test_a_registration_that_the_chain_does_not_show_is_not_stored(tmp_path: Path) -> None:
    key = SimpleNamespace(vk_id=KEY, slots=16, dir=tmp_path)
    site = ProvingSite(
        bytes(32),
        Keys(cast(Any, key), cast(Any, key)),
        cast(Any, Prover()),
        cast(Any, Lagging()),
        LEDGER,
    )
    with pytest.raises(UnavailableError, match="does not show the registration"):
        register(cast(Any, Dataset(tmp_path)), site)
    assert not list(tmp_path.rglob("registration.json"))
    assert find_registration(tmp_path, LEDGER) is None
