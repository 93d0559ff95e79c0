"""The folder that training goes on from, made here.

A checkpoint's folder is the publisher's. Trainer reads whatever it finds in one: other adapters in
subfolders, whole models, states of scalers. So it gets a folder of its own, with four files whose
digests the log names, and with a state of Trainer that is written here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from transformers import TrainerControl, TrainerState

from provenance.artifacts.content import content_digest
from provenance.digest import hash_file, open_regular
from provenance.errors import InputError, VerificationError
from provenance.log.history import Placed
from provenance_trainer.config import TrainConfig
from provenance_trainer.record.checkpoints import (
    ADAPTER_WEIGHTS,
    OPTIMIZER,
    RNG,
    SCHEDULER,
    folder_of,
)
from provenance_trainer.replay.compare import Weights, load_weights

# Field of a checkpoint's record -> file of its folder. All of them are needed to go on.
PARTS = {"weights": ADAPTER_WEIGHTS, "optimizer": OPTIMIZER, "scheduler": SCHEDULER, "rng": RNG}
_STATE = "trainer_state.json"
_SPARE = 64 << 20  # bytes of a file beside its tensors
_LARGEST = 16 << 30  # bytes of a file that is hashed before it is known how many weights there are
_MOMENTS = 4  # an optimizer keeps fewer times as many numbers as there are weights


class Places(Protocol):
    """Where a start is made from, and where to."""

    @property
    def folders(self) -> Sequence[Path]:
        """The run's folders (attacker-controlled); the first one is used."""
        ...

    @property
    def scratch(self) -> Path:
        """An empty folder."""
        ...


def make_start(work: Places, placed: Placed, fresh: Weights, state: TrainerState) -> Path:
    """Make the folder to go on from.

    Args:
        placed: the record of the checkpoint (attacker-controlled).
        fresh: the weights of a new adapter, whose names and shapes those of the checkpoint have.
        state: Trainer's at this step.

    Raises:
        VerificationError: a file is not as logged, the log leaves one out, or the weights are of
            another adapter.
        InputError: a file is missing, too large, or none.
    """
    source = folder_of(work.folders[0], placed.fields["path"])
    target = work.scratch / f"checkpoint-{placed.fields['step']}"
    target.mkdir()
    most = most_bytes(fresh)
    for part, name in PARTS.items():
        _take(source / name, target / name, most)
        require_part(target / name, placed, part)
    found = load_weights(target)
    if {n: w.shape for n, w in found.items()} != {n: w.shape for n, w in fresh.items()}:
        raise VerificationError(
            "checkpoint holds other tensors than the run's adapter",
            where=str(source / ADAPTER_WEIGHTS),
            expected=f"{len(fresh)} tensors of the configuration's shapes",
            actual=f"{len(found)} tensors",
        )
    state.save_to_json(str(target / _STATE))
    return target


def state_at(step: int, count: int, config: TrainConfig) -> TrainerState:
    """What Trainer knows of itself after so many steps over `count` records."""
    rounds = -(-count // config.per_device_train_batch_size)
    steps_in_epoch = -(-rounds // config.gradient_accumulation_steps)
    return TrainerState(
        global_step=step,
        epoch=float(step // steps_in_epoch),
        train_batch_size=config.per_device_train_batch_size,
        logging_steps=config.logging_steps,
        save_steps=config.save_steps,
        # Trainer itself passes it so, although it is no callback.
        stateful_callbacks=[TrainerControl()],  # type: ignore[list-item]
    )


def most_bytes(weights: Weights) -> int:
    """How large a file of a checkpoint with such weights can be. More is not read into memory."""
    return _MOMENTS * sum(4 * value.size for value in weights.values()) + _SPARE


def require_part(file: Path, placed: Placed, part: str, most: int = _LARGEST) -> None:
    """Check one file of a checkpoint (attacker-controlled) against its record.

    Args:
        most: bytes that it may have.

    Raises:
        VerificationError: it is another one, or the record does not name it.
        InputError: it is missing, no regular file, or so large that hashing it would not end.
    """
    with open_regular(file) as stream:
        _require_size(stream, file, most)
    actual = content_digest(file) if part == "weights" else hash_file(file)
    if placed.fields.get(part) != str(actual):
        raise VerificationError(
            "checkpoint was altered",
            where=f"{file.name} of record {placed.index}",
            expected=placed.fields.get(part, "a digest in the log"),
            actual=actual,
        )


def _take(source: Path, target: Path, most: int) -> None:
    """Copy a regular file of at most so many bytes."""
    with open_regular(source) as stream, target.open("wb") as copy:
        _require_size(stream, source, most)
        shutil.copyfileobj(stream, copy)


def _require_size(stream: BinaryIO, file: Path, most: int) -> None:
    if (size := stream.seek(0, 2)) > most:
        raise InputError(
            "file is too large", where=str(file), expected=f"<= {most} bytes", actual=size
        )
    stream.seek(0)
