"""How far what was trained again agrees with the log (docs/replay.md)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Agreement(StrEnum):
    """The classes of a comparison, the best one first."""

    EXACT = "exact"
    CLOSE = "close"
    UNKNOWN = "unknown"
    DIFFERENT = "different"

    @classmethod
    def worst(cls, found: Iterable[str]) -> Agreement:
        """The worst of one or more, each one of the classes."""
        return max(map(cls, found), key=list(cls).index)
