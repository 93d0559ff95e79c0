"""The part of a log that training wrote: batches, checkpoints, ends of epochs and resumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, NoReturn

from provenance.errors import VerificationError
from provenance.log.earlier.records import ResumeFirst
from provenance.log.history import EpochHistory, Placed
from provenance.text.shown import shortened

_SHOWN = 200  # characters of a foreign value in a message
_ANCHORING = ("number", "ledger", "u_hash", "p_hash", "dataset_id", "vk_id", "log_size")


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


@dataclass(frozen=True)
class _End:
    """The logged end of an epoch.

    last_batch: index of the epoch's last batch.
    proofs: the records that name an anchoring of the epoch.
    """

    placed: Placed
    last_batch: int
    proofs: list[Placed]

    @property
    def indices(self) -> list[int]:
        """Of the end and its proofs, in order."""
        return [self.placed.index, *(proof.index for proof in self.proofs)]


def refuse(index: int, field: str, rule: str, expected: object, actual: object) -> NoReturn:
    """Name the record and the rule that it breaks; values (attacker-controlled) are cut."""
    where = f"record {index} {field}".rstrip()
    raise VerificationError(rule, where=where, expected=_cut(expected), actual=_cut(actual))


def _cut(value: object) -> str:
    return "none" if value is None else shortened(str(value), _SHOWN)


def require(placed: Placed, field: str, rule: str, expected: object) -> None:
    """A field that a record carries has the value that follows from earlier records."""
    actual = placed.fields.get(field)
    if actual != expected or type(actual) is not type(expected):
        refuse(placed.index, field, rule, expected, actual)


class TrainingFold:
    """What was fed and saved so far. `Fold` calls it only where its state allows the record.

    place: where training stands.
    count: number of positions of an epoch; 0 before the run is opened.
    batches, checkpoints: the live ones, in order.
    """

    def __init__(self) -> None:
        self.place, self.count = Place(), 0
        self.batches: list[Placed] = []
        self.checkpoints: list[Placed] = []
        self._ends: list[_End] = []  # of epochs 0, 1, ..: none begins before the end of the last
        self._places: dict[int, Place] = {0: Place()}  # of checkpoints, and of the opening

    def open(self, placed: Placed) -> None:
        """The run is opened: learn how many positions an epoch has."""
        count = placed.fields["dataset"].get("count")
        if type(count) is not int or count < 1:
            rule = "run.open does not say how many records the dataset has"
            refuse(placed.index, "dataset.count", rule, "an integer of 1 or more", count)
        self.count = count

    def epochs(self) -> tuple[EpochHistory, ...]:
        """The epochs of which batches are live, in order."""
        fed: dict[int, list[Placed]] = {}
        for batch in self.batches:
            fed.setdefault(batch.fields["epoch"], []).append(batch)
        return tuple(self._epoch(number, batches) for number, batches in fed.items())

    def _epoch(self, number: int, batches: list[Placed]) -> EpochHistory:
        end = self._end_of(number)
        return EpochHistory(
            number=number,
            batches=tuple(batches),
            consumed=sum(len(batch.fields["positions"]) for batch in batches),
            end=None if end is None else end.placed,
            proofs=() if end is None else tuple(end.proofs),
        )

    def last(self) -> tuple[Placed | None, Placed | None]:
        """The last live checkpoint and the last live batch."""
        batches, checkpoints = self.batches, self.checkpoints
        return checkpoints[-1] if checkpoints else None, batches[-1] if batches else None

    def _end_of(self, epoch: int) -> _End | None:
        return self._ends[epoch] if epoch < len(self._ends) else None

    def batch(self, placed: Placed) -> None:
        """A batch feeds the next positions of the order, in the next micro batch."""
        fields, place = placed.fields, self.place
        if fields.get("unmatched"):
            rule = "samples were fed that are not those of the pre-registered order"
            refuse(placed.index, "unmatched", rule, 0, fields["unmatched"])
        require(placed, "rank", "log is that of the first training process", 0)
        if place.ended:
            place = replace(place, epoch=place.epoch + 1, consumed=0, ended=False)
        rule = "epochs are fed in turn, each after the end of the one before"
        require(placed, "epoch", rule, place.epoch)
        _require_turn(placed, place)
        self.place = replace(
            place,
            consumed=self._consumed(placed, place.consumed),
            step=fields["step"],
            micro=fields["micro"],
            last_batch=placed.index,
        )
        self.batches.append(placed)

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
        if end > self.count:
            rule = "batch feeds more positions than an epoch has"
            refuse(placed.index, "positions", rule, f"at most {self.count}", end)
        return end

    def checkpoint(self, placed: Placed) -> None:
        """A checkpoint covers everything that was fed before it.

        Before the first batch there is only the initial adapter, checkpoint 0.
        """
        place = self.place
        if place.last_batch is None and place.last_checkpoint is not None:
            rule = "only one checkpoint, the initial adapter, stands before the first batch"
            refuse(placed.index, "checkpoint", rule, "a batch", "no batch was fed")
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
        self.checkpoints.append(placed)

    def end_epoch(self, placed: Placed) -> None:
        """The current epoch ends, once."""
        place = self.place
        if place.ended or place.last_batch is None or not place.consumed:
            rule = "an epoch ends once, after its batches"
            refuse(placed.index, "epoch", rule, "batches before it", "none since the last end")
        require(placed, "epoch", "end of another epoch than the one that is fed", place.epoch)
        for name in _ANCHORING:
            rule = "an epoch's end names no anchoring"
            require(placed, name, rule, None)
        self._require_counts(placed, place.consumed)
        self.place = replace(place, ended=True)
        self._ends.append(_End(placed, place.last_batch, []))

    def prove_epoch(self, placed: Placed) -> None:
        """A record that names an epoch's anchoring repeats what the record of its end says."""
        fields, end = placed.fields, self._end_of(placed.fields["epoch"])
        if end is None:
            rule = "epoch was proven before its end"
            refuse(placed.index, "epoch", rule, "an epoch that ended", fields["epoch"])
        for name in _ANCHORING:
            if name not in fields:
                rule = "record of a proven epoch does not say what was anchored"
                refuse(placed.index, name, rule, "a value", "none")
        self._require_counts(placed, end.placed.fields["consumed"])
        rest = "epoch's end has another remainder"
        require(placed, "remainder", rest, end.placed.fields["remainder"])
        if not end.last_batch < fields["log_size"] <= placed.index:
            rule = "anchored log covers the epoch's batches, and no more than stands before"
            expected = f"{end.last_batch + 1} to {placed.index}"
            refuse(placed.index, "log_size", rule, expected, fields["log_size"])
        end.proofs.append(placed)

    def _require_counts(self, placed: Placed, consumed: int) -> None:
        require(placed, "consumed", "epoch's end names another number of positions", consumed)
        rest = len(placed.fields["remainder"])
        if rest != self.count - consumed:
            rule = "epoch's remainder has the wrong length"
            refuse(placed.index, "remainder", rule, self.count - consumed, rest)

    def resume(self, placed: Placed) -> None:
        """Training goes on from a live checkpoint, or from the opening; what came after is void."""
        begin, old = placed.fields["from"], placed.record.version == ResumeFirst.VERSION
        place = self._places.get(begin)
        if place is None:
            rule = "training resumes at a live checkpoint, or at the opening"
            refuse(placed.index, "from", rule, "0 or a live checkpoint", begin)
        require(placed, "step", "resume names another step than its checkpoint", place.step)
        stays = self._end_at(place) if old else None
        batches, checkpoints = _later(self.batches, begin), _later(self.checkpoints, begin)
        later = takewhile(lambda end: end.placed.index > begin, reversed(self._ends))
        ends = [end for end in later if end is not stays]
        ended = [index for end in ends for index in end.indices]
        _require_abandons(placed, sorted(batches if old else [*batches, *checkpoints, *ended]))
        for index in checkpoints:
            del self._places[index]
        _drop(self.batches, len(batches))
        _drop(self.checkpoints, len(checkpoints))
        _drop(self._ends, len(ends))
        self.place = replace(place, ended=place.ended or stays is not None)

    def _end_at(self, place: Place) -> _End | None:
        """The logged end of an epoch at a place. The first version of `resume` let it stay."""
        end = self._end_of(place.epoch)
        return end if end and end.placed.fields["consumed"] == place.consumed else None


