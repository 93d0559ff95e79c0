"""A file's bytes by slices, through one window. Memory does not grow with the file.

Nothing is mapped: a mapped file that its owner cuts short ends the process that reads it.
"""

from __future__ import annotations

import os
from typing import BinaryIO

_WINDOW_BYTES = 1 << 20


class FileBytes:
    """The bytes of an open file (attacker-controlled), as slices of `bytes`.

    The size is that of the moment it was opened. If the file shrinks, slices are shorter.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._fd = stream.fileno()
        self._size = os.fstat(self._fd).st_size
        self._start, self._window = 0, b""
        self._stream = stream  # keeps the descriptor open

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, wanted: slice) -> bytes:
        """As `bytes` answers; a step other than 1 is not supported."""
        start, stop, _ = wanted.indices(self._size)
        if stop - start > _WINDOW_BYTES:
            return os.pread(self._fd, stop - start, start)
        if not self._start <= start <= stop <= self._start + len(self._window):
            self._start, self._window = start, os.pread(self._fd, _WINDOW_BYTES, start)
        return self._window[start - self._start : max(start, stop) - self._start]

    def find(self, marker: bytes, start: int) -> int:
        """As `bytes.find`; `marker` has at most a window."""
        step = _WINDOW_BYTES - len(marker) + 1
        for at in range(start, self._size, step):
            found = self[at : at + _WINDOW_BYTES].find(marker)
            if found >= 0:
                return at + found
        return -1
