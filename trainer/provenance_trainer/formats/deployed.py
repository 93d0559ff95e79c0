"""What a deployed format can do: recognise its files, write, read and recompute them, open blocks.

A format is one object, and `registry.py` lists them. Other code asks the registry, and never
compares names of formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from provenance.digest import Digest
from provenance.errors import ProvenanceError
from provenance.progress import Progress
from provenance.text.shown import told
from provenance.verify.protocols import Deployed

CLAIM_PREFIX = "provenance."
HEAD_BYTES = 16


class Exactness(StrEnum):
    """How exactly a file must agree with its recomputation."""

    BIT_BY_BIT = "bit by bit"
    UP_TO_TIES = "up to ties"


@dataclass(frozen=True)
class QuantizeReport:
    """What was written: the file's SHA-256 and size in bytes, and the type of each tensor."""

    file: Digest
    size: int
    tensors: dict[str, str]


@dataclass(frozen=True)
class Mismatch:
    """One difference between a file and its recomputation.

    `block` is the number of a block of 32 values in row-major order; None if the tensor has none.
    """

    tensor: str
    block: int | None
    field: str
    expected: str
    actual: str

    @property
    def place(self) -> str:
        """Tensor, block and field, for people."""
        block = "" if self.block is None else f" block {self.block}"
        return f"{told(self.tensor)}{block} {self.field}"


@dataclass(frozen=True, kw_only=True)
class DeployedFormat:
    """One format of deployed files. Every file that its functions take is attacker-controlled.

    name: As `quantize` records say it (`Q8_0`).
    container: The file format around it, as `quantize` records say it (`gguf`).
    suffix: Ending of its file names, with the dot.
    exactness: How exactly a file agrees if `compare` finds no mismatch.
    is_one: Whether a file is of this format, by its first 16 bytes (fewer if it is shorter) and its
        name.
    faults: What in a base model the format cannot hold. Takes the model's folder, follows links,
        and reads no weights but a tied head.
    write: Quantizes a folder of bfloat16 weights into a new file, which is complete or absent
        afterwards: (folder, file, `provenance.*` claims, progress). Raises InputError (a model or
        key that the format does not take), Conflict (the file exists), UnavailableError (the disk
        refused).
    read_claims: The `provenance.*` metadata of a file, which nobody has checked. Raises InputError
        (malformed).
    compare: Recomputes a file: (folder, file, limit, adapted) -> at most `limit` mismatches. The
        folder is the merged model; or it is the base model, and `adapted` names the tensors whose
        types and shapes are compared, but not their values. Raises InputError (malformed).
    open_blocks: Reads single blocks of a file, as proofs address them. Raises InputError
        (malformed).
    """

    name: str
    container: str
    suffix: str
    exactness: Exactness
    is_one: Callable[[bytes, str], bool]
    faults: Callable[[Path], Iterator[ProvenanceError]]
    write: Callable[[Path, Path, Mapping[str, str | int], Progress], QuantizeReport]
    read_claims: Callable[[Path], dict[str, str]]
    compare: Callable[[Path, Path, int, frozenset[str]], list[Mismatch]]
    open_blocks: Callable[[Path], Deployed]
