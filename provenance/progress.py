"""How long work tells its caller where it stands.

A `Progress` takes a sentence and, where the work is counted, how much of it is done. Each
`Progress` is also a `Say`: work that has nothing to count asks for a `Say` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str], None]
"""Takes one sentence about what happens now."""


class Progress(Protocol):
    """Told often, from the working thread: it returns quickly. What it raises ends the work."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None, /) -> None:
        """Tell that `done` of `total` parts of `stage` are finished.

        Args:
            stage: what is being done; the same text from the first part to the last.
            done: parts finished, from 0.
            total: parts in all; None where nobody knows or nothing is counted.
        """
        ...


def silent(stage: str, done: int = 0, total: int | None = None, /) -> None:
    """A `Progress` that tells nobody."""
