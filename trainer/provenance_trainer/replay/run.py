"""Training segments of a run again: which ones, from which checkpoint, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import InputError, InternalError, VerificationError
from provenance.ids import Word
from provenance.log.audit.agreement import Agreement
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, joined, segments_of
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.progress import Say
from provenance.text.counted import counted
from provenance.text.shown import told
from provenance_trainer.record.checkpoints import folder_of
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.compare import Comparison
from provenance_trainer.replay.process import Material, Task, replay_apart
from provenance_trainer.replay.start import PARTS, require_part


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
class Replay:
    """What training a run again came to.

    count: segments of the run. outcomes: of each that was asked for, in order.
    stack: of the processes that trained. seconds: of training.
    """

    count: int
    outcomes: tuple[Outcome, ...]
    stack: Mapping[str, Any]
    seconds: float

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
    """Train segments of a run again, each row of them in a process of its own.

    Segments in a row are one training, which goes on from what it made itself. Where that is not
    the logged state, the next segment begins anew.

    Args:
        records: of one run, from `run.open` on (attacker-controlled).
        folders: of the run, with its checkpoints (attacker-controlled).
        numbers: segments, from 0, in order.

    Raises: as `replay_apart` and `segments_of`.
    """
    history = read_history(records)
    segments = segments_of(history)
    seed = bytes(Word.parse(history.seed.fields["seed"] if history.seed else ""))
    outcomes, left, seconds = list[Outcome](), list(numbers), 0.0
    stack: Mapping[str, Any] = {}
    while left:
        row = _row(left)
        segment, places = reachable(segments, row, folders, say)
        say(f"{segment}: {counted(len(segment.batches), 'batch', 'batches')}, {_start(segment)}")
        made = replay_apart(Task(history.opening, seed, segment, places), material, say)
        _require_whole(segments, made.steps)
        for comparison in made.comparisons:
            say(f"{segment}: {comparison}")
        new = _outcomes(segments, row, made)
        outcomes, left, seconds = outcomes + new, left[len(new) :], seconds + made.seconds
        stack = made.stack
    return Replay(len(segments), tuple(outcomes), stack, seconds)


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


def reachable(
    segments: Sequence[Segment], row: Sequence[int], folders: Sequence[Path], say: Say
) -> tuple[Segment, Sequence[Path]]:
    """A row of segments with all before it back to the newest checkpoint that is at hand, or the
    seed; and the folders, the one that holds this checkpoint first.

    One that was deleted, or that somebody altered, costs time and not the replay: the seed is
    always at hand.

    Args:
        folders: one or more (attacker-controlled).
    """
    first = row[0]
    while (start := segments[first].start) is not None:
        holding = next((each for each in folders if _is_logged(each, start, say)), None)
        if holding is not None:
            others = [each for each in folders if each != holding]
            return joined(segments[first : row[-1] + 1]), [holding, *others]
        first -= 1
    return joined(segments[: row[-1] + 1]), folders


def _is_logged(run: Path, checkpoint: Placed, say: Say) -> bool:
    """Whether a run's folder holds all that training goes on from, as the record names it."""
    folder = folder_of(run, checkpoint.fields["path"])
    if not folder.is_dir():
        say(f"{run}: {told(folder.name)} is gone: training begins earlier")
        return False
    try:
        for part, name in PARTS.items():
            require_part(folder / name, checkpoint, part)
    except (VerificationError, InputError, OSError) as error:
        say(f"{error}: training begins earlier")
        return False
    return True


def _start(segment: Segment) -> str:
    start = "the seed" if segment.start is None else told(segment.start.fields["path"])
    return f"from {start}"
