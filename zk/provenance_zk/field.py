"""The two prime fields of BN254, and the bytes of their elements.

Circuits compute modulo `R`; coordinates of points are numbers modulo `Q`.

Source: EIP-196 (the curve over q, generator (1, 2)), EIP-197 (r is the order of the groups).
"""

from __future__ import annotations

from provenance.errors import InputError
from provenance.ids import parse_word

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ELEMENT_BYTES = 32


def to_bytes(value: int) -> bytes:
    """A field element as 32 bytes, big-endian; the inverse of `from_bytes`.

    Raises:
        InputError: the value is not in [0, r).
    """
    if not 0 <= value < R:
        raise InputError("not a field element", expected=f"0 <= x < {R}", actual=value)
    return value.to_bytes(ELEMENT_BYTES, "big")


def from_bytes(data: bytes) -> int:
    """Read a field element from 32 bytes (attacker-controlled), big-endian.

    A value >= r is refused, never reduced.

    Raises:
        InputError: another length, or a value >= r.
    """
    if len(data) != ELEMENT_BYTES:
        raise InputError("a field element has 32 bytes", actual=len(data))
    value = int.from_bytes(data, "big")
    if value >= R:
        raise InputError("not a field element", expected=f"< {R}", actual=value)
    return value


def parse_element(text: object, where: str = "element") -> int:
    """Read a field element (attacker-controlled): as `parse_word`, and refused when >= r."""
    value = parse_word(text, where)
    if value >= R:
        raise InputError("not a field element", where=where, expected=f"< {R}", actual=value)
    return value
