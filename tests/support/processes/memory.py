"""Calls that may take only so much memory above that of the process that makes them."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

MB = 1_000_000


def refused_within(bound: int, call: Callable[[], object]) -> str:
    """The words of the error that `call` raises, in a process that may take `bound` more bytes.

    Fails if nothing is refused, or if the memory does not suffice. Source: getrlimit(2),
    RLIMIT_DATA counts private writable memory.
    """
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        words = "nothing was refused"
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + bound,) * 2)
            call()
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, json.dumps(words).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        words = str(json.loads(stream.read()))
    os.waitpid(child, 0)
    assert words != "nothing was refused"
    assert "MemoryError" not in words
    return words


def _data_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData"))
    return int(line.split()[1]) * 1024
