"""How a log asks a witness for its cosignature: the body of `add-checkpoint`.

Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from provenance.errors import InputError
from provenance.log.c2sp import parse_size
from provenance.log.witness.note import MAX_NOTE_BYTES, Note, from_base64

PATH = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
"""Content type of the answer 409, whose body is the size that the witness signed last."""
MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = MAX_NOTE_BYTES + 64 * (MAX_PROOF_LINES + 1)
_NODE_BYTES = 32


@dataclass(frozen=True)
class AddCheckpoint:
    """A signed checkpoint, and the proof that it extends the log's first `old` entries."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def to_bytes(self) -> bytes:
        """The request's body. Law: `AddCheckpoint.parse(a.to_bytes()) == a`."""
        nodes = [base64.b64encode(node).decode() for node in self.proof]
        return "\n".join([f"old {self.old}", *nodes, "", str(self.note)]).encode()

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """Read a request's body (attacker-controlled, of at most `MAX_REQUEST_BYTES`).

        Raises:
            InputError: malformed or too large.
        """
        if len(data) > MAX_REQUEST_BYTES:
            raise InputError("request is too large", expected=f"<= {MAX_REQUEST_BYTES} bytes")
        above, _, below = data.partition(b"\n\n")
        try:
            first, *lines = above.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise InputError("request is not text") from error
        if not first.startswith("old ") or len(lines) > MAX_PROOF_LINES:
            raise InputError(
                "not a request for a cosignature",
                expected=f"old SIZE, at most {MAX_PROOF_LINES} lines of proof, an empty line, a "
                "signed checkpoint",
                actual=repr(first[:40]),
            )
        proof = tuple(from_base64(line) for line in lines)
        if any(len(node) != _NODE_BYTES for node in proof):
            raise InputError("a line of the proof is no hash", expected=f"{_NODE_BYTES} bytes")
        return cls(parse_size(first.removeprefix("old ")), proof, Note.parse(below))
