"""What a witness signed last of each log, on disk before a signature leaves.

One file for each origin, in `heads/` of the witness's folder. An older copy of that folder must
never be put back: a witness that has forgotten what it signed signs a fork.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from provenance.causes import cause_of
from provenance.errors import Conflict, InputError, ProvenanceError
from provenance.ids import from_hex, to_hex
from provenance.layout import read_json, write_json
from provenance.log.witness.cosignature import Cosignature
from provenance.merkle import EMPTY_ROOT, verify_consistency

_FORMAT = "provenance-witness-head/1"


class Stale(Conflict):
    """The log does not begin where this witness signed last. `size` says where it did."""

    def __init__(self, origin: str, size: int, old: int) -> None:
        super().__init__(
            "witness signed another size of this log last", where=origin, expected=size, actual=old
        )
        self.size = size


class Forgotten(ProvenanceError):
    """What a witness signed last cannot be read, so it signs nothing."""

    code: ClassVar[str] = "witness-memory"


@dataclass(frozen=True)
class Step:
    """From the first `old` entries of a log to the head (size, root), with the proof of it."""

    origin: str
    old: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


class Memory:
    """The heads that a witness signed last. Threads may share it; other processes are kept out.

    Args:
        folder: the witness's own, which `prepare` made.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder until `close`.

        Raises:
            InputError: it is no witness's folder.
            Conflict: another process has it.
        """
        self._heads, self._lock = folder / "heads", threading.Lock()
        if not self._heads.is_dir():
            raise InputError(
                "not the folder of a witness",
                where=str(folder),
                expected="a folder heads in it",
                hint="make one with: provenance witness --init NAME",
            )
        try:
            self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError(
                "witness's folder cannot be used", where=str(folder), actual=cause_of(error)
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise Conflict("another process is this witness already", where=str(folder)) from error

    @staticmethod
    def prepare(folder: Path) -> None:
        """Make the folder of a witness that has signed nothing.

        Raises:
            OSError: the disk refuses.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "heads").mkdir(exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)

    def advance(self, step: Step, sign: Callable[[], Cosignature]) -> Cosignature:
        """Check that a step begins where this witness stands, remember its end, and then sign.

        All of it is done by one caller at a time: of two steps from one head that lead to
        different ones, the second is refused. What is remembered is durable before `sign` runs.

        Args:
            step: attacker-controlled.

        Raises:
            Stale: the step begins elsewhere.
            VerificationError: its end does not extend its beginning.
            Forgotten: what was signed last cannot be read.
            OutputError: the disk refuses; nothing was signed.
        """
        with self._lock:
            size, root = self._last(step.origin)
            if step.old != size:
                raise Stale(step.origin, size, step.old)
            verify_consistency(size, step.size, step.proof, root, step.root)
            if (step.size, step.root) != (size, root) or not self._path(step.origin).exists():
                self._remember(step)
            return sign()

    def _path(self, origin: str) -> Path:
        return self._heads / f"{hashlib.sha256(origin.encode()).hexdigest()}.json"

    def _remember(self, step: Step) -> None:
        value = {
            "format": _FORMAT,
            "origin": step.origin,
            "size": step.size,
            "root": to_hex(step.root),
        }
        write_json(self._path(step.origin), value)

    def _last(self, origin: str) -> tuple[int, bytes]:
        """(size, root) of the head signed last, those of an empty log before the first."""
        path = self._path(origin)
        if not os.path.lexists(path):
            return 0, EMPTY_ROOT
        try:
            value = read_json(path)
            size, root = value["size"], from_hex(value["root"], 32)
            is_form = value.get("format") == _FORMAT and type(size) is int and size >= 0
            if not is_form or value.get("origin") != origin:
                raise InputError("of another form or log")
        except (KeyError, ProvenanceError) as error:
            raise Forgotten(
                "what was signed last of this log cannot be read, so nothing is signed",
                where=str(path),
                actual=error,
                hint="restore the newest copy of the file; never an older one",
            ) from error
        return size, root
