"""Committing a log's heads to the chain, off the training thread.

    journaled (fdatasync)  ->  head signed and stored  ->  committed (mined)  ->  final

A crash between any two leaves the log where it was: the chain's (size, root) says where to go on, and the registry refuses
whatever does not extend it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provenance.encoding import parse_json
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.log.tree import FileNodes, Head, RunLog


@dataclass(frozen=True)
class Committed:
    """The latest head a contract holds: `seq` heads so far, `size` entries under `root`."""

    seq: int
    size: int
    root: bytes


class HeadCommitter(Protocol):
    """The chain as an anchorer sees it; both calls raise UnavailableError when it does not answer."""

    def committed(self, run_id: bytes) -> Committed: ...
    def commit(self, run_id: bytes, seq: int, head: Head, proof: list[bytes]) -> None: ...


@dataclass(frozen=True)
class SignedHead:
    """One line of heads.jsonl."""

    head: Head
    seq: int
    signature: bytes

    def to_line(self) -> bytes:
        value = {
            "run_id": "0x" + self.head.run_id.hex(),
            "seq": self.seq,
            "size": self.head.size,
            "root": "0x" + self.head.root.hex(),
            "digest": str(self.head.digest),
            "signature": "0x" + self.signature.hex(),
        }
        return json.dumps(value, sort_keys=True).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> SignedHead:
        """Read one line (attacker-controlled).

        Raises:
            InputError: malformed.
        """
        try:
            v = parse_json(line)
            head = Head(
                bytes.fromhex(v["run_id"][2:]), _u64(v["size"]), bytes.fromhex(v["root"][2:])
            )
            result = cls(head, _u64(v["seq"]), bytes.fromhex(v["signature"][2:]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("not a signed head", actual=repr(line[:80])) from error
        if len(head.run_id) != 32 or len(head.root) != 32:
            raise InputError("not a signed head", actual=repr(line[:80]))
        return result


def _u64(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise ValueError("not a u64")
    return value


def read_heads(path: Path) -> list[SignedHead]:
    """Signed heads of a run, oldest first; a torn last line is ignored (the head is signed again)."""
    if not path.is_file():
        return []
    return [
        SignedHead.parse(line)
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


class Anchorer:
    """Brings the chain's head of one run up to its journal.

    Args:
        durable: How many frames survive a crash now; only those are ever committed.
        sign: Makes the EIP-712 signature of a head.
    """

    def __init__(
        self,
        run_id: bytes,
        journal: Path,
        heads: Path,
        nodes: Path,
        committer: HeadCommitter,
        sign: Callable[[Head], bytes],
        durable: Callable[[], int],
    ) -> None:
        self._run_id, self._heads, self._committer, self._sign, self._durable = (
            run_id,
            heads,
            committer,
            sign,
            durable,
        )
        self._log = RunLog(journal, FileNodes(nodes))

    def anchor(self) -> Committed:
        """Commit everything durable; returns the chain's head afterwards.

        Raises:
            UnavailableError: the chain does not answer; nothing is lost, call again.
            VerificationError: the chain holds a head that this journal does not extend.
        """
        size = self._log.refresh(self._durable())
        state = self._committer.committed(self._run_id)
        if state.size > size or (state.size and self._log.tree.root(state.size) != state.root):
            raise VerificationError(
                "the chain's head is not a prefix of this journal",
                where="0x" + self._run_id.hex(),
                expected=f"{state.size} entries under 0x{state.root.hex()}",
                actual=f"{size} entries",
                hint="the journal was changed or replaced; restore it",
            )
        if size == state.size:
            return state
        head = self._log.head(self._run_id, size)
        self._store(SignedHead(head, state.seq + 1, self._sign(head)))
        self._committer.commit(
            self._run_id, state.seq + 1, head, self._log.tree.consistency_proof(state.size, size)
        )
        return Committed(state.seq + 1, head.size, head.root)

    def _store(self, signed: SignedHead) -> None:
        fd = os.open(self._heads, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            data = os.pread(fd, os.fstat(fd).st_size, 0)
            end = data.rfind(b"\n") + 1  # a torn last line is overwritten
            os.ftruncate(fd, end)
            os.pwrite(fd, signed.to_line(), end)
            os.fdatasync(fd)
        except OSError as error:
            raise UnavailableError(
                "cannot store signed head", where=str(self._heads), actual=error.strerror
            ) from error
        finally:
            os.close(fd)

    def close(self) -> None:
        self._log.close()


class AnchorThread:
    """Runs an Anchorer every `interval_s` seconds and whenever asked; failures become status, never exceptions in training."""

    def __init__(
        self, anchorer: Anchorer, interval_s: float, report: Callable[[str], None]
    ) -> None:
        self._anchorer, self._interval_s, self._report = anchorer, interval_s, report
        self._wake = threading.Event()
        self._stop = False
        self._lock = threading.Lock()
        self._status = "no head committed yet"
        self._failing = False
        self.anchored = Committed(0, 0, b"")
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Anchor soon; returns at once."""
        self._wake.set()

    def status(self) -> str:
        return self._status

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            if not self._stop:
                self._try()

    def _try(self) -> bool:
        with self._lock:
            try:
                self.anchored = self._anchorer.anchor()
            except (
                Exception
            ) as error:  # a defect here must be seen, and must neither end training nor this thread
                self._status = f"anchoring is behind: {error}"
                if not self._failing:
                    self._report(self._status)
                self._failing = True
                return False
            if self._failing:
                self._report("anchoring works again; backlog drained")
            self._failing = False
            self._status = f"{self.anchored.size} records anchored in {self.anchored.seq} heads"
            return True

    def close(self) -> bool:
        """Stop after one last try; true if everything durable is on the chain."""
        self._stop = True
        self._wake.set()
        self._thread.join()
        done = self._try()
        self._anchorer.close()
        return done
