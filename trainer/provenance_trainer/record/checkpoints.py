"""Checkpoint folders: their digests, where a run may resume, and which batches are then abandoned.

Before Trainer loads a checkpoint, every file of its folder is compared with the record. Trainer
then reads the state of optimizer, scheduler and random generators with
`torch.load(weights_only=True)`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import hash_files
from provenance.artifacts.listing import list_folder
from provenance.artifacts.manifest import manifest_of
from provenance.digest import Digest, hash_file
from provenance.errors import InputError, ProvenanceError, VerificationError
from provenance.log.graph.segments import is_resumable
from provenance.log.history import History, Placed
from provenance.log.record import Record

logger = logging.getLogger("provenance.trainer")

ADAPTER_WEIGHTS = "adapter_model.safetensors"
OPTIMIZER, SCHEDULER, RNG = "optimizer.pt", "scheduler.pt", "rng_state.pth"


@dataclass(frozen=True)
class CheckpointDigests:
    """Digests of a checkpoint.

    manifest: Root of the manifest of all files.
    weights: Content digest of the adapter or model.
    files: SHA-256 of each other file that a loader of the adapter reads.
    optimizer, scheduler, rng: SHA-256 of one file each; None if it is missing.
    """

    manifest: Digest
    weights: Digest
    files: Mapping[str, Digest]
    optimizer: Digest | None
    scheduler: Digest | None
    rng: Digest | None


def checkpoint_digests(folder: Path) -> CheckpointDigests:
    """Digests of a checkpoint folder that Trainer has finished writing.

    Raises:
        InputError: it has no safetensors weights.
    """
    adapter = folder / ADAPTER_WEIGHTS
    weights = content_digest(adapter if adapter.is_file() else folder)
    optimizer, scheduler, rng = (
        _digest_if_present(folder / name) for name in (OPTIMIZER, SCHEDULER, RNG)
    )
    files = hash_files(list_folder(folder).bound)
    return CheckpointDigests(manifest_of(folder).root, weights, files, optimizer, scheduler, rng)


def digests_or_none(folder: Path) -> CheckpointDigests | None:
    """`checkpoint_digests`; None, with an error in the log, if it cannot be read."""
    try:
        return checkpoint_digests(folder)
    except (ProvenanceError, OSError) as error:
        logger.error("checkpoint %s is not recorded: %s", folder.name, error)
        return None


def _digest_if_present(path: Path) -> Digest | None:
    return hash_file(path) if path.is_file() else None


@dataclass(frozen=True)
class ResumePoint:
    """Where a killed run goes on. A seq is the number of a record in the journal.

    folder: Checkpoint to load; None to start over.
    record: seq of the checkpoint's record; 0 (`run.open`) to start over.
    step, epoch, consumed: Optimizer step, epoch, and positions fed in it, at the checkpoint.
    last_batch: seq of the last batch that the checkpoint covers; None if there is none.
    abandons: seqs of the later batches, checkpoints and ends of epochs, which will come again.
    epoch_recorded: Whether the log has the epoch's end before this checkpoint.
    """

    folder: Path | None
    record: int
    step: int
    epoch: int
    consumed: int
    last_batch: int | None
    abandons: tuple[int, ...]
    epoch_recorded: bool = False


def find_resume_point(history: History, run_dir: Path) -> ResumePoint:
    """The newest live checkpoint that is on disk, and what the log has after it.

    A checkpoint folder without a record is ignored: the run was killed before it was recorded.

    Raises:
        VerificationError: this checkpoint is not as recorded. Delete it to resume from an earlier
            one.
        InputError: a record names something else than a folder of the run.
    """
    for placed in reversed(history.checkpoints):
        if not is_resumable(placed):
            continue
        folder = folder_of(run_dir, placed.fields["path"])
        if folder.is_dir():
            verify_checkpoint(folder, placed.record)
            return _point(history, folder, placed)
    return ResumePoint(None, 0, 0, 0, 0, None, history.after(0))


def _point(history: History, folder: Path, placed: Placed) -> ResumePoint:
    fields = placed.fields
    ends = [epoch.end for epoch in history.epochs if epoch.number == fields["epoch"]]
    ended = any(end is not None and end.index < placed.index for end in ends)
    return ResumePoint(
        folder=folder,
        record=placed.index,
        step=fields["step"],
        epoch=fields["epoch"],
        consumed=fields["consumed"],
        last_batch=fields.get("last_batch"),
        abandons=history.after(placed.index),
        epoch_recorded=ended,
    )


def folder_of(run_dir: Path, path: str) -> Path:
    """The folder that a record (attacker-controlled) names, which must be in the run's folder."""
    if Path(path).name != path or path in ("", ".", ".."):
        raise InputError(
            "checkpoint path is not the name of a folder", where="checkpoint.path", actual=path[:80]
        )
    return run_dir / path


def verify_checkpoint(folder: Path, record: Record) -> None:
    """Check every file of a checkpoint against its record before anything in it is loaded.

    Raises:
        VerificationError: a digest differs; the first such digest is named.
    """
    actual = checkpoint_digests(folder)
    for name, value in _named(actual):
        expected = record.fields.get(name)
        if expected is not None and (value is None or str(value) != expected):
            raise VerificationError(
                "checkpoint was altered",
                where=f"{folder} {name}",
                expected=expected,
                actual=value,
                hint="restore the folder, or delete it to resume from an earlier checkpoint",
            )


def _named(digests: CheckpointDigests) -> Iterator[tuple[str, Digest | None]]:
    yield "weights", digests.weights
    yield "optimizer", digests.optimizer
    yield "scheduler", digests.scheduler
    yield "rng", digests.rng
    yield "manifest", digests.manifest
