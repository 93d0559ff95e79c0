"""Results of pure functions of bytes that this machine computed before, on its own disk.

An entry says what was computed (function and version), of what (SHA-256 of each input, and every
other argument), the result and the day. It is believed because only its owner can write to the
folder, who could as well exchange the trust file or this program (docs/decisions/0024). So what
others own or may write to is not used, nor what is damaged or about something else. A folder that
machines share, such as a cache of CI, must not be one of these.

Processes may share a folder: an entry is written aside and renamed.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.causes import cause_of
from provenance.digest import sha256, tagged
from provenance.encoding import canonical_json, parse_json
from provenance.progress import Say

MAX_ENTRIES = 16_384
MAX_ENTRY_BYTES = 4096  # so all of them have 64 MiB at most
_FORMAT = "provenance-memo/1"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_HASH_BYTES = 32
_NEW = ".new-"
_STALE_S = 3600  # after that, a file that was written aside has no writer any more


@dataclass(frozen=True)
class Function:
    """A pure function. Another `version` is another function: raise it whenever results change."""

    name: str
    version: int


@dataclass(frozen=True)
class Kept:
    """A result that was computed before, and the day (UTC) on which it was."""

    value: Mapping[str, Any]
    day: datetime.date


class Memo:
    """Results in a folder of this user's own. Threads and processes may share it.

    Args:
        folder: is made if it is missing.
        say: told why the folder is not used, or the first entry that is not.
        fresh: use no entry; compare each with what is computed now, and replace it.
    """

    def __init__(self, folder: Path, say: Say, *, fresh: bool = False) -> None:
        """Nothing is read or written yet."""
        self._folder, self._say, self._is_fresh = folder, say, fresh
        self._fd: int | None = None
        self._is_opened = self._has_refused = False

    def get(self, function: Function, inputs: Mapping[str, Any]) -> Kept | None:
        """The result of a function for these inputs; None if it has to be computed.

        Args:
            inputs: names and values of all arguments, as canonical JSON takes them; of bytes their
                SHA-256. They may be attacker-controlled.
        """
        if self._is_fresh:
            return None
        kept, name = self._read(function, inputs), _name(function, inputs)
        folder = self._open()
        if kept is not None and folder is not None:
            with suppress(OSError):  # the oldest are removed first
                os.utime(name, dir_fd=folder)
        return kept

    def put(self, function: Function, inputs: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Keep a result that was computed now, unless it takes more than `MAX_ENTRY_BYTES`.

        A disk that refuses is said, and no error.
        """
        folder = self._open()
        if folder is None:
            return
        before = self._read(function, inputs) if self._is_fresh else None
        if before is not None and dict(before.value) != dict(value):
            self._say(
                f"warning: a result kept in {self._folder} is not what was computed now: "
                f"{function.name} of {inputs}; it is replaced"
            )
        data = _encode(function, inputs, value, datetime.datetime.now(datetime.UTC).date())
        if len(data) > MAX_ENTRY_BYTES:
            return  # it would be read as damaged each time
        aside = f"{_NEW}{secrets.token_hex(8)}"
        try:
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
            os.rename(aside, _name(function, inputs), src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            self._say(f"warning: a result is not kept in {self._folder}: {cause_of(error)}")
            with suppress(OSError):
                os.unlink(aside, dir_fd=folder)

    def trim(self) -> None:
        """Remove the entries that were not used for longest, if there are more than allowed."""
        folder = self._open()
        if folder is None:
            return
        ages = {name: _age_s(name, folder) for name in os.listdir(folder)}
        entries = sorted((n for n in ages if not n.startswith(_NEW)), key=lambda n: ages[n])
        stale = [n for n in ages if n.startswith(_NEW) and ages[n] > _STALE_S]
        surplus = entries[MAX_ENTRIES * 3 // 4 :] if len(entries) > MAX_ENTRIES else []
        for name in [*stale, *surplus]:
            with suppress(OSError):  # another process was faster
                os.unlink(name, dir_fd=folder)

    def _read(self, function: Function, inputs: Mapping[str, Any]) -> Kept | None:
        folder, name = self._open(), _name(function, inputs)
        if folder is None:
            return None
        try:
            data = _read_own(name, folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(name, cause_of(error))
            return None
        except _Unusable as error:
            self._refuse(name, str(error))
            return None
        kept = _decode(function, inputs, data)
        if kept is None:
            self._refuse(name, "it is damaged or about something else")
        return kept

    def _refuse(self, name: str, why: str) -> None:
        """Say it of the first entry."""
        if not self._has_refused:
            self._say(f"warning: {self._folder / name} is not used: {why}")
        self._has_refused = True

    def _open(self) -> int | None:
        """A descriptor of the folder; None if it is not used."""
        if not self._is_opened:
            self._is_opened = True
            self._fd = self._opened()
        return self._fd

    def _opened(self) -> int | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._folder, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._say(
                f"warning: results are not kept: {self._folder}: {cause_of(error, self._folder)}"
            )
            return None
        try:
            _require_own(os.fstat(fd))
        except _Unusable as error:
            os.close(fd)
            self._say(f"warning: results are not kept: {self._folder}: {error}")
            return None
        weakref.finalize(self, os.close, fd)
        return fd


class _Unusable(Exception):
    """Somebody else could have written it."""


def _require_own(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise _Unusable(f"it belongs to user {status.st_uid}")
    if status.st_mode & _OTHERS_WRITE:
        raise _Unusable(f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})")


def _read_own(name: str, folder: int) -> bytes:
    """An entry's bytes; of one that is too long, one byte too many."""
    fd = os.open(name, os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(fd)
        # Without a link it was replaced since it was opened, by another verifier's same result.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise _Unusable("it is no file of its own")
        _require_own(status)
        return stream.read(MAX_ENTRY_BYTES + 1)


def _age_s(name: str, folder: int) -> float:
    try:
        return time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _key(function: Function, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"function": function.name, "version": function.version, "inputs": dict(inputs)}


def _name(function: Function, inputs: Mapping[str, Any]) -> str:
    return tagged("memo", canonical_json(_key(function, inputs))).hex()


def _encode(
    function: Function, inputs: Mapping[str, Any], value: Mapping[str, Any], day: datetime.date
) -> bytes:
    facts = {"format": _FORMAT, "value": dict(value), "day": day.isoformat()}
    body = canonical_json(_key(function, inputs) | facts)
    return body + sha256(body)


def _decode(function: Function, inputs: Mapping[str, Any], data: bytes) -> Kept | None:
    """What an entry holds; None if it is not whole, or of another function, version or input."""
    body = data[:-_HASH_BYTES]
    if len(data) > MAX_ENTRY_BYTES or data[-_HASH_BYTES:] != sha256(body):
        return None
    try:
        entry = parse_json(body)
        day = datetime.date.fromisoformat(entry.pop("day"))
        value, form = entry.pop("value"), entry.pop("format")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    if form != _FORMAT or entry != _key(function, inputs) or not isinstance(value, dict):
        return None
    return Kept(value, day)
