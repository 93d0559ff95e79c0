"""What was computed of a file in one verification, so that nobody computes it twice.

A verification asks in several steps whether a folder is the logged one. Its files are read once, as
long as nobody writes to them: what is found again is found under device, inode, size and times of
the open file. A file whose times are as young as the clock's steps is read each time.

Whoever can write to weights while they are verified can do so between the check of what they are
and their use, with this module or without it. It is for one verification only: outside
`reading_once` everything is computed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO, TypeVar

_YOUNG_NS = 2_000_000_000  # file systems keep times in steps of up to two seconds
_FOUND: ContextVar[dict[Hashable, Any] | None] = ContextVar("found", default=None)

T = TypeVar("T")


@contextmanager
def reading_once() -> Iterator[None]:
    """Within it, `once` remembers; one within another is the same one."""
    if _FOUND.get() is not None:
        yield
        return
    token = _FOUND.set({})
    try:
        yield
    finally:
        _FOUND.reset(token)


def once(stream: BinaryIO, what: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` gives, or gave for this very file.

    Args:
        stream: an open file, of which the result is a function.
        what: names the function and its other arguments. The result must never be changed.
    """
    found = _FOUND.get()
    state = None if found is None else _state(os.fstat(stream.fileno()))
    if found is None or state is None:
        return compute()
    key = (state, what)
    if key not in found:
        found[key] = compute()
    result: T = found[key]
    return result


def known_facts(stream: BinaryIO) -> set[Hashable] | None:
    """What steps found to hold for this very file, and may add to; None if nothing is remembered.

    Threads may share it.
    """
    found = _FOUND.get()
    state = None if found is None else _state(os.fstat(stream.fileno()))
    if found is None or state is None:
        return None
    facts: set[Hashable] = found.setdefault((state, "facts"), set())
    return facts


def _state(status: os.stat_result) -> tuple[int, ...] | None:
    """What changes if anybody writes to a file; None if it may have changed within a step."""
    if max(status.st_mtime_ns, status.st_ctime_ns) > time.time_ns() - _YOUNG_NS:
        return None
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)
