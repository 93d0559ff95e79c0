"""The one reading of a run's log: a fold over its records, with explicit states.

    empty -> opened -> seeded -> training -> closed -> derived -> released

Whatever a record says about records before it is compared with them. Nothing else in the project
interprets the order of records. What only the chain can tell (the drawn seed, anchorings) is
compared by the verifier. The rules: docs/formats/records.md.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

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
from provenance.log.states import TURNS, State
from provenance.log.training_fold import TrainingFold, refuse, require

_LISTED = (Resume.TYPE, Merge.TYPE, Quantize.TYPE, Sample.TYPE, Release.TYPE)


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
        self._training = TrainingFold()
        self._opening: Record | None = None
        self._seed: Placed | None = None
        self._close: Placed | None = None
        self._lists: dict[str, list[Placed]] = {type_: [] for type_ in _LISTED}
        self._merged = set[str]()  # content digests of merged weights
        self._files = set[str]()  # digests of quantized files

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
            resumes=tuple(self._lists[Resume.TYPE]),
            close=self._close,
            merges=tuple(self._lists[Merge.TYPE]),
            quantizations=tuple(self._lists[Quantize.TYPE]),
            samples=tuple(self._lists[Sample.TYPE]),
            releases=tuple(self._lists[Release.TYPE]),
        )

    def _take_opening(self, placed: Placed) -> None:
        self._training.open(placed)
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
        self._lists[Resume.TYPE].append(placed)
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
        assert self._opening is not None  # the state says so
        checkpoint = final_checkpoint(*self._training.last())
        rule = "merge names another checkpoint than the last live one"
        require(placed, "checkpoint", rule, checkpoint.index)
        rule = "merge used another adapter than the last checkpoint's"
        require(placed, "adapter", rule, checkpoint.fields["weights"])
        require(placed, "adapter_manifest", rule, checkpoint.fields["manifest"])
        rule = "merge used another base than the run was opened for"
        require(placed, "base", rule, self._opening.fields["base"].get("content"))
        self._lists[Merge.TYPE].append(placed)
        self._merged.add(placed.fields["merged"])
        self._state = max(self._state, State.DERIVED)

    def _take_quantize(self, placed: Placed) -> None:
        rule = "weights are quantized that no merge before made"
        _require_made(placed, "source", rule, self._merged)
        self._lists[Quantize.TYPE].append(placed)
        self._files.add(placed.fields["file"])

    def _take_sample(self, placed: Placed) -> None:
        stage = placed.fields["stage"]
        if stage not in (Merge.TYPE, Quantize.TYPE) or not self._lists[stage]:
            rule = "sample is about a stage that is not logged before it"
            refuse(placed.index, "stage", rule, "merge or quantize, after its record", stage)
        self._lists[Sample.TYPE].append(placed)

    def _take_release(self, placed: Placed) -> None:
        run_id = None if self._seed is None else self._seed.fields.get("run_id")
        require(placed, "run_id", "release names another run than the seed", run_id)
        rule = "file is released that no quantization before made"
        _require_made(placed, "model", rule, self._files)
        self._lists[Release.TYPE].append(placed)
        self._state = State.RELEASED


def _require_made(placed: Placed, field: str, rule: str, made: Container[str]) -> None:
    """What a record takes is what an earlier record made."""
    if (value := placed.fields[field]) not in made:
        refuse(placed.index, field, rule, "a digest that an earlier record names", value)


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
    Sample.TYPE: Fold._take_sample,
    Release.TYPE: Fold._take_release,
}
