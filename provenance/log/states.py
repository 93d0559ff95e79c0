"""How far a run has come, and which types of record may stand where: docs/formats/records.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from provenance.log.records import (
    Batch,
    Checkpoint,
    Epoch,
    Eval,
    Merge,
    Quantize,
    Release,
    Resume,
    RunClose,
    RunOpen,
    Sample,
    Seed,
    Step,
)


class State(IntEnum):
    """How far a run has come."""

    EMPTY = 0
    OPENED = 1
    SEEDED = 2
    TRAINING = 3
    CLOSED = 4
    DERIVED = 5
    RELEASED = 6

    def __str__(self) -> str:
        return f"the run is {self.name.lower()}"


@dataclass(frozen=True)
class Turn:
    """The first and the last state in which a type of record may stand, and that as a rule."""

    first: State
    last: State
    rule: str

    def __str__(self) -> str:
        later = "" if self.first == self.last else f", at most {self.last.name.lower()}"
        return f"{self.first}{later}"


TURNS: Mapping[str, Turn] = {
    RunOpen.TYPE: Turn(State.EMPTY, State.EMPTY, "a run is opened once, by its first record"),
    Seed.TYPE: Turn(
        State.OPENED, State.OPENED, "the seed is logged once, after the opening and before training"
    ),
    Eval.TYPE: Turn(State.SEEDED, State.RELEASED, "evaluations stand after the seed"),
    Checkpoint.TYPE: Turn(
        State.OPENED, State.TRAINING, "checkpoints stand between the opening and run.close"
    ),
    Batch.TYPE: Turn(
        State.SEEDED, State.TRAINING, "batches are fed after the seed and before run.close"
    ),
    Epoch.TYPE: Turn(State.TRAINING, State.RELEASED, "an epoch ends after its batches"),
    Resume.TYPE: Turn(
        State.SEEDED, State.TRAINING, "training resumes after the seed and before run.close"
    ),
    RunClose.TYPE: Turn(
        State.TRAINING, State.TRAINING, "a run is closed once, after a batch was fed"
    ),
    Merge.TYPE: Turn(State.CLOSED, State.RELEASED, "an adapter is merged after run.close"),
    Quantize.TYPE: Turn(State.DERIVED, State.RELEASED, "weights are quantized after a merge"),
    Sample.TYPE: Turn(State.DERIVED, State.RELEASED, "samples are proven after a merge"),
    Step.TYPE: Turn(State.CLOSED, State.RELEASED, "other steps are taken after run.close"),
    Release.TYPE: Turn(State.DERIVED, State.RELEASED, "a file is released after a merge"),
}
"""Turns of the types that a run's log may hold."""
