"""Training segments of a run again: which ones, from which checkpoint, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import InternalError, ProvenanceError, VerificationError
from provenance.ids import Word
from provenance.log.audit.agreement import Agreement
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, joined, segments_of
from provenance.log.record import Record
from provenance.progress import Say
from provenance.text.counted import counted
from provenance.text.shown import told
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.compare import Comparison
from provenance_trainer.replay.crew import Done, in_order, replay_each
from provenance_trainer.replay.process import Material, Task, replay_apart, sigterm_as_exit
from provenance_trainer.replay.reach import gone_before, reachable

_MOST_NAMED = 3


@dataclass(frozen=True)
class Outcome:
    """What a segment came to: its ends as far as they were compared, at least one comparison.

    Where training began earlier and went astray before it, that is the comparison.
    """

    number: int
    comparisons: tuple[Comparison, ...]

    @property
    def agreement(self) -> Agreement:
        """The worst class of any of its checkpoints."""
        return Agreement.worst([found.agreement for found in self.comparisons])


@dataclass(frozen=True)
class Training:
    """One training of a replay, of one or more segments in a row.

    segment: what was trained (its start is the publisher's checkpoint that was loaded).
    gone: folders of checkpoints that are gone, not as logged, or cannot be loaded, so that it
        began earlier.
    machine: where it was trained; None for this machine.
    """

    segment: Segment
    gone: tuple[str, ...]
    machine: str | None
    made: Replayed

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        start = self.segment.start
        loaded = start and {"record": start.index, "name": start.fields["path"][:80]}
        return {
            "first": self.segment.first,
            "last": self.segment.last,
            "loaded": loaded,
            "gone": [name[:80] for name in self.gone],
            "machine": self.machine,
        }

    def __str__(self) -> str:
        where = f" on {self.machine}" if self.machine else ""
        text = f"{self.segment}{where}: {_start(self.segment)}"
        if self.gone:
            names = ", ".join(told(name) for name in self.gone[:_MOST_NAMED])
            more = len(self.gone) - _MOST_NAMED
            few = f"{names} and {more} more" if more > 0 else names
            text += f", since {few} {'is' if len(self.gone) == 1 else 'are'} gone or of no use"
        return text


@dataclass(frozen=True)
class Replay:
    """What training a run again came to.

    count: segments of the run. outcomes: of each that was asked for, in order.
    trainings: what it took, in the order of steps.
    """

    count: int
    outcomes: tuple[Outcome, ...]
    trainings: tuple[Training, ...]

    @property
    def seconds(self) -> float:
        """Of training, all machines together."""
        return sum(each.made.seconds for each in self.trainings)

    @property
    def stack(self) -> Mapping[str, Any]:
        """Of the first process that trained; those of `others` that differ from it stand in it."""
        first, *more = (dict(each.made.stack) for each in self.trainings)
        others = [each for i, each in enumerate(more) if each != first and each not in more[:i]]
        return first | ({"others": others} if others else {})

    @property
    def worst(self) -> Comparison:
        """The first of the worst comparisons."""
        each = [found for one in self.outcomes for found in one.comparisons]
        wanted = Agreement.worst([found.agreement for found in each])
        return next(found for found in each if found.agreement is wanted)

    @property
    def agreement(self) -> Agreement:
        """The worst class of any checkpoint."""
        return self.worst.agreement

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "segments": self.count,
            "class": self.agreement.value,
            "seconds": round(self.seconds, 1),
            "stack": dict(self.stack),
            "trainings": [each.to_json() for each in self.trainings],
            "replayed": [
                {
                    "segment": one.number,
                    "class": one.agreement.value,
                    "checkpoints": [found.to_json() for found in one.comparisons],
                }
                for one in self.outcomes
            ],
        }


def replay_run(
    records: Sequence[Record],
    folders: Sequence[Path],
    numbers: Sequence[int],
    material: Material,
    say: Say,
) -> Replay:
    """Train segments of a run again in fresh processes, where `material.executor` says.

    With `local`, segments in a row are one training, which goes on from what it made itself. Where
    that is not the logged state, the next segment begins anew. With others each segment begins with
    its own checkpoint. SIGTERM ends all of it, and leaves nothing behind.

    Args:
        records: of one run, from `run.open` on (attacker-controlled).
        folders: of the run, with its checkpoints (attacker-controlled).
        numbers: segments, from 0, in order.

    Raises: as `replay_apart`, `replay_each` and `segments_of`.
    """
    history = read_history(records)
    subject = _Subject(
        history.opening,
        bytes(Word.parse(history.seed.fields["seed"] if history.seed else "")),
        segments_of(history),
        folders,
    )
    with sigterm_as_exit():
        if material.executor == "local":
            return _in_rows(subject, numbers, material, say)
        return _each_alone(subject, numbers, material, say)


@dataclass(frozen=True)
class _Subject:
    """The run that is trained again (attacker-controlled)."""

    opening: Record
    seed: bytes
    segments: Sequence[Segment]
    folders: Sequence[Path]

    def task(self, row: Sequence[int], say: Say) -> tuple[Task, tuple[str, ...]]:
        """How a row of segments is trained again, and what is gone of what it should begin with."""
        segment, places = reachable(self.segments, row, self.folders, say)
        batches = counted(len(segment.batches), "batch", "batches")
        say(f"{segment}: {batches}, {_start(segment)}")
        gone = tuple(gone_before(self.segments, row, segment))
        instead = None if segment.start is None else joined(self.segments[: row[-1] + 1])
        return Task(self.opening, self.seed, segment, places, instead), gone


def _in_rows(subject: _Subject, numbers: Sequence[int], material: Material, say: Say) -> Replay:
    outcomes, trainings, left = list[Outcome](), list[Training](), list(numbers)
    while left:
        row = _row(left)
        task, gone = subject.task(row, say)
        try:
            made = replay_apart(task, material, say)
        except ProvenanceError as error:
            raise _told_first(outcomes, error) from error
        trainings.append(_trained(subject.segments, task, gone, Done(made), say))
        new = _outcomes(subject.segments, row, made)
        outcomes, left = outcomes + new, left[len(new) :]
    return Replay(len(subject.segments), tuple(outcomes), tuple(trainings))


def _each_alone(subject: _Subject, numbers: Sequence[int], material: Material, say: Say) -> Replay:
    planned, found = [subject.task([number], say) for number in numbers], dict[int, Done]()
    try:
        replay_each([task for task, _ in planned], material, say, found)
    except ProvenanceError as error:
        raise _told_first(_of_each(subject, numbers, found), error) from error
    done = zip(planned, in_order(found), strict=True)
    trainings = [_trained(subject.segments, task, gone, each, say) for (task, gone), each in done]
    outcomes = _of_each(subject, numbers, found)
    return Replay(len(subject.segments), tuple(outcomes), tuple(trainings))


def _of_each(subject: _Subject, numbers: Sequence[int], found: Mapping[int, Done]) -> list[Outcome]:
    """What each segment came to that was trained by itself; `found`: by its place in `numbers`."""
    return [
        outcome
        for place in sorted(found)
        for outcome in _outcomes(subject.segments, [numbers[place]], found[place].made)
    ]


def _told_first(outcomes: Sequence[Outcome], error: ProvenanceError) -> ProvenanceError:
    """What ends a replay: that a segment came out `different` counts before any other error.

    Else whoever makes one segment that cannot be trained again hides all others.
    """
    each = (found for one in outcomes for found in one.comparisons)
    found = next((one for one in each if one.agreement is Agreement.DIFFERENT), None)
    if found is None or isinstance(error, VerificationError):
        return error
    return VerificationError(
        "training again makes another checkpoint than the log has",
        where=f"record {found.index} {told(found.name)}",
        expected="the logged " + ", ".join(found.differs),
        actual=str(found.distance),
        hint=f"not all segments were trained again: {error}",
    )


def _trained(
    segments: Sequence[Segment], task: Task, gone: tuple[str, ...], done: Done, say: Say
) -> Training:
    _require_whole(segments, done.made.steps)
    begun, refused = task.segment, done.made.refused
    if refused is not None and task.instead is not None:
        begun, gone = task.instead, (refused, *gone)
    for comparison in done.made.comparisons:
        say(f"{begun}: {comparison}")
    return Training(begun, gone, done.machine, done.made)


def _require_whole(segments: Sequence[Segment], steps: int) -> None:
    """The log ends where the registered configuration ends the training.

    Else a publisher could train on and ship whatever state is best for them.

    Args:
        steps: of the whole run, by that configuration.

    Raises:
        VerificationError: it ends earlier. (Later ones are found where batches are compared.)
    """
    last = segments[-1]
    if last.last < steps:
        raise VerificationError(
            "the log ends the training before the registered configuration does",
            where=f"record {last.ends[-1].index}",
            expected=f"step {steps}",
            actual=f"step {last.last}",
        )


def _row(numbers: Sequence[int]) -> Sequence[int]:
    """The first numbers, as far as each is one more than the one before."""
    length = 1
    while length < len(numbers) and numbers[length] == numbers[0] + length:
        length += 1
    return numbers[:length]


def _outcomes(segments: Sequence[Segment], row: Sequence[int], made: Replayed) -> list[Outcome]:
    """Of the segments of a row, up to the first that is not exact; of one at least."""
    compared = {found.index: found for found in made.comparisons}
    outcomes: list[Outcome] = []
    for number in row:
        ends = [compared[e.index] for e in segments[number].ends if e.index in compared]
        if not ends and outcomes:
            break
        if not ends and made.comparisons[-1].agreement is Agreement.EXACT:
            raise InternalError("a segment was not compared", where=f"segment {number}")
        outcomes.append(Outcome(number, tuple(ends) or made.comparisons[-1:]))
        if any(found.agreement is not Agreement.EXACT for found in outcomes[-1].comparisons):
            break
    return outcomes


def _start(segment: Segment) -> str:
    if segment.start is None:
        return "from the seed"
    return f"from the publisher's {told(segment.start.fields['path'])}"
