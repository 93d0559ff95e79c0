"""Erasing one record of a committed dataset, and saying what erasing cannot reach.

For owners who must follow GDPR article 17 or LGPD article 18. The order is:

    batch salts of the runs  ->  salt, record  ->  tombstone

Without the batch salts nobody can recompute what those batches fed. Without its salt nobody can
open the leaf. The leaf itself stays, so proofs made before stay valid. Every step may be repeated:
the next call finishes one that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore
from provenance.dataset.tombstone import Tombstone, add_tombstone
from provenance.ids import to_hex
from provenance.layout import RunFolder
from provenance.log.tree import iterate_records

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


@dataclass(frozen=True)
class Left:
    """Something that erasure does not reach.

    `present` says whether it was seen at `path` just now; None if nobody looked.
    """

    what: str
    path: str | None = None
    present: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """The line of the report that programs read."""
        return {"what": self.what, "path": self.path, "present": self.present}


@dataclass(frozen=True)
class ErasedRecord:
    """What was erased, and the tombstone that says so.

    `batch_salts`: (run folder, batches that used the record, salts deleted now) for each run named.
    """

    tombstone: Tombstone
    batch_salts: tuple[tuple[Path, int, int], ...]


def batches_with(folder: RunFolder, leaf: bytes) -> list[int]:
    """Places in a run's journal of the batches that used this leaf."""
    word = to_hex(leaf)
    return [
        seq
        for seq, record in enumerate(iterate_records(folder.journal))
        if record.type == "batch" and word in record.fields["leaves"]
    ]


def erase_record(
    dataset: CommittedDataset,
    index: int,
    runs: Sequence[RunFolder],
    salt_key: bytes,
    account: LocalAccount,
) -> ErasedRecord:
    """Erase record `index`, and in each of `runs` the salts of the batches that used it.

    Raises:
        NotFound: a run has no journal or no salts; nothing was erased.
        UnavailableError: another process keeps old pages of a store, or the disk refused: call
            again.
    """
    leaf = dataset.leaf(index)
    used = [(run.require(), batches_with(run, leaf)) for run in runs]
    deleted = []
    with ExitStack() as stack:
        stores = [
            stack.enter_context(
                SaltStore.open(run.secrets / "salts.sqlite", salt_key, create=False)
            )
            for run, _ in used
        ]
        for (run, batches), store in zip(
            used, stores, strict=True
        ):  # all stores are open by now: had one failed to open, nothing would be deleted
            deleted.append((run.root, len(batches), store.delete_many(BATCH_SALTS, batches)))
    dataset.erase(index)
    return ErasedRecord(
        add_tombstone(dataset.folder, dataset.root.root, leaf, account), tuple(deleted)
    )


def source_files(dataset: CommittedDataset) -> Iterator[tuple[str, Path | None]]:
    """(name in the manifest, where it lies now or None) of each source file of the dataset."""
    source = Path(str(dataset.manifest["source"]))
    for entry in dataset.manifest["files"]:
        name = str(entry.get("path", "")) if isinstance(entry, dict) else ""
        candidates = (source / name, source) if source.is_dir() else (source, source.parent / name)
        yield (
            name,
            next(
                (
                    path
                    for path in candidates
                    if name and path.name == Path(name).name and path.is_file()
                ),
                None,
            ),
        )


def what_is_left(
    dataset: CommittedDataset, runs: Sequence[RunFolder], caches: Sequence[Path]
) -> list[Left]:
    """What holds, or may hold, an erased record or what a model learnt from it.

    Only what this machine can know of is listed.

    Args:
        caches: folders where libraries keep downloaded and prepared data sets.
    """
    left = [
        Left("source file", str(path or name), path is not None)
        for name, path in source_files(dataset)
    ]
    left += [
        Left("cache of downloaded and prepared data sets", str(path), path.exists())
        for path in caches
    ]
    for run in runs:
        trained = [*sorted(run.root.glob("checkpoint-*")), run.adapter, run.merged, run.release]
        left += [
            Left("weights trained with the record", str(path), True)
            for path in trained
            if path.exists()
        ]
    if not runs:
        left.append(
            Left(
                "salts of batches that used the record, in run folders that were not named (--run)"
            )
        )
    left += [
        Left("other runs, copies of this folder, backups, snapshots of the file system"),
        Left("models that were trained with the record and shipped"),
    ]
    return left
