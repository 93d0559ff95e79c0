"""Training segments of a run again: which ones, from which checkpoint, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import Word
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, joined, segments_of
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.order import epoch_order
from provenance.progress import Say
from provenance.text.counted import counted
from provenance.text.shown import told
from provenance_trainer.record.checkpoints import folder_of, verify_checkpoint
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.compare import Agreement
from provenance_trainer.replay.process import Material, Task, replay_apart


@dataclass(frozen=True)
class Replay:
    """What training a run again came to.

    count: segments of the run. replayed: what each that was asked for came to, in order.
    """

    count: int
    replayed: tuple[Replayed, ...]

    @property
    def agreement(self) -> Agreement:
        """The worst class of any checkpoint."""
        return Agreement.worst([c.agreement for one in self.replayed for c in one.comparisons])

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "segments": self.count,
            "class": self.agreement.value,
            "replayed": [
                {
                    "segment": one.segment,
                    "steps": one.steps,
                    "seconds": round(one.seconds, 1),
                    "checkpoints": [found.to_json() for found in one.comparisons],
                }
                for one in self.replayed
            ],
        }


def drawn(count: int, wanted: int, nonce: Word) -> list[int]:
    """The segments that a nonce draws: `wanted` different ones of `count`, in order.

    Whoever fixed the run before the nonce was chosen could not know them.

    Raises:
        InputError: more are wanted than there are.
    """
    if not 1 <= wanted <= count:
        raise InputError(
            "the run has not so many segments",
            where="--segments",
            expected=f"1 to {count}, or all",
            actual=wanted,
        )
    return sorted(int(number) for number in epoch_order(bytes(nonce), 0, count)[:wanted])


def replay_run(
    records: Sequence[Record],
    folders: Sequence[Path],
    numbers: Sequence[int],
    material: Material,
    say: Say,
) -> Replay:
    """Train segments of a run again, each in a process of its own.

    Args:
        records: of one run, from `run.open` on (attacker-controlled).
        folders: of the run, with its checkpoints (attacker-controlled).
        numbers: segments, from 0.

    Raises: as `replay_apart` and `segments_of`.
    """
    history = read_history(records)
    if history.seed is None:
        raise NotFound("the run's seed was never drawn", where=", ".join(map(str, folders)))
    seed = bytes(Word.parse(history.seed.fields["seed"]))
    segments = segments_of(history)
    found = []
    for number in numbers:
        segment, folder = reachable(segments, number, folders, say)
        say(f"{segment}: {counted(len(segment.batches), 'batch', 'batches')}, {_start(segment)}")
        task = Task(history.opening, seed, segment, folder)
        found.append(replay_apart(task, material, say))
        for comparison in found[-1].comparisons:
            say(f"{segment}: {comparison}")
    return Replay(len(segments), tuple(found))


def reachable(
    segments: Sequence[Segment], number: int, folders: Sequence[Path], say: Say
) -> tuple[Segment, Path]:
    """A segment with all before it back to the newest checkpoint that is at hand as logged, or the
    seed; and the folder that holds this checkpoint.

    One that was deleted, or that somebody altered, costs time and not the replay: the seed is
    always at hand.

    Args:
        folders: one or more (attacker-controlled).
    """
    first = number
    while (start := segments[first].start) is not None:
        holding = next((each for each in folders if _is_logged(each, start, say)), None)
        if holding is not None:
            return joined(segments[first : number + 1]), holding
        first -= 1
    return joined(segments[: number + 1]), folders[0]


def _is_logged(run: Path, checkpoint: Placed, say: Say) -> bool:
    """Whether a run's folder holds a checkpoint as its record says."""
    folder = folder_of(run, checkpoint.fields["path"])
    if not folder.is_dir():
        say(f"{folder} is gone: training begins earlier")
        return False
    try:
        verify_checkpoint(folder, checkpoint.record)
    except (VerificationError, InputError, OSError) as error:
        say(f"{error}: training begins earlier")
        return False
    return True


def _start(segment: Segment) -> str:
    start = "the seed" if segment.start is None else told(segment.start.fields["path"])
    return f"from {start}"
