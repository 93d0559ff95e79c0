"""What requests to `zkprover` are made of: private files, byte forms of lists, hexadecimal numbers.

Secrets (salts, blindings) travel only in files of mode 0600 inside a folder of mode 0700 that is
removed after the call.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from provenance.errors import InputError, UnavailableError
from provenance_zk.field import to_bytes, to_word


class PrivateFolder:
    """Private files of one call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, data: bytes) -> str:
        path = self.path / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
        return str(path)

    def out(self, name: str) -> str:
        return str(self.path / name)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        """
        Raises:
            UnavailableError: the file is not there.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UnavailableError(
                "prover wrote no result", where=name, actual=error.strerror
            ) from error


@contextmanager
def private_folder() -> Iterator[PrivateFolder]:
    """A folder of mode 0700 for secret inputs; it goes when the context ends."""
    with tempfile.TemporaryDirectory(prefix="provenance-zk-") as path:  # mkdtemp makes it 0700
        yield PrivateFolder(Path(path))


def leaf_bytes(leaves: np.ndarray | bytes) -> bytes:
    """Leaves `(count, 32)` as bytes, big-endian each."""
    data = (
        leaves
        if isinstance(leaves, bytes)
        else np.ascontiguousarray(leaves, dtype=np.uint8).tobytes()
    )
    if not data or len(data) % 32:
        raise InputError(
            "leaves are a non-empty list of 32-byte elements", actual=f"{len(data)} bytes"
        )
    return data


def order_bytes(order: np.ndarray | Sequence[int]) -> bytes:
    """An order as unsigned 64-bit integers, big-endian."""
    return np.asarray(order, dtype=np.uint64).astype(">u8").tobytes()


def used_bytes(leaves: np.ndarray, order: np.ndarray | Sequence[int]) -> bytes:
    """The leaves in fed order."""
    positions = np.asarray(order, dtype=np.uint64)
    if len(positions) != len(leaves):
        raise InputError(
            "order and leaves differ in length", expected=len(leaves), actual=len(positions)
        )
    return leaf_bytes(leaves[positions.astype(np.int64)])


def challenge_fields(challenge: tuple[int, int]) -> dict[str, str]:
    """Challenge (gamma, delta) as a request writes it."""
    gamma, delta = challenge
    return {
        "gamma": to_word(int.from_bytes(to_bytes(gamma), "big")),
        "delta": to_word(int.from_bytes(to_bytes(delta), "big")),
    }


def blindings_bytes(**lists: Sequence[int]) -> bytes:
    """A blindings file: secret."""
    return json.dumps(
        {name: [f"0x{to_bytes(value).hex()}" for value in values] for name, values in lists.items()}
    ).encode()
