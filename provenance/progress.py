"""Progress reports: how work that takes long tells its caller what it does, and how far it is.

A `Progress` takes a sentence and, where the work is counted, how much of it is done. Each
`Progress` is also a `Say`: work that has nothing to count asks for a `Say` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str], None]
"""Takes one sentence about what happens now."""


class Progress(Protocol):
    """Called often, in the thread that works, so it must return quickly.

    An exception that it raises ends the work.
    """

    def __call__(self, task: str, done: int = 0, total: int | None = None, /) -> None:
        """Tell that `done` of `total` parts of `task` are finished.

        Args:
            task: what is being done; the same text from the first part to the last.
            done: parts finished, from 0.
            total: parts in all; None if the number is unknown or nothing is counted.
        """
        ...


def silent(task: str, done: int = 0, total: int | None = None, /) -> None:
    """A `Progress` that tells nobody."""
