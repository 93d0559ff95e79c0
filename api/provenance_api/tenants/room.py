"""What the pushed runs of each tenant take, and may take."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import UnavailableError
from provenance.verify.sources.evidence import MAX_RUN_FOLDERS

COUNTED_S = 60.0
"""Seconds after which what a tenant's folder takes is counted again."""
MOST_RUNS = MAX_RUN_FOLDERS // 2
"""Runs that one tenant may push; the rest may lie in folders of its own."""
MOST_RUN_FILES = 20_000
"""Files of one pushed run."""


class InboxFull(UnavailableError):
    """A tenant's pushed runs take all that they may."""

    code = "inbox-full"


@dataclass
class _Taken:
    """What a tenant's folder takes, as counted at a time and changed since."""

    counted_s: float
    bytes: int
    files: dict[str, int]  # of each run


class Room:
    """Counts what lies in FOLDER/TENANT. Threads may share it.

    Args:
        most_bytes: that the runs of one tenant may take.
        clock: seconds, monotonic.
    """

    def __init__(self, folder: Path, most_bytes: int, clock: Callable[[], float]) -> None:
        self._folder, self._most_bytes, self._clock = folder, most_bytes, clock
        self._lock = threading.Lock()
        self._taken: dict[str, _Taken] = {}

    def require(self, tenant: str, run: str, more: int) -> None:
        """Check that a run may take so many bytes more.

        Raises:
            InboxFull: it may not.
        """
        taken = self._counted(tenant)
        full = (
            taken.bytes + more > self._most_bytes,
            run not in taken.files and len(taken.files) >= MOST_RUNS,
            taken.files.get(run, 0) >= MOST_RUN_FILES and more > 0,
        )
        if any(full):
            raise InboxFull(
                "pushed runs of this tenant take all that they may",
                hint="ask whoever runs the service for room",
            )

    def add(self, tenant: str, run: str, more: int, *, new: bool) -> None:
        """Count so many bytes more of a run, and a file if it is new."""
        taken = self._counted(tenant)
        with self._lock:
            taken.bytes += more
            taken.files[run] = taken.files.get(run, 0) + int(new)

    def _counted(self, tenant: str) -> _Taken:
        with self._lock:
            taken = self._taken.get(tenant)
        if taken is not None and self._clock() - taken.counted_s < COUNTED_S:
            return taken
        taken = _Taken(self._clock(), 0, {})
        root = self._folder / tenant
        for place, _, names in os.walk(root):
            run = (*Path(place).relative_to(root).parts, "")[0]
            for name in names:
                taken.files[run] = taken.files.get(run, 0) + 1
                taken.bytes += _size(Path(place) / name)
        with self._lock:
            self._taken[tenant] = taken
        return taken


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # it vanished meanwhile
