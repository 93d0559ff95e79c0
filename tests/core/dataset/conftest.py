"""Small committed datasets, built without the prover: leaves are made by an injected function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.writer import CommittedRecord, ManifestFacts, write_dataset
from provenance.digest import Digest
from provenance.encoding import dataset_record_bytes, dataset_record_digest

KEY = bytes(range(32))


def stand_in_leaves(digests: Sequence[Digest], salts: Sequence[bytes]) -> list[bytes]:
    """SHA-256 in the place of Poseidon, since the folder does not depend on how leaves are made."""
    return [
        hashlib.sha256(digest + salt).digest() for digest, salt in zip(digests, salts, strict=True)
    ]


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture
def leaf_function() -> Callable[[Sequence[Digest], Sequence[bytes]], list[bytes]]:
    return stand_in_leaves


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    def make(
        rows: Sequence[dict[str, object]], name: str = "data", text_column: str | None = "text"
    ) -> Path:
        found = []
        for i, row in enumerate(rows):
            canonical = dataset_record_bytes(row)
            found.append((dataset_record_digest(canonical), canonical, i))
        found.sort()
        records = []
        for i, (digest, canonical, row_number) in enumerate(found):
            salt = hashlib.sha256(b"salt%d" % i).digest()[:31]
            records.append(
                CommittedRecord(
                    digest, canonical, salt, stand_in_leaves([digest], [salt])[0], row_number
                )
            )
        facts = ManifestFacts(
            "test", "CC0-1.0", text_column, () if text_column else tuple(map(str, rows[0]))
        )
        write_dataset(tmp_path / name, DatasetRoot(7, 5, len(records)), facts, records, KEY)
        return tmp_path / name

    return make
