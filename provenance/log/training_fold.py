"""The part of a log that training wrote: batches, checkpoints, ends of epochs and resumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, NoReturn

from provenance.errors import VerificationError
from provenance.log.history import EpochHistory, Placed
from provenance.log.records import ResumeFirst


@dataclass(frozen=True)
class Place:
    """Where training stands.

    epoch, consumed: the current epoch and how many of its positions were fed.
    ended: whether the epoch's end is logged.
    step, micro: of the last batch; step 0 before the first.
    last_batch, last_checkpoint: indices of the last live ones.
    """

    epoch: int = 0
    consumed: int = 0
    ended: bool = False
    step: int = 0
    micro: int = -1
    last_batch: int | None = None
    last_checkpoint: int | None = None


def refuse(index: int, field: str, rule: str, expected: object, actual: object) -> NoReturn:
    """Name the record and the rule that it breaks."""
    where = f"record {index} {field}".rstrip()
    raise VerificationError(rule, where=where, expected=expected, actual=actual)


def require(placed: Placed, field: str, rule: str, expected: object) -> None:
    """A field that a record carries has the value that follows from earlier records."""
    actual = placed.fields.get(field)
    if actual != expected or type(actual) is not type(expected):
        refuse(placed.index, field, rule, expected, actual)


class TrainingFold:
    """What was fed and saved so far. `Fold` calls it only where its state allows the record.

    place: where training stands.
    batches, checkpoints: the live ones, by index.
    """

    def __init__(self) -> None:
        self.place = Place()
        self.batches: dict[int, Placed] = {}
        self.checkpoints: dict[int, Placed] = {}
        self._ends: dict[int, Placed] = {}  # by epoch
        self._proofs: dict[int, list[Placed]] = {}  # by epoch
        self._places: dict[int, Place] = {0: Place()}  # of checkpoints, and of the opening
        self._count = 0

    def open(self, placed: Placed) -> None:
        """The run is opened: learn how many positions an epoch has."""
        count = placed.fields["dataset"].get("count")
        if type(count) is not int or count < 1:
            rule = "run.open does not say how many records the dataset has"
            refuse(placed.index, "dataset.count", rule, "an integer of 1 or more", count)
        self._count = count

    def epochs(self) -> tuple[EpochHistory, ...]:
        """The epochs of which batches are live, in order."""
        fed: dict[int, list[Placed]] = {}
        for batch in self.batches.values():
            fed.setdefault(batch.fields["epoch"], []).append(batch)
        return tuple(
            EpochHistory(
                number=epoch,
                batches=tuple(batches),
                consumed=sum(len(batch.fields["positions"]) for batch in batches),
                end=self._ends.get(epoch),
                proofs=tuple(self._proofs.get(epoch, ())),
            )
            for epoch, batches in fed.items()
        )

    def last(self) -> tuple[Placed | None, Placed | None]:
        """The last live checkpoint and the last live batch."""
        checkpoint = next(reversed(self.checkpoints.values()), None)
        return checkpoint, next(reversed(self.batches.values()), None)

    def batch(self, placed: Placed) -> None:
        """A batch feeds the next positions of the order, in the next micro batch."""
        fields, place = placed.fields, self.place
        if fields.get("unmatched"):
            rule = "samples were fed that are not those of the pre-registered order"
            refuse(placed.index, "unmatched", rule, 0, fields["unmatched"])
        require(placed, "rank", "log is that of the first training process", 0)
        if place.ended:
            place = replace(place, epoch=place.epoch + 1, consumed=0, ended=False)
        require(
            placed, "epoch", "epochs are fed in turn, each after the last one's end", place.epoch
        )
        _require_turn(placed, place)
        self.place = replace(
            place,
            consumed=self._consumed(placed, place.consumed),
            step=fields["step"],
            micro=fields["micro"],
            last_batch=placed.index,
        )
        self.batches[placed.index] = placed

    def _consumed(self, placed: Placed, fed: int) -> int:
        """Positions fed after a batch, which lists a leaf for each of the next positions."""
        positions, leaves = placed.fields["positions"], placed.fields["leaves"]
        if len(positions) != len(leaves):
            rule = "batch has another number of leaves than of positions"
            refuse(placed.index, "leaves", rule, len(positions), len(leaves))
        if not positions:
            refuse(placed.index, "positions", "batch feeds nothing", "a position", "none")
        wrong = next((i for i, p in enumerate(positions) if p != fed + i), None)
        if wrong is not None:
            rule = "positions are fed in turn, each once"
            refuse(placed.index, "positions", rule, fed + wrong, positions[wrong])
        end = fed + len(positions)
        if end > self._count:
            rule = "batch feeds more positions than an epoch has"
            refuse(placed.index, "positions", rule, f"at most {self._count}", end)
        return end

    def checkpoint(self, placed: Placed) -> None:
        """A checkpoint covers everything that was fed before it."""
        place = self.place
        for field, rule, expected in (
            ("step", "checkpoint names another step than was trained", place.step),
            ("epoch", "checkpoint names another epoch than was fed", place.epoch),
            ("consumed", "checkpoint consumed another number of positions", place.consumed),
            ("last_batch", "checkpoint names another last batch", place.last_batch),
            ("previous", "checkpoint names another one before it", place.last_checkpoint),
        ):
            require(placed, field, rule, expected)
        self.place = replace(place, last_checkpoint=placed.index)
        self._places[placed.index] = self.place
        self.checkpoints[placed.index] = placed

    def end_epoch(self, placed: Placed) -> None:
        """The current epoch ends, once."""
        place = self.place
        if place.ended or not place.consumed:
            rule = "an epoch ends once, after its batches"
            refuse(placed.index, "epoch", rule, "batches before it", f"epoch {place.epoch} ended")
        require(placed, "epoch", "end of another epoch than the one that is fed", place.epoch)
        self._require_counts(placed, place.consumed)
        self.place = replace(place, ended=True)
        self._ends[place.epoch] = placed

    def prove_epoch(self, placed: Placed) -> None:
        """A record that names an epoch's anchoring repeats what the record of its end says."""
        fields = placed.fields
        end = self._ends.get(fields["epoch"])
        if end is None:
            rule = "epoch was proven before its end"
            refuse(placed.index, "epoch", rule, "an epoch that ended", fields["epoch"])
        self._require_counts(placed, end.fields["consumed"])
        require(placed, "remainder", "epoch's end has another remainder", end.fields["remainder"])
        if fields.get("log_size", 0) > placed.index:
            rule = "epoch was anchored with a longer log than stands before its record"
            refuse(placed.index, "log_size", rule, f"at most {placed.index}", fields["log_size"])
        self._proofs.setdefault(fields["epoch"], []).append(placed)

    def _require_counts(self, placed: Placed, consumed: int) -> None:
        require(placed, "consumed", "epoch's end names another number of positions", consumed)
        rest = len(placed.fields["remainder"])
        if rest != self._count - consumed:
            rule = "epoch's remainder has the wrong length"
            refuse(placed.index, "remainder", rule, self._count - consumed, rest)

    def resume(self, placed: Placed) -> None:
        """Training goes on from a live checkpoint, or from the opening; what came after is void."""
        begin, old = placed.fields["from"], placed.record.version == ResumeFirst.VERSION
        place = self._places.get(begin)
        if place is None:
            live = ", ".join(map(str, self._places))
            refuse(placed.index, "from", "training resumes at a live checkpoint", live, begin)
        require(placed, "step", "resume names another step than its checkpoint", place.step)
        stays = self._end_at(place) if old else None
        batches, checkpoints = _later(self.batches, begin), _later(self.checkpoints, begin)
        ended = takewhile(lambda epoch: self._ends[epoch].index > begin, reversed(self._ends))
        ends = [epoch for epoch in ended if self._ends[epoch] != stays]
        proofs = [proof.index for epoch in ends for proof in self._proofs.get(epoch, [])]
        others = [*checkpoints, *(self._ends[epoch].index for epoch in ends), *proofs]
        expected = sorted(batches if old else batches + others)
        require(placed, "abandons", "resume abandons exactly what came after its start", expected)
        _remove(self.batches, batches)
        _remove(self.checkpoints, checkpoints)
        _remove(self._places, checkpoints)
        _remove(self._ends, ends)
        _remove(self._proofs, ends)
        self.place = replace(place, ended=place.ended or stays is not None)

    def _end_at(self, place: Place) -> Placed | None:
        """The logged end of an epoch at a place. The first version of `resume` let it stay."""
        end = self._ends.get(place.epoch)
        return end if end is not None and end.fields["consumed"] == place.consumed else None


def _require_turn(placed: Placed, place: Place) -> None:
    """A batch is the next micro batch of its step, or the first one of the next step."""
    now = (placed.fields["step"], placed.fields["micro"])
    following, within = (place.step + 1, 0), (place.step, place.micro + 1)
    if now != following and (now != within or not place.step):
        rule = "steps and micro batches come in turn"
        refuse(placed.index, "step, micro", rule, f"{following} or {within}", now)


def _later(kept: dict[int, Placed], begin: int) -> list[int]:
    """Indices after `begin`; no more are looked at."""
    return list(takewhile(lambda index: index > begin, reversed(kept)))


def _remove(kept: dict[int, Any], keys: Iterable[int]) -> None:
    for key in keys:
        kept.pop(key, None)
