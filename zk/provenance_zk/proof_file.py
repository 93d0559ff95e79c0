"""A proof as a JSON file, and a G1 point in three forms: integers, 64 bytes, JSON.

Nothing here is checked against a field or a curve: `provenance_zk.groth16.verifier` does that.

Source: docs/formats/proofs.md ("Proof (JSON)").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance.ids import KeyId, parse_word, to_hex, to_word
from provenance_zk.kinds import KINDS, public_names

PROOF_FORMAT = "provenance-proof/1"
_FIELDS = ("format", "kind", "vkId", "a", "b", "c", "commitments", "poks", "public")
_MAX_BYTES = 1 << 16


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object for `parse_json`; raises InputError when it names a field twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InputError(
            "JSON object names a field twice", actual=", ".join(name for name, _ in pairs)[:80]
        )
    return value


def _list(value: Any, count: int | None, what: str, where: str) -> list[Any]:
    if isinstance(value, list) and count in (None, len(value)):
        return value
    actual = len(value) if isinstance(value, list) else type(value).__name__
    raise InputError(f"not a list of {what}", where=where, expected=count, actual=actual)


def _words(value: Any, count: int | None, where: str) -> tuple[int, ...]:
    words = _list(value, count, "words", where)
    return tuple(parse_word(word, f"{where}[{i}]") for i, word in enumerate(words))


def _points(value: Any, count: int, where: str) -> tuple[tuple[int, int], ...]:
    found = _list(value, count, "points", where)
    points = [_words(point, 2, f"{where}[{i}]") for i, point in enumerate(found)]
    return tuple((x, y) for x, y in points)


def point_bytes(point: Sequence[int]) -> bytes:
    """(x, y) as 64 bytes; infinity is (0, 0).

    Raises:
        InputError: a coordinate outside [0, 2^256).
    """
    x, y = point
    if not (0 <= x < 2**256 and 0 <= y < 2**256):
        raise InputError("not a point", expected="two words")
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def point_ints(data: bytes) -> tuple[int, int]:
    """64 bytes as (x, y); the inverse of `point_bytes`.

    Raises:
        InputError: another length.
    """
    if len(data) != 64:
        raise InputError("a G1 point has 64 bytes", actual=len(data))
    return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")


def point_json(data: bytes) -> list[str]:
    """64 bytes as `["0x..", "0x.."]`; the inverse of `point_from_json`."""
    x, y = point_ints(data)
    return [to_word(x), to_word(y)]


def point_from_json(value: Any, where: str = "point") -> bytes:
    """`["0x..", "0x.."]` (attacker-controlled) as 64 bytes; raises InputError for anything else."""
    return point_bytes(_words(value, 2, where))


@dataclass(frozen=True)
class ProofFile:
    """One proof: integers below 2^256, not yet checked against any field or curve.

    `b` is in EIP-197 order (x1, x0, y1, y0). Law: `ProofFile.parse(p.to_bytes()) == p`.
    """

    kind: str
    vk_id: KeyId
    a: tuple[int, int]
    b: tuple[int, int, int, int]
    c: tuple[int, int]
    commitments: tuple[tuple[int, int], ...]
    poks: tuple[tuple[int, int], ...]
    public: tuple[int, ...]

    @classmethod
    def parse(cls, data: bytes | str) -> ProofFile:
        """Read a proof file (attacker-controlled).

        Raises:
            InputError: not JSON, another set of fields, a field named twice, a list of another
                length, or hex that is not canonical.
        """
        if len(data) > _MAX_BYTES:
            raise InputError(
                "proof file is too large", expected=f"<= {_MAX_BYTES} bytes", actual=len(data)
            )
        try:
            value = parse_json(data.encode() if isinstance(data, str) else data, unique_fields)
        except ValueError as error:
            raise InputError("proof is not JSON", actual=error) from error
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: Any) -> ProofFile:
        """Read a proof from its JSON value (attacker-controlled); raises as `parse` does."""
        kind = _require_form(value)
        commitments = len(KINDS[kind].commitments)
        a0, a1 = _words(value["a"], 2, "a")
        b0, b1, b2, b3 = _words(value["b"], 4, "b")
        c0, c1 = _words(value["c"], 2, "c")
        public = _words(value["public"], None, "public")
        public_names(kind, len(public))
        return cls(
            kind,
            KeyId(parse_word(value["vkId"], "vkId").to_bytes(32, "big")),
            (a0, a1),
            (b0, b1, b2, b3),
            (c0, c1),
            _points(value["commitments"], commitments, "commitments"),
            _points(value["poks"], commitments, "poks"),
            public,
        )

    def to_json(self) -> dict[str, Any]:
        """The file's JSON value; the inverse of `from_json`."""
        return {
            "format": PROOF_FORMAT,
            "kind": self.kind,
            "vkId": to_hex(self.vk_id),
            "a": [to_word(x) for x in self.a],
            "b": [to_word(x) for x in self.b],
            "c": [to_word(x) for x in self.c],
            "commitments": [[to_word(x) for x in point] for point in self.commitments],
            "poks": [[to_word(x) for x in point] for point in self.poks],
            "public": [to_word(x) for x in self.public],
        }

    def to_bytes(self) -> bytes:
        """The file's bytes, one line of ASCII."""
        return json.dumps(self.to_json(), separators=(",", ":")).encode("ascii")

    def public_value(self, name: str) -> int:
        """The public input with this name in the table of statements.

        Raises:
            InputError: this kind of proof has no such input.
        """
        names = public_names(self.kind, len(self.public))
        if name not in names:
            raise InputError(
                "no such public input", where=self.kind, expected=", ".join(names), actual=name
            )
        return self.public[names.index(name)]

    def calldata(self) -> tuple[list[int], list[int], list[int]]:
        """The contracts' `Proof` struct: a, b, c."""
        return list(self.a), list(self.b), list(self.c)


def _require_form(value: Any) -> str:
    """Check fields and format of a proof's JSON; returns its kind."""
    if not isinstance(value, dict) or set(value) != set(_FIELDS):
        found = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise InputError(
            "proof has other fields", expected=", ".join(_FIELDS), actual=str(found)[:200]
        )
    if value["format"] != PROOF_FORMAT:
        raise InputError(
            "proof has another format", expected=PROOF_FORMAT, actual=repr(value["format"])[:40]
        )
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError("unknown kind of proof", expected=", ".join(KINDS), actual=repr(kind)[:40])
    return kind
