"""Why a file cannot be used, in words: what an error number or a file's first bytes stand for.

Messages name the cause that a user can act on. "Not a directory" does not say which part of a path
is a file, and "not JSON" hides that a Git LFS pointer was downloaded in the place of the file.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

NEAR = 0.75
"""Least ratio of difflib at which a name is offered in the place of another."""
_MOST_SIBLINGS = 1000
_MOST_LETTERS = 200

_SHORT = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "its file system is read-only",
    errno.EFBIG: "the file system takes no file of this size",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EMFILE: "this process has too many files open (ulimit -n)",
    errno.ENFILE: "this machine has too many files open",
    errno.EIO: "the disk failed (input/output error)",
    errno.ENXIO: "nobody reads from this pipe",
    errno.ETXTBSY: "it is a program that runs now",
}
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Error numbers that only writing ends with."""


def near(name: str, known: Iterable[str], ratio: float = NEAR) -> str | None:
    """The one of `known` that `name` may stand for; None unless one is near.

    Args:
        ratio: least ratio of difflib, 0 to 1. Where a wrong offer does no harm it may be lower.
    """
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=ratio)
    return found[0] if found else None


def near_file(name: str, known: Iterable[str], ratio: float = NEAR) -> str | None:
    """As `near`, for names of files: a common ending alone, such as `.jsonl`, makes none near."""
    stem = difflib.SequenceMatcher(b=Path(name).stem)
    found = []
    for other in known:
        stem.set_seq1(Path(other).stem)
        if stem.ratio() >= ratio:
            found.append(other)
    return near(name, found, ratio)


def cause_of(error: OSError, path: Path | None = None) -> str:
    """What stands in the way, by looking at the path once more.

    Args:
        path: what was opened or made; None for the one that the error names.
    """
    name = path if path is not None else error.filename
    number = error.errno
    if number in _LOOKS and isinstance(name, str | os.PathLike):
        # Where it cannot be looked at either, the error's own words have to do.
        with contextlib.suppress(OSError):
            return _LOOKS[number](Path(name))
    return _SHORT.get(number or 0) or error.strerror or type(error).__name__


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"it is a link to nothing ({path.readlink()})"
    parent = path.parent
    if not parent.exists():
        top = next(p for p in (parent, *parent.parents) if p.parent.exists())
        return f"there is no folder {top}"
    if os.fspath(parent).startswith(("/proc", "/sys")):
        return f"{parent} belongs to the kernel, which has no such file and takes none"
    with os.scandir(parent) as entries:
        siblings = [entry.name for entry in itertools.islice(entries, _MOST_SIBLINGS)]
    other = near_file(path.name, siblings)
    return "there is no such file" + (f"; did you mean {other}?" if other else "")


def _through_a_file(path: Path) -> str:
    for part in (*reversed(path.parents), path):
        if part.exists() and not part.is_dir():
            return f"{part} is a file, not a folder"
    return "a part of its path is no folder"


def _folder(path: Path) -> str:
    return "it is a folder, not a file"


def _link(path: Path) -> str:
    if path.is_symlink():
        return f"it is a symbolic link (to {path.readlink()}), which is not followed here"
    return "links on its path lead in a circle"


def _denied(path: Path) -> str:
    """Names the first part of the path that this user may not pass, else the file."""
    parts = [p for p in reversed(path.parents) if p.is_dir() and not os.access(p, os.X_OK)]
    culprit = parts[0] if parts else path if path.exists() else path.parent
    status = culprit.stat()
    mode = stat.S_IMODE(status.st_mode)
    if os.access(culprit, os.R_OK | os.W_OK):
        return f"the system refuses {culprit}, though its mode is {mode:04o} (immutable?)"
    return f"no permission: {culprit} has mode {mode:04o} and belongs to {_user(status.st_uid)}"


def _user(uid: int) -> str:
    return "you" if uid == os.geteuid() else f"user {uid}"


_LOOKS: dict[int | None, Callable[[Path], str]] = {
    errno.ENOENT: _missing,
    errno.ENOTDIR: _through_a_file,
    errno.EEXIST: _through_a_file,
    errno.EISDIR: _folder,
    errno.ELOOP: _link,
    errno.EACCES: _denied,
    errno.EPERM: _denied,
}

_ZEROS = 64  # bytes; no format of models or data begins with so many
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a Git LFS pointer begins. Source: the Git LFS specification."""
_STAND_INS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file itself: git lfs pull"),
    (b"<!doctype html", "it is a web page (HTML): was a sign-in or error page downloaded?"),
    (b"<html", "it is a web page (HTML): was a sign-in or error page downloaded?"),
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"<?xml", "it is XML"),
    (b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"),
    (b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (b"\xff\xfe", "it is UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16 text; save it as UTF-8"),
    (b"\xef\xbb\xbf", "it begins with a byte order mark; save it as UTF-8 without one"),
    (b"GGUF", "it is a GGUF model"),
)


def yaml_cause(error: Exception) -> str:
    """What is wrong with a YAML text and where, on one line; PyYAML takes seven."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(f"{problem}{place}".split())[:_MOST_LETTERS]


def stand_in(data: bytes) -> str | None:
    """What came in the place of a file of whatever kind: nothing, a pointer, or a web page.

    Args:
        data: the beginning is enough (attacker-controlled); `b""` means that the file is empty.
    """
    if not data:
        return "the file is empty"
    if len(data) >= _ZEROS and not data.strip(b"\0"):
        return "it begins with zeros, as a file does that was never filled"
    return _meaning(data, _STAND_INS)


def content_cause(data: bytes) -> str | None:
    """What the bytes of a file show it to be instead of text; None where they do not tell.

    Args:
        data: as for `stand_in`.
    """
    if data and not data[:64].strip():
        return "the file holds nothing but blanks"
    found = stand_in(data) or _meaning(data, _OTHERS)
    return found or ("it is binary, not text" if b"\0" in data[:1024] else None)


def _meaning(data: bytes, table: Sequence[tuple[bytes, str]]) -> str | None:
    start = data[:64].lstrip()
    lower = start.lower()
    for beginning, meaning in table:
        if start.startswith(beginning) or lower.startswith(beginning):
            return meaning
    return None
