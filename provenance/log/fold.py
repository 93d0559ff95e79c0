"""The one reading of a run's log: a fold over its records, with explicit states.

    empty -> opened -> seeded -> training -> closed -> derived -> released

Whatever a record says about records before it is compared with them. Nothing else in the project
interprets the order of records. What only the chain can tell (the drawn seed, anchorings) is
compared by the verifier. The rules: docs/formats/history.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from provenance.log.history import History, Placed, final_checkpoint
from provenance.log.record import Record
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
)
from provenance.log.training_fold import TrainingFold, refuse, require


def read_history(records: Iterable[Record]) -> History:
    """Fold a log (attacker-controlled) into its history.

    Raises:
        VerificationError: the first record that its state does not allow or that contradicts an
            earlier one, by index and with the rule that it breaks.
    """
    fold = Fold()
    for record in records:
        fold.add(record)
    return fold.history()


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


_LAST = State.RELEASED
_ALLOWED: Mapping[str, tuple[State, State]] = {
    RunOpen.TYPE: (State.EMPTY, State.EMPTY),
    Seed.TYPE: (State.OPENED, State.OPENED),
    Eval.TYPE: (State.SEEDED, _LAST),
    Batch.TYPE: (State.SEEDED, State.TRAINING),
    Checkpoint.TYPE: (State.OPENED, State.TRAINING),
    Resume.TYPE: (State.SEEDED, State.TRAINING),
    Epoch.TYPE: (State.TRAINING, _LAST),
    RunClose.TYPE: (State.SEEDED, State.TRAINING),
    Merge.TYPE: (State.CLOSED, _LAST),
    Quantize.TYPE: (State.DERIVED, _LAST),
    Sample.TYPE: (State.DERIVED, _LAST),
    Release.TYPE: (State.DERIVED, _LAST),
}
"""First and last state in which a record of a type may stand. Any other type never may."""


class Fold:
    """Reads records one by one; `history` is what they tell so far.

    The work is linear in the records and in the positions that they list, but for the lists that
    `resume` records hold.
    """

    def __init__(self) -> None:
        self._size = 0
        self._state = State.EMPTY
        self._training = TrainingFold()
        self._opening: Record | None = None
        self._one: dict[str, Placed] = {}  # seed and close
        self._lists: dict[str, list[Placed]] = {type_: [] for type_ in _LISTED}

    def add(self, record: Record) -> None:
        """Take the next record.

        Raises:
            VerificationError: the rules do not allow it here.
        """
        placed = Placed(self._size, record)
        first, last = _ALLOWED.get(record.type, (None, None))
        if first is None or last is None:
            rule = f"a run's log holds no record of type {record.type}"
            refuse(placed.index, "", rule, " or ".join(_ALLOWED), record.type)
        if not first <= self._state <= last:
            rule = f"no record of type {record.type} may stand here"
            expected = f"{first}" if first == last else f"{first}, at most {last.name.lower()}"
            refuse(placed.index, "", rule, expected, self._state)
        _HANDLERS[record.type](self, placed)
        self._size += 1

    def history(self) -> History:
        """What the records so far tell.

        Raises:
            VerificationError: there are none.
        """
        if self._opening is None:
            refuse(0, "", "log is empty", "a record of type run.open", "no record")
        return History(
            size=self._size,
            opening=self._opening,
            seed=self._one.get(Seed.TYPE),
            batches=tuple(self._training.batches.values()),
            checkpoints=tuple(self._training.checkpoints.values()),
            epochs=self._training.epochs(),
            resumes=tuple(self._lists[Resume.TYPE]),
            close=self._one.get(RunClose.TYPE),
            merges=tuple(self._lists[Merge.TYPE]),
            quantizations=tuple(self._lists[Quantize.TYPE]),
            samples=tuple(self._lists[Sample.TYPE]),
            releases=tuple(self._lists[Release.TYPE]),
        )

    def _open(self, placed: Placed) -> None:
        self._training.open(placed)
        self._opening, self._state = placed.record, State.OPENED

    def _seed(self, placed: Placed) -> None:
        self._one[Seed.TYPE], self._state = placed, State.SEEDED

    def _eval(self, placed: Placed) -> None:
        step = placed.fields["step"]
        if step not in (0, self._training.place.step):
            rule = "evaluation names another step than training has come to"
            refuse(placed.index, "step", rule, self._training.place.step, step)

    def _batch(self, placed: Placed) -> None:
        self._training.batch(placed)
        self._state = State.TRAINING

    def _checkpoint(self, placed: Placed) -> None:
        self._training.checkpoint(placed)

    def _epoch(self, placed: Placed) -> None:
        if "number" in placed.fields:
            self._training.prove_epoch(placed)
        elif self._state is State.TRAINING:
            self._training.end_epoch(placed)
        else:
            rule = "an epoch ends before the run is closed"
            refuse(placed.index, "", rule, State.TRAINING, self._state)

    def _resume(self, placed: Placed) -> None:
        self._training.resume(placed)
        self._lists[Resume.TYPE].append(placed)
        if not self._training.batches:
            self._state = State.SEEDED

    def _close(self, placed: Placed) -> None:
        place = self._training.place
        require(placed, "step", "run.close names another step than was trained", place.step)
        self._one[RunClose.TYPE], self._state = placed, State.CLOSED

    def _merge(self, placed: Placed) -> None:
        checkpoint = final_checkpoint(*self._training.last())
        assert self._opening is not None  # the state says so
        base = self._opening.fields["base"].get("content")
        for field, rule, expected in (
            (
                "checkpoint",
                "merge names another checkpoint than the last live one",
                checkpoint.index,
            ),
            ("base", "merge used another base than the run was opened for", base),
            ("adapter", "merge used another adapter", checkpoint.fields["weights"]),
            ("adapter_manifest", "merge used another adapter", checkpoint.fields["manifest"]),
        ):
            require(placed, field, rule, expected)
        self._lists[Merge.TYPE].append(placed)
        self._state = max(self._state, State.DERIVED)

    def _quantize(self, placed: Placed) -> None:
        self._require_made(placed, "source", Merge.TYPE, "merged")
        self._lists[Quantize.TYPE].append(placed)

    def _sample(self, placed: Placed) -> None:
        stage = placed.fields["stage"]
        if stage not in (Merge.TYPE, Quantize.TYPE) or not self._lists[stage]:
            rule = "sample is about a stage that is not logged before it"
            refuse(placed.index, "stage", rule, "merge or quantize", stage)
        self._lists[Sample.TYPE].append(placed)

    def _release(self, placed: Placed) -> None:
        run_id = self._one[Seed.TYPE].fields.get("run_id")
        require(placed, "run_id", "release names another run than the seed", run_id)
        self._require_made(placed, "model", Quantize.TYPE, "file")
        self._lists[Release.TYPE].append(placed)
        self._state = State.RELEASED

    def _require_made(self, placed: Placed, field: str, type_: str, output: str) -> None:
        """What a record takes is what an earlier record of this type made."""
        value = placed.fields[field]
        made = [r.fields[output] for r in self._lists[type_]]
        if value not in made:
            rule = f"log lacks the {type_} record that this one builds on"
            refuse(placed.index, field, rule, " or ".join(made[-3:]) or f"a {type_} record", value)


_LISTED = (Resume.TYPE, Merge.TYPE, Quantize.TYPE, Sample.TYPE, Release.TYPE)
_HANDLERS: Mapping[str, Callable[[Fold, Placed], None]] = {
    RunOpen.TYPE: Fold._open,
    Seed.TYPE: Fold._seed,
    Eval.TYPE: Fold._eval,
    Batch.TYPE: Fold._batch,
    Checkpoint.TYPE: Fold._checkpoint,
    Resume.TYPE: Fold._resume,
    Epoch.TYPE: Fold._epoch,
    RunClose.TYPE: Fold._close,
    Merge.TYPE: Fold._merge,
    Quantize.TYPE: Fold._quantize,
    Sample.TYPE: Fold._sample,
    Release.TYPE: Fold._release,
}
