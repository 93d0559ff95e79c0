"""Outputs are tried before the work: whoever waited for hours must not lose the result to a typing
error.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provenance.causes import cause_of
from provenance.errors import OutputError
from provenance.layout import RunFolder, write_atomically
from provenance.settings import Settings

_TRIED_BYTES = 4096  # one block: a full disk takes a name, but no content


def try_file(path: Path | None, option: str) -> None:
    """Check that a file can be written, by writing another one beside it. What is there stays.

    Args:
        path: None where the option was not given.
        option: what the user gave the path with.

    Raises:
        OutputError: a folder has this name, or its folder takes no file.
    """
    if path is None:
        return
    with _telling(path, option):
        if path.is_dir():
            raise _refused(path, option, "it is a folder, not a file", "name a file in it")
        if not _is_stream(path):
            _try(path.parent)
        elif not os.access(path, os.W_OK):
            raise _refused(path, option, "no permission to write to it")


def try_folder(path: Path | None, option: str) -> None:
    """Check that files can be written into a folder, which may be missing; see `try_file`."""
    if path is None:
        return
    with _telling(path, option):
        if path.exists() and not path.is_dir():
            raise _refused(path, option, "it is a file, not a folder", "name a folder")
        _try(path)


def try_home(settings: Settings) -> None:
    """Check that the installation's own folder can be written to; see `try_file`."""
    try_folder(settings.home, "PROVENANCE_HOME")


def try_run(run: RunFolder) -> None:
    """Check that files can be written into a run: its log, merged weights, released files.

    Raises:
        NotFound: it is no run. OutputError: one of its folders takes no file.
    """
    run.require()
    for folder in (run.root, run.evidence, run.release):
        try_folder(folder, "RUN")


def write_output(path: Path, data: bytes, option: str) -> None:
    """Write an output file that was tried: a regular file whole or not at all, a pipe as it goes.

    Raises:
        OutputError: it cannot be written any more.
    """
    with _telling(path, option):
        if not _is_stream(path):
            write_atomically(path, data)
            return
        with path.open("ab", buffering=0) as stream:
            stream.write(data)


def _is_stream(path: Path) -> bool:
    """A device, pipe or descriptor: written to, never replaced by a file of its name."""
    if path.absolute().parts[1:2] in (("dev",), ("proc",)):
        return True
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _try(folder: Path) -> None:
    """Write and remove a file in a folder, or in the nearest one above it that exists."""
    place = next(p for p in (folder, *folder.absolute().parents) if _exists(p))
    with tempfile.NamedTemporaryFile(prefix=".provenance-try-", dir=place) as stream:
        stream.write(bytes(_TRIED_BYTES))
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _telling(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(path, option, cause_of(error)) from error


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link to nothing has the name already


def _refused(path: Path, option: str, cause: str, hint: str | None = None) -> OutputError:
    return OutputError(
        "output cannot be written",
        where=f"{option} {path}",
        actual=cause,
        hint=hint or "name another place",
    )
