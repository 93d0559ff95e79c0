"""Tombstones: what an owner signs about each record erased from a committed dataset.

    tombstones.jsonl   in the dataset folder; public; a canonical JSON object a line:
                       {"record", "signature", "signer"}

`record` is a `tombstone` record. It names dataset and leaf, never the erased record's digest:
whoever knows the digest of a text must not learn from a tombstone that the text was here. The
signature is EIP-712 over the type `Tombstone(bytes32 dataset,bytes32 leaf,bytes32 record)`, in a
domain with chain id 0; its `record` is the digest of the `tombstone` record.

NOT promised: that the data is gone, since no signature can show that; that the signer owns the
dataset, which only its registration says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.causes import cause_of
from provenance.encoding import canonical_json, parse_json
from provenance.errors import InputError, UnavailableError
from provenance.ids import Address, Word, from_hex, to_hex
from provenance.layout import write_atomically
from provenance.log import records
from provenance.log.record import Record
from provenance.signing import sign_tombstone, verify_tombstone

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

FILE_NAME = "tombstones.jsonl"
_MAX_FILE_BYTES = 64 << 20


@dataclass(frozen=True)
class Tombstone:
    """A `tombstone` record and its owner's signature (65 bytes).

    Law: `Tombstone.parse(t.to_line()) == t` if the signature is valid; else `parse` raises.
    """

    record: Record
    signer: Address
    signature: bytes

    @property
    def leaf(self) -> bytes:
        """The leaf of the erased record, 32 bytes."""
        return self.record.body(records.Tombstone).leaf

    @property
    def dataset(self) -> int:
        """The Poseidon root of the dataset."""
        return int.from_bytes(self.record.body(records.Tombstone).dataset, "big")

    def to_line(self) -> bytes:
        """The line of `tombstones.jsonl`, with its newline."""
        value = {
            "record": self.record.to_json(),
            "signature": to_hex(self.signature),
            "signer": str(self.signer),
        }
        return canonical_json(value) + b"\n"

    @classmethod
    def parse(cls, line: bytes, where: str = "tombstone") -> Tombstone:
        """Read a line (attacker-controlled) and check its signature.

        Raises:
            InputError: not a line of this format.
            VerificationError: not signed by the key it names.
        """
        value = _object(line, where)
        record = Record.parse(canonical_json(value["record"]))
        if record.type != "tombstone":
            raise InputError(
                "not a tombstone record", where=where, expected="tombstone", actual=record.type
            )
        signature = from_hex(value["signature"], where=f"{where} signature")
        signer = Address.parse(value["signer"], where=f"{where} signer")
        tombstone = cls(record, signer, signature)
        if tombstone.to_line().rstrip(b"\n") != line.rstrip(b"\n"):
            raise InputError("tombstone is not in canonical form", where=where)
        verify_tombstone(record, signature, tombstone.signer)
        return tombstone


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise InputError("tombstone is not JSON", where=where, actual=error) from error
    if (
        not isinstance(value, dict)
        or set(value) != {"record", "signature", "signer"}
        or not isinstance(value["record"], dict)
    ):
        raise InputError(
            "tombstone has other fields", where=where, expected="record, signature, signer"
        )
    return value


def read_tombstones(folder: Path) -> list[Tombstone]:
    """Tombstones of a dataset folder (attacker-controlled), each with a valid signature.

    Without the file there are none.

    Raises:
        InputError, VerificationError: as `Tombstone.parse`; `where` names the line.
        UnavailableError: the file cannot be read.
    """
    path = folder / FILE_NAME
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnavailableError(
            "cannot read tombstones", where=str(path), actual=cause_of(error, path)
        ) from error
    if len(data) > _MAX_FILE_BYTES:
        raise InputError(
            "file is too large", where=str(path), expected=f"<= {_MAX_FILE_BYTES} bytes"
        )
    return [
        Tombstone.parse(line, f"{path} line {i + 1}") for i, line in enumerate(data.splitlines())
    ]


def add_tombstone(folder: Path, root: int, leaf: bytes, account: LocalAccount) -> Tombstone:
    """Sign and store the tombstone of a leaf; durable on return.

    A leaf has one tombstone: a second call returns that of the first.

    Args:
        root: the dataset's Poseidon root.
    """
    known = read_tombstones(folder)
    found = next((t for t in known if (t.dataset, t.leaf) == (root, leaf)), None)
    if found is not None:
        return found
    body = records.Tombstone(Word(root.to_bytes(32, "big")), Word(leaf))
    record = Record.of(body)
    tombstone = Tombstone(record, Address(account.address), sign_tombstone(account, record))
    write_atomically(folder / FILE_NAME, b"".join(t.to_line() for t in [*known, tombstone]))
    return tombstone
