"""What a crash must not take back: directory entries, and files that hold a key."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make a create or rename in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new_secret(path: Path, data: bytes) -> None:
    """Make a file of mode 0600 in a folder that is there; durable on return.

    Nothing is left of a file that could not be written whole: half a key would stand in the way of
    the next one, and nobody used it.

    Raises:
        FileExistsError: the name is taken; what was there stays.
        OSError: the disk refuses.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # Nothing may be encrypted or signed under a key that a crash could take back.
        sync_directory(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at an offset, however little the system takes at a time.

    Raises:
        OSError: the disk refuses; a part may be written.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
