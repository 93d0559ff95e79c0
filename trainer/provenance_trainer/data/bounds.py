"""Running a chat template, which is a program from somebody else, under limits.

A template may recurse, loop, or multiply a text without end. jinja's sandbox bounds none of this,
and a verifier writes the records of a foreign run with a foreign template. So a template runs in a
thread of its own, with the recursion limit that Python begins with (`py_ecc` raises it to 100,000,
where the thread's stack overflows and the process dies), and for a limited time and memory. The
limits belong to the process, so one template runs at a time.
"""

from __future__ import annotations

import ctypes
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_SECONDS = 20.0
MAX_LETTERS = 1 << 24
_MAX_BYTES = 4 << 30
_MAX_DEPTH = 1000
_GRACE_S = 5.0
_LOCK = threading.Lock()


class OutOfTimeError(Exception):
    """A call took longer than it may."""


def bounded(call: Callable[[], Any], seconds: float = MAX_SECONDS) -> Any:
    """The result of a call under the limits.

    Raises:
        OutOfTimeError: it took too long. RecursionError, MemoryError: as named. Whatever it raises.
    """
    result: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            failed.append(error)

    with _LOCK, _limits():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            _interrupt(thread)
    if result:
        return result[0]
    raise failed[0] if failed else OutOfTimeError(f"no end after {seconds:g} s")


def _interrupt(thread: threading.Thread) -> None:
    """Raise in the thread; one that is in a single long operation of C is left to itself."""
    raised = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raised(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTimeError))
    thread.join(_GRACE_S)


@contextmanager
def _limits() -> Iterator[None]:
    depth = sys.getrecursionlimit()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = _address_space()
    try:
        if size is not None:
            wanted = size + _MAX_BYTES
            known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *known]), hard))
        sys.setrecursionlimit(min(depth, _MAX_DEPTH))
        yield
    finally:
        sys.setrecursionlimit(depth)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Bytes of this process's address space; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return pages * resource.getpagesize()
