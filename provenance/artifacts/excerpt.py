"""Copies of single tensors into a private file, hashed as they are copied.

Whoever computes something of the copy knows that it is of the bytes with that digest, even if
somebody writes to the original in the meantime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import TensorInfo, read_tensor_infos, tensor_chunks
from provenance.digest import Digest, open_regular
from provenance.errors import InputError


@dataclass(frozen=True)
class Place:
    """A tensor of a safetensors file."""

    file: Path
    info: TensorInfo

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.info.end - self.info.start


def find_tensors(files: Sequence[Path]) -> dict[str, Place]:
    """Where each tensor of some safetensors files (attacker-controlled) lies.

    Raises:
        InputError: a malformed file, or one name in two files.
    """
    found: dict[str, Place] = {}
    for file in files:
        with open_regular(file) as stream:
            for info in read_tensor_infos(stream, str(file)):
                if info.name in found:
                    raise InputError("tensor stands in two files", where=info.name)
                found[info.name] = Place(file, info)
    return found


def hash_tensor(place: Place) -> Digest:
    """SHA-256 of a tensor's bytes. Raises InputError if the file ends before it."""
    state = hashlib.sha256()
    with open_regular(place.file) as stream:
        for chunk in tensor_chunks(stream, place.info):
            state.update(chunk)
    return Digest(state.digest())


def copy_tensors(places: Mapping[str, Place], out: Path) -> dict[str, Digest]:
    """Write a new safetensors file with these tensors; returns SHA-256 of the bytes of each.

    Raises:
        InputError: a file ends before its tensor.
    """
    header, at = dict[str, object](), 0
    for name, place in places.items():
        offsets = [at, at + place.size]
        header[name] = {
            "dtype": place.info.dtype,
            "shape": list(place.info.shape),
            "data_offsets": offsets,
        }
        at = offsets[1]
    text = json.dumps(header).encode()
    digests = {}
    with out.open("xb") as target:
        target.write(len(text).to_bytes(8, "little") + text)
        for name, place in places.items():
            state = hashlib.sha256()
            with open_regular(place.file) as stream:
                for chunk in tensor_chunks(stream, place.info):
                    state.update(chunk)
                    target.write(chunk)
            digests[name] = Digest(state.digest())
    return digests
