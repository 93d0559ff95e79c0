"""How a run's training stands in a verdict: its segments, and who trained which of them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_STRETCHES = 256
"""How many parts of a training a verdict tells apart. Of more segments, those in a row are one."""


@dataclass(frozen=True)
class Stretch:
    """A segment of a training, or several in a row.

    first, last: optimizer steps, from 1; `last` is `first` - 1 where nothing was trained.
    batches: how many were fed. count: how many segments these are, at least one.
    end: what the log calls the checkpoint at the end; the publisher's words, told.
    here: how many of them came out in each class where this verifier trained them again.
    audited: how many of them as many auditors as needed found exact.
    auditors: how many came out in each class, by the name of the auditor who signed so. Names are
        those of the trust file.
    """

    first: int
    last: int
    batches: int
    count: int
    end: str
    here: Mapping[str, int]
    audited: int
    auditors: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """The form in verdicts."""
        return {
            "first": self.first,
            "last": self.last,
            "batches": self.batches,
            "count": self.count,
            "end": self.end,
            "here": dict(self.here),
            "audited": self.audited,
            "auditors": [
                {"name": name, "classes": dict(classes)} for name, classes in self.auditors.items()
            ],
        }


@dataclass(frozen=True)
class Training:
    """The training of a run whose log was checked, from its first step to its last.

    count: how many segments it has.
    needed: how many auditors must have found a segment exact; None if the trust file names none.
    drawn_by: the number of the block that drew all that auditors signed; None if they drew
        themselves, or signed nothing that counts.
    segments: in order, at most `MAX_STRETCHES`; together they are the whole training.
    """

    count: int
    needed: int | None
    drawn_by: int | None
    segments: tuple[Stretch, ...]

    def to_json(self) -> dict[str, Any]:
        """The form in verdicts."""
        return {
            "count": self.count,
            "needed": self.needed,
            "drawn_by": self.drawn_by,
            "segments": [stretch.to_json() for stretch in self.segments],
        }
