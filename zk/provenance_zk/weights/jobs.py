"""Jobs for proofs about weights.

Jobs about one tensor may share a request, so that the prover builds its tree once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from provenance.ids import to_word
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.weights.merge_tables import scale_units
from provenance_zk.workers.jobs import Job, Sharing


@dataclass(frozen=True)
class StoredTensor:
    """A bfloat16 tensor of a safetensors file."""

    file: Path
    tensor: str


@dataclass(frozen=True)
class StoredPair:
    """A LoRA pair in a safetensors file: the names of A, shape (r, in), and B, shape (out, r)."""

    file: Path
    a: str
    b: str


@dataclass(frozen=True)
class StoredMerge:
    """One adapted tensor: W' = round(W + s*B*A)."""

    base: StoredTensor
    adapter: StoredPair
    merged: StoredTensor
    scale: Fraction


@dataclass(frozen=True)
class QuantizedBlocks:
    """The blocks that one proof opens.

    Attributes:
        indexes: their numbers.
        deployed: their bytes as they stand in the deployed file, one block after the other.
    """

    indexes: tuple[int, ...]
    deployed: bytes


def merge_job(
    key: KeyFolder, merge: StoredMerge, indexes: Sequence[int], inputs: Sequence[int]
) -> Job:
    """The job to prove that blocks of a merged tensor are the exactly rounded W + s*B*A.

    Args:
        indexes: block numbers, as many as the key has slots.
        inputs: the statement's public inputs.

    Raises:
        InputError: a scale that the statement does not cover.
    """
    base, adapter, merged = merge.base, merge.adapter, merge.merged
    request = {
        "scale": str(scale_units(merge.scale)),
        "base": {"file": str(base.file), "tensor": base.tensor},
        "adapter": {"file": str(adapter.file), "a": adapter.a, "b": adapter.b},
        "merged": {"file": str(merged.file), "tensor": merged.tensor},
        "indexes": list(indexes),
    }
    return _job(key, "prove-merge", request, f":{merged.tensor}", inputs)


def quantize_job(
    key: KeyFolder, tensor: StoredTensor, blocks: QuantizedBlocks, inputs: Sequence[int]
) -> Job:
    """The job to prove that blocks of a deployed file are the quantization of a tensor.

    Args:
        blocks: as many as the key has slots.
        inputs: the statement's public inputs.
    """
    request = {
        "file": str(tensor.file),
        "tensor": tensor.tensor,
        "indexes": list(blocks.indexes),
        "codes": blocks.deployed,
    }
    together = f"{tensor.file}:{tensor.tensor}"
    return _job(key, f"prove-{key.kind}", request, together, inputs)


def _job(
    key: KeyFolder, command: str, request: Mapping[str, Any], together: str, inputs: Sequence[int]
) -> Job:
    public = {"inputs": [to_word(value) for value in inputs]}
    return Job.make(key, command, request, public, Sharing(("indexes", "codes"), together))
