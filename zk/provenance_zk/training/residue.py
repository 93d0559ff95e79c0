"""Searches for what is left of erased records.

It looks for their salts, and for their text if the caller can still name it. Files are searched as
bytes, so free pages and write-ahead logs of a store are searched, too. Source files are also read
as records, since a compressed file hides its text. NOT promised: that the search finds text which
was split, re-encoded or tokenized.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.dataset.committed import SALT_KIND, CommittedDataset
from provenance.dataset.erasure import batches_with, source_files
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore
from provenance.encoding import dataset_record_bytes
from provenance.errors import ProvenanceError
from provenance.layout import RunFolder
from provenance_zk.training.sources import open_source

MIN_NEEDLE_BYTES = 8  # a shorter value is found everywhere
_BLOCK_BYTES = 4 << 20
_OTHER_PLACES = (
    "backups, snapshots, other machines",
    "weights of models, where training may have left traces of the text",
)


@dataclass
class Residue:
    """What a search found and where it looked; each sentence names a place.

    Finding nothing says nothing about the places that were not searched.
    """

    found: list[str] = field(default_factory=list)
    not_searched: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What the command prints for programs."""
        return {"found": self.found, "not_searched": self.not_searched}


def search(
    dataset: CommittedDataset,
    runs: Sequence[RunFolder],
    caches: Sequence[Path],
    salt_key: bytes,
    record: Mapping[str, Any] | None,
) -> Residue:
    """Search for salts of erased records, and for a record's text, in the files of these folders.

    Args:
        dataset: its folder and its source files are searched.
        runs: their folders are searched.
        caches: more folders to search.
        salt_key: 32 bytes that open the stores of salts.
        record: the row as it was; None if the caller cannot name it.
    """
    residue = Residue(found=[*_salts(dataset, runs, salt_key)])
    if record is None:
        residue.not_searched.append("the text itself: name the record with --file")
    else:
        _search_text(residue, dataset, runs, caches, record)
    if not runs:
        residue.not_searched.append("runs that used the dataset: name them with --run")
    residue.not_searched += _OTHER_PLACES
    return residue


def _salts(dataset: CommittedDataset, runs: Sequence[RunFolder], key: bytes) -> Iterator[str]:
    erased = dataset.erased()
    with SaltStore.open(dataset.folder / "private" / "salts.sqlite", key, create=False) as store:
        kept = set(store.ids(SALT_KIND))
    yield from (
        f"salt of erased record {index} in {dataset.folder}" for index in erased if index in kept
    )
    for run in runs:
        with SaltStore.open(run.secrets / "salts.sqlite", key, create=False) as store:
            known = set(store.ids(BATCH_SALTS))
        for index in erased:
            count = sum(seq in known for seq in batches_with(run, dataset.leaf(index)))
            if count:
                yield f"salts of {count} batches that used erased record {index} in {run.root}"


def _search_text(
    residue: Residue,
    dataset: CommittedDataset,
    runs: Sequence[RunFolder],
    caches: Sequence[Path],
    record: Mapping[str, Any],
) -> None:
    wanted = needles(record)
    if not wanted:
        residue.not_searched.append(
            f"files as bytes: the record has no value of {MIN_NEEDLE_BYTES} bytes or more"
        )
    sources = [path for _, path in source_files(dataset) if path is not None]
    residue.not_searched += [
        f"source file {name}: not where the manifest says"
        for name, path in source_files(dataset)
        if path is None
    ]
    folders = [dataset.folder, *(run.root for run in runs), *caches]
    for path in dict.fromkeys([*sources, *_files(folders)]):
        try:
            if wanted and holds(path, wanted):
                residue.found.append(f"text in {path}")
            elif path in sources and _has_row(path, dataset, dataset_record_bytes(record)):
                residue.found.append(f"text in {path}, as a record")
        except (OSError, ProvenanceError) as error:
            residue.not_searched.append(f"{path}: {error}")


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())


def needles(record: Mapping[str, Any]) -> list[bytes]:
    """Byte strings to search for: a record's canonical form, its texts, and these as JSON."""
    found = {dataset_record_bytes(record)}
    for value in record.values():
        if isinstance(value, str):
            found |= {
                value.encode("utf-8", "surrogatepass"),
                *(json.dumps(value, ensure_ascii=a)[1:-1].encode() for a in (True, False)),
            }
    return sorted(needle for needle in found if len(needle) >= MIN_NEEDLE_BYTES)


def holds(path: Path, wanted: Sequence[bytes]) -> bool:
    """Whether a file holds one of these byte strings."""
    overlap, tail = max(map(len, wanted)) - 1, b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            data = tail + block
            if any(needle in data for needle in wanted):
                return True
            tail = data[-overlap:] if overlap else b""
    return False


def _has_row(path: Path, dataset: CommittedDataset, canonical: bytes) -> bool:
    rows = open_source(str(path), text_column=dataset.text_column)
    return any(dataset_record_bytes(row) == canonical for row in rows)
