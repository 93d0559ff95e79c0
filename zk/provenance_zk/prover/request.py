"""Parts of requests to `zkprover`: private files, and the bytes of leaves, orders and blindings.

Secrets (salts, blindings) travel only in files of mode 0600, inside a folder of mode 0700 that is
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
from provenance.ids import to_hex, to_word
from provenance_zk.field import to_bytes


class PrivateFolder:
    """The folder of one call's private files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, data: bytes) -> str:
        """Write a file of mode 0600; returns its path. A name can be written once only."""
        path = self.path / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
        return str(path)

    def out(self, name: str) -> str:
        """Path for a file that the prover is to write."""
        return str(self.path / name)

    def has(self, name: str) -> bool:
        """Whether the file is there, and then whole: the prover writes beside it and renames."""
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        """The content of a file.

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
    """A folder of mode 0700 that is removed afterwards, with everything in it."""
    with tempfile.TemporaryDirectory(prefix="provenance-zk-") as path:  # mkdtemp makes it 0700
        yield PrivateFolder(Path(path))


def leaf_bytes(leaves: np.ndarray | bytes) -> bytes:
    """The bytes of leaves, (N, 32) uint8.

    Raises:
        InputError: no leaves, or not of 32 bytes each.
    """
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
    """An order a[h], shape (N,), as N big-endian integers of 64 bits."""
    return np.asarray(order, dtype=np.uint64).astype(">u8").tobytes()


def used_bytes(leaves: np.ndarray, order: np.ndarray | Sequence[int]) -> bytes:
    """The leaves, (N, 32), in the order a[h] in which they were fed.

    Raises:
        InputError: order and leaves differ in length.
    """
    positions = np.asarray(order, dtype=np.uint64)
    if len(positions) != len(leaves):
        raise InputError(
            "order and leaves differ in length", expected=len(leaves), actual=len(positions)
        )
    return leaf_bytes(leaves[positions.astype(np.int64)])


def challenge_fields(challenge: tuple[int, int]) -> dict[str, str]:
    """The challenge (gamma, delta) as fields of a request.

    Raises:
        InputError: gamma or delta is not a field element.
    """
    gamma, delta = challenge
    return {
        "gamma": to_word(int.from_bytes(to_bytes(gamma), "big")),
        "delta": to_word(int.from_bytes(to_bytes(delta), "big")),
    }


def blindings_bytes(**lists: Sequence[int]) -> bytes:
    """The bytes of a file of blindings, which are secret.

    Args:
        lists: by vector, `d` or `u`: the blindings of its commitments, one per chunk.

    Raises:
        InputError: a blinding is not a field element.
    """
    words = {name: [to_hex(to_bytes(value)) for value in values] for name, values in lists.items()}
    return json.dumps(words).encode()
