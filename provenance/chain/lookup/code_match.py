"""Whether runtime code on chain is that of a compiled contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provenance.ids import bare_digits


def match(compiled: Mapping[str, Any], deployed: bytes) -> str:
    """Compare code: `exact_match` with its metadata hash, `match` without it, or `none`.

    Immutable values are not part of the compiled code, so their places count as zero on both sides.

    Args:
        compiled: the compiler's output for one contract.
        deployed: its runtime code on chain (attacker-controlled).
    """
    runtime = compiled["evm"]["deployedBytecode"]
    expected, actual = bytearray.fromhex(runtime["object"]), bytearray(deployed)
    if len(expected) != len(actual):
        return "none"
    for places in runtime.get("immutableReferences", {}).values():
        for place in places:
            start, end = place["start"], place["start"] + place["length"]
            expected[start:end] = actual[start:end] = bytes(place["length"])
    if expected == actual:
        return "exact_match"
    return "match" if _without_metadata(expected) == _without_metadata(actual) else "none"


def match_artifact(artifact: Mapping[str, Any], deployed: bytes) -> str:
    """As `match`, with what this package brings (`provenance.chain.artifact`) as the compiled."""
    runtime = {
        "object": bare_digits(artifact["deployedBytecode"]),
        "immutableReferences": artifact["immutableReferences"],
    }
    return match({"evm": {"deployedBytecode": runtime}}, deployed)


def _without_metadata(code: bytes | bytearray) -> bytes:
    """Code without its CBOR metadata.

    The last two bytes are the metadata's length. Source: Solidity documentation, "Contract
    Metadata".
    """
    length = int.from_bytes(code[-2:], "big") + 2
    return bytes(code[:-length]) if length < len(code) else bytes(code)