def _require_abandons(placed: Placed, expected: list[int]) -> None:
    """A `resume` abandons exactly the indices in `expected`, each named once, in order."""
    abandons = placed.fields["abandons"]
    if abandons == expected:
        return
    wanted, named = set(expected), set(abandons)
    missing, foreign = sorted(wanted - named)[:3], sorted(named - wanted)[:3]
    rule = "resume abandons exactly what is live after the record that it goes on from"
    actual = f"{len(abandons)} in which {missing} are missing and {foreign} too many"
    refuse(placed.index, "abandons", rule, f"{len(expected)} indices in order", actual)


def _require_turn(placed: Placed, place: Place) -> None:
    """A batch is the next micro batch of its step, or the first one of the next step."""
    now = (placed.fields["step"], placed.fields["micro"])
    following, within = (place.step + 1, 0), (place.step, place.micro + 1)
    if now != following and (now != within or not place.step):
        rule = "steps and micro batches come in turn"
        refuse(placed.index, "step, micro", rule, f"{following} or {within}", now)


def _later(kept: list[Placed], begin: int) -> list[int]:
    """The last ones' indices, those after `begin`; no more are looked at."""
    return [placed.index for placed in takewhile(lambda p: p.index > begin, reversed(kept))]


def _drop(kept: list[Any], count: int) -> None:
    """Drop the last ones."""
    del kept[len(kept) - count :]
