"""What requests to the prover carry: bytes of its input files, and fields made of field elements."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from provenance.errors import InputError
from provenance_zk.field import to_bytes, to_word


def leaf_bytes(leaves: np.ndarray | bytes) -> bytes:
    data = leaves if isinstance(leaves, bytes) else np.ascontiguousarray(leaves, dtype=np.uint8).tobytes()
    if not data or len(data) % 32:
        raise InputError("leaves are a non-empty list of 32-byte elements", actual=f"{len(data)} bytes")
    return data


def order_bytes(order: np.ndarray | Sequence[int]) -> bytes:
    return np.asarray(order, dtype=np.uint64).astype(">u8").tobytes()


def used_bytes(leaves: np.ndarray, order: np.ndarray | Sequence[int]) -> bytes:
    """The leaves in fed order."""
    positions = np.asarray(order, dtype=np.uint64)
    if len(positions) != len(leaves):
        raise InputError("order and leaves differ in length", expected=len(leaves), actual=len(positions))
    return leaf_bytes(leaves[positions.astype(np.int64)])


def challenge_fields(challenge: tuple[int, int]) -> dict[str, str]:
    gamma, delta = challenge
    return {"gamma": to_word(int.from_bytes(to_bytes(gamma), "big")), "delta": to_word(int.from_bytes(to_bytes(delta), "big"))}


def blindings_bytes(**lists: Sequence[int]) -> bytes:
    """A blindings file: secret."""
    return json.dumps({name: [f"0x{to_bytes(value).hex()}" for value in values] for name, values in lists.items()}).encode()
