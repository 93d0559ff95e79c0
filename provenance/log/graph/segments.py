"""Segments of a run: what lies between two checkpoints, and can be trained again by itself.

The first begins with the seed of the configuration, which anybody can begin with. The others begin
with a checkpoint. Each ends with checkpoints that the log names; the last one also with the adapter
that was shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provenance.errors import NotFound, VerificationError
from provenance.log.history import History, Placed
from provenance.text.shown import told

_SAVED = "checkpoint-"
"""How Trainer names the folders that training can go on from."""


@dataclass(frozen=True)
class Segment:
    """Steps `first` to `last` of a run, as its log tells them.

    number: from 0.
    start: the checkpoint it begins with; None for the seed.
    ends: what it ends with, at least one: a checkpoint, the shipped adapter, or both.
    batches: those that were fed, in order.
    """

    number: int
    start: Placed | None
    ends: tuple[Placed, ...]
    batches: tuple[Placed, ...]

    @property
    def first(self) -> int:
        """The first optimizer step, from 1."""
        return 1 + (0 if self.start is None else int(self.start.fields["step"]))

    @property
    def last(self) -> int:
        """The last optimizer step; `first` - 1 if nothing was trained."""
        return int(self.ends[-1].fields["step"])

    @property
    def fed(self) -> Mapping[tuple[int, int], Placed]:
        """The batches by optimizer step and micro step."""
        return {(b.fields["step"], b.fields["micro"]): b for b in self.batches}

    def __str__(self) -> str:
        return f"steps {self.first} to {self.last}"


def joined(segments: Sequence[Segment]) -> Segment:
    """One or more segments in a row as one, which ends with the ends of all."""
    return Segment(
        segments[-1].number,
        segments[0].start,
        tuple(end for segment in segments for end in segment.ends),
        tuple(batch for segment in segments for batch in segment.batches),
    )


def is_resumable(checkpoint: Placed) -> bool:
    """Whether a record is about a folder of Trainer's. The shipped adapter has no optimizer."""
    return str(checkpoint.fields["path"]).rpartition("/")[2].startswith(_SAVED)


def end_of(history: History) -> int:
    """Index of the record `run.close`.

    Raises:
        NotFound: the training has not ended.
    """
    if history.close is None or history.seed is None:
        raise NotFound(
            "the run's training has not ended, so it cannot be done again",
            hint="end it: the same `provenance train` again",
        )
    return history.close.index


def segments_of(history: History) -> tuple[Segment, ...]:
    """All segments of a run, in order. Together they hold every live batch, once.

    Raises:
        NotFound: the training has not ended.
        VerificationError: there is no checkpoint, the last one does not cover the last batch, or
            one is called by another step than its own.
    """
    end_of(history)
    final = history.final_checkpoint
    found: list[Segment] = []
    start: Placed | None = None
    taken = 0
    for checkpoint in history.checkpoints:
        if is_resumable(checkpoint):
            _require_own_name(checkpoint, start)
        elif checkpoint is not final:
            continue
        end = taken
        while end < len(history.batches) and history.batches[end].index < checkpoint.index:
            end += 1
        batches, taken = history.batches[taken:end], end
        if not batches and found:  # the same state again: the adapter that is shipped
            last = found.pop()
            found.append(Segment(last.number, last.start, (*last.ends, checkpoint), last.batches))
        else:
            found.append(Segment(len(found), start, (checkpoint,), batches))
        start = checkpoint
    return tuple(found)


def _require_own_name(checkpoint: Placed, before: Placed | None) -> None:
    """A checkpoint's folder is called by its step, and each is of a later step than the one before.

    Else a log could name an earlier state in the place of what its batches made.
    """
    step = checkpoint.fields["step"]
    least = 1 if before is None else int(before.fields["step"]) + 1
    if checkpoint.fields["path"] != f"{_SAVED}{step}" or step < least:
        raise VerificationError(
            "checkpoint is called by another step than its own, or comes after a later one",
            where=f"record {checkpoint.index}",
            expected=f"{_SAVED}N of step N, {least} or more",
            actual=f"{told(checkpoint.fields['path'])} of step {step}",
        )
