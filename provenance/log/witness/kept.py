"""Cosignatures kept beside heads: `cosignatures.jsonl` of a run folder (docs/formats/log.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provenance.causes import cause_of
from provenance.digest import open_regular
from provenance.encoding import parse_json
from provenance.errors import InputError, OutputError, ProvenanceError
from provenance.ids import RunId, from_hex, to_hex
from provenance.layout import append_line
from provenance.log.tree import Head
from provenance.log.witness.cosignature import Cosignature, WitnessKey
from provenance.log.witness.note import SignatureLine

MAX_COSIGNATURES_BYTES = 1 << 20
_LEAST_LINE_BYTES = 300  # none is shorter; a file of empty lines costs nothing


@dataclass(frozen=True)
class CosignedHead:
    """One line: a head, and a witness's cosignature of it, which nobody has checked yet."""

    head: Head
    cosignature: Cosignature

    def to_line(self) -> bytes:
        """JSON and a newline. Law: `CosignedHead.parse(c.to_line()) == c`."""
        value = {
            "run_id": str(self.head.run_id),
            "size": self.head.size,
            "root": to_hex(self.head.root),
            "witness": str(self.cosignature.witness),
            "cosignature": str(self.cosignature.line),
        }
        return json.dumps(value, sort_keys=True, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> CosignedHead:
        """Read one line (attacker-controlled).

        Raises:
            InputError: malformed.
        """
        try:
            value = parse_json(line)
            size = value["size"]
            if type(size) is not int or not 0 <= size < 2**63:
                raise ValueError("not a size")
            head = Head(RunId.parse(value["run_id"]), size, from_hex(value["root"], 32))
            witness = WitnessKey.parse(value["witness"])
            found = Cosignature.read(SignatureLine.parse(value["cosignature"]), witness)
            if found is None:
                raise ValueError("of another key")
        except (ValueError, KeyError, TypeError, AttributeError, ProvenanceError) as error:
            raise InputError("not a cosigned head", actual=repr(line[:80])) from error
        return cls(head, found)


def parse_cosigned(data: bytes) -> list[CosignedHead]:
    """The lines of a file (attacker-controlled) that can be read, in their order.

    Others are left out, for whoever adds one must not take the others away.
    """
    found = []
    for line in data.split(b"\n"):
        if len(line) >= _LEAST_LINE_BYTES:
            with suppress(InputError):
                found.append(CosignedHead.parse(line))
    return found


def read_cosigned(path: Path) -> Iterator[tuple[int, CosignedHead | InputError]]:
    """Each line of a file (attacker-controlled) with its number from 1, or what is wrong with it.

    A torn last line is left out: the next one that is kept takes its place.

    Raises:
        InputError: more than `MAX_COSIGNATURES_BYTES`, a link, or not a regular file.
    """
    with open_regular(path) as stream:
        data = stream.read(MAX_COSIGNATURES_BYTES + 1)
    if len(data) > MAX_COSIGNATURES_BYTES:
        raise InputError(
            "file of cosignatures is too large",
            where=str(path),
            expected=f"<= {MAX_COSIGNATURES_BYTES} bytes",
        )
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            yield number, CosignedHead.parse(line)
        except InputError as error:
            yield number, error


def keep(path: Path, cosigned: CosignedHead) -> None:
    """Add a cosignature to a run's; durable on return.

    Raises:
        OutputError: the file cannot be written, or would be larger than a verifier reads.
    """
    line = cosigned.to_line()
    try:
        if path.exists() and path.stat().st_size + len(line) > MAX_COSIGNATURES_BYTES:
            raise OutputError(
                "file of cosignatures is full",
                where=str(path),
                expected=f"<= {MAX_COSIGNATURES_BYTES} bytes",
                hint="move it away, and run the command again",
            )
        append_line(path, line)
    except OSError as error:
        raise OutputError(
            "cannot keep a cosignature", where=str(path), actual=cause_of(error, path)
        ) from error
