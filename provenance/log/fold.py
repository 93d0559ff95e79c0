"""The one reading of a run's log: a fold over its records, with explicit states.

    empty -> opened -> seeded -> training -> closed -> derived -> released

Whatever a record says about records before it is compared with them. Nothing else in the project
interprets the order of records. What only the chain can tell (the drawn seed, anchorings) is
compared by the verifier. The rules: docs/formats/records.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from provenance.log.graph.derived_fold import DerivedFold
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
    Step,
)
from provenance.log.states import TURNS, State
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


class Fold:
    """Reads records one by one; `history` is what they tell so far.

    The work of all `add` calls together is linear in the size of the records.
    """

    def __init__(self) -> None:
        self._size = 0
        self._state = State.EMPTY
        self._training, self._derived = TrainingFold(), DerivedFold()
        self._opening: Record | None = None
        self._seed: Placed | None = None
        self._close: Placed | None = None
        self._resumes: list[Placed] = []

    def add(self, record: Record) -> None:
        """Take the next record (attacker-controlled).

        Raises:
            VerificationError: the rules do not allow it here. The fold stays as it was.
        """
        placed, turn = Placed(self._size, record), TURNS.get(record.type)
        if turn is None:
            rule = f"the log of a run holds no record of type {record.type}"
            refuse(placed.index, "type", rule, " or ".join(TURNS), record.type)
        if not turn.first <= self._state <= turn.last:
            refuse(placed.index, record.type, turn.rule, turn, self._state)
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
            seed=self._seed,
            batches=tuple(self._training.batches),
            checkpoints=tuple(self._training.checkpoints),
            epochs=self._training.epochs(),
            resumes=tuple(self._resumes),
            close=self._close,
            merges=self._derived.placed(Merge.TYPE),
            quantizations=self._derived.placed(Quantize.TYPE),
            steps=self._derived.placed(Step.TYPE),
            samples=self._derived.placed(Sample.TYPE),
            releases=self._derived.placed(Release.TYPE),
        )

    def _take_opening(self, placed: Placed) -> None:
        self._training.open(placed)
        self._derived.open(placed)
        self._opening, self._state = placed.record, State.OPENED

    def _take_seed(self, placed: Placed) -> None:
        assert self._opening is not None  # the state says so
        drawn = self._opening.fields["registered"]
        source = "chain" if drawn else "local"
        require(placed, "source", "seed is from elsewhere than the opening says", source)
        for name in ("run_id", "draw_block"):
            if (name in placed.fields) != drawn:
                rule = "a seed names its run and block if and only if a chain drew it"
                there = {True: "named", False: "absent"}
                refuse(placed.index, name, rule, there[drawn], there[not drawn])
        self._seed, self._state = placed, State.SEEDED

    def _take_eval(self, placed: Placed) -> None:
        step = placed.fields["step"]
        if step not in (0, self._training.place.step):
            rule = "evaluation names another step than training has come to"
            refuse(placed.index, "step", rule, f"0 or {self._training.place.step}", step)

    def _take_batch(self, placed: Placed) -> None:
        self._training.batch(placed)
        self._state = State.TRAINING

    def _take_checkpoint(self, placed: Placed) -> None:
        self._derived.checkpoint(placed)
        self._training.checkpoint(placed)

    def _take_epoch(self, placed: Placed) -> None:
        if "number" in placed.fields:
            self._training.prove_epoch(placed)
        elif self._state is State.TRAINING:
            self._training.end_epoch(placed)
        else:
            rule = "an epoch ends before run.close"
            refuse(placed.index, Epoch.TYPE, rule, State.TRAINING, self._state)

    def _take_resume(self, placed: Placed) -> None:
        self._training.resume(placed)
        self._resumes.append(placed)
        if not self._training.batches:
            self._state = State.SEEDED

    def _take_close(self, placed: Placed) -> None:
        place, summary = self._training.place, placed.fields["summary"]
        require(placed, "step", "run.close names another step than was trained", place.step)
        checkpoint, _ = self._training.last()
        made = {} if checkpoint is None else checkpoint.fields
        for name, expected in (
            ("steps", place.step),
            ("consumed", place.consumed),
            ("remainder", self._training.count - place.consumed),
            ("adapter", made.get("weights")),
            ("adapter_dir", made.get("path")),
        ):
            if name in summary and summary[name] != expected:
                rule = "run.close sums up something else than the log says"
                refuse(placed.index, f"summary.{name}", rule, expected, summary[name])
        self._close, self._state = placed, State.CLOSED

    def _take_merge(self, placed: Placed) -> None:
        self._derived.merge(placed, final_checkpoint(*self._training.last()))
        self._state = max(self._state, State.DERIVED)

    def _take_quantize(self, placed: Placed) -> None:
        self._derived.quantize(placed)

    def _take_step(self, placed: Placed) -> None:
        self._derived.step(placed, self._training.last()[0])

    def _take_sample(self, placed: Placed) -> None:
        self._derived.sample(placed)

    def _take_release(self, placed: Placed) -> None:
        run_id = None if self._seed is None else self._seed.fields.get("run_id")
        self._derived.release(placed, run_id)
        self._state = State.RELEASED


_HANDLERS: Mapping[str, Callable[[Fold, Placed], None]] = {
    RunOpen.TYPE: Fold._take_opening,
    Seed.TYPE: Fold._take_seed,
    Eval.TYPE: Fold._take_eval,
    Batch.TYPE: Fold._take_batch,
    Checkpoint.TYPE: Fold._take_checkpoint,
    Resume.TYPE: Fold._take_resume,
    Epoch.TYPE: Fold._take_epoch,
    RunClose.TYPE: Fold._take_close,
    Merge.TYPE: Fold._take_merge,
    Quantize.TYPE: Fold._take_quantize,
    Step.TYPE: Fold._take_step,
    Sample.TYPE: Fold._take_sample,
    Release.TYPE: Fold._take_release,
}
