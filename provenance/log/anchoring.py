"""Committing a log's heads to the chain, off the training thread.

    journaled (fdatasync)  ->  head signed and stored  ->  committed (mined)  ->  final

A crash between any two leaves the log where it was: the chain's (size, root) says where to go on,
and the registry refuses whatever does not extend it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provenance.causes import cause_of
from provenance.digest import open_regular
from provenance.encoding import parse_json
from provenance.errors import InputError, ProvenanceError, UnavailableError, VerificationError
from provenance.ids import RunId, from_hex, to_hex
from provenance.layout import RunFolder, append_line
from provenance.log.tree import FileNodes, Head, RunLog
from provenance.progress import Say

MAX_HEADS_BYTES = 16 << 20


@dataclass(frozen=True)
class Committed:
    """The latest head a contract holds: `seq` heads so far, `size` entries under `root`."""

    seq: int
    size: int
    root: bytes


class HeadCommitter(Protocol):
    """An owner's account on a chain, as an anchorer sees it.

    `committed` and `commit` raise UnavailableError when the chain does not answer.
    """

    def sign_head(self, head: Head) -> bytes:
        """The owner's EIP-712 signature, 65 bytes."""
        ...

    def committed(self, run_id: RunId) -> Committed:
        """What the registry holds of a run."""
        ...

    def commit(self, seq: int, head: Head, proof: list[bytes]) -> None:
        """Make `head` the run's head number `seq`; `proof` shows that it extends the one before."""
        ...


@dataclass(frozen=True)
class SignedHead:
    """One line of heads.jsonl: the head, its number on chain, and the owner's signature of it."""

    head: Head
    seq: int
    signature: bytes

    def to_line(self) -> bytes:
        """JSON and a newline (docs/formats/log.md). Law: `SignedHead.parse(h.to_line()) == h`."""
        value = {
            "run_id": str(self.head.run_id),
            "seq": self.seq,
            "size": self.head.size,
            "root": to_hex(self.head.root),
            "digest": str(self.head.digest),
            "signature": to_hex(self.signature),
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
            head = Head(RunId.parse(v["run_id"]), _u64(v["size"]), from_hex(v["root"], 32))
            return cls(head, _u64(v["seq"]), from_hex(v["signature"]))
        except (ValueError, KeyError, TypeError, ProvenanceError) as error:
            raise InputError("not a signed head", actual=repr(line[:80])) from error


def _u64(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise ValueError("not a u64")
    return value


def read_heads(path: Path) -> list[SignedHead]:
    """Signed heads of a run, oldest first (the file is attacker-controlled).

    Raises:
        InputError: a malformed line, more than `MAX_HEADS_BYTES`, a link, or not a regular file.
    """
    if not os.path.lexists(path):
        return []
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_HEADS_BYTES:
            raise InputError(
                "too many signed heads",
                where=str(path),
                expected=f"<= {MAX_HEADS_BYTES} bytes",
                actual=f"{size} bytes",
            )
        return parse_heads(stream.read(size))


def parse_heads(data: bytes) -> list[SignedHead]:
    """The lines of heads.jsonl (attacker-controlled), at most `MAX_HEADS_BYTES`, in their order.

    A torn last line is left out: the owner signs that head again.

    Raises:
        InputError: a malformed line.
    """
    lines = data.splitlines(keepends=True)
    return [SignedHead.parse(line) for line in lines if line.endswith(b"\n")]


class Anchorer:
    """Brings the chain's head of one run up to its journal.

    Args:
        folder: The run's; its journal is read, its signed heads are written.
        committer: Who signs the heads, and where they go.
        durable: How many frames survive a crash now; only those are ever committed.
    """

    def __init__(
        self,
        run_id: RunId,
        folder: RunFolder,
        committer: HeadCommitter,
        durable: Callable[[], int],
    ) -> None:
        self._run_id, self._heads = run_id, folder.heads
        self._committer, self._durable = committer, durable
        self._log = RunLog(folder.journal, FileNodes(folder.nodes))

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
                where=str(self._run_id),
                expected=f"{state.size} entries under {to_hex(state.root)}",
                actual=f"{size} entries",
                hint="the journal was changed or replaced; restore it",
            )
        if size == state.size:
            return state
        head = self._log.head(self._run_id, size)
        seq, proof = state.seq + 1, self._log.tree.consistency_proof(state.size, size)
        self._store(SignedHead(head, seq, self._committer.sign_head(head)))
        self._committer.commit(seq, head, proof)
        return Committed(seq, head.size, head.root)

    def _store(self, signed: SignedHead) -> None:
        try:
            append_line(self._heads, signed.to_line())  # a torn one is overwritten: signed again
        except OSError as error:
            raise self._unstored(error) from error

    def _unstored(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            "cannot store signed head",
            where=str(self._heads),
            actual=cause_of(error, self._heads),
        )

    def close(self) -> None:
        """Remove the tree's files; journal and heads stay."""
        self._log.close()


class AnchorThread:
    """Runs an Anchorer every `interval_s` seconds and whenever asked.

    A failure becomes `status`, and is told to `report` once: it never ends training.
    """

    def __init__(self, anchorer: Anchorer, interval_s: float, report: Say) -> None:
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
        """One sentence: what is anchored, or why anchoring is behind."""
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
            except Exception as error:
                # A defect must be seen, and must end neither training nor this thread.
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
