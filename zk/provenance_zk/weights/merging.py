"""Proofs of the statement `merge`: sampled blocks of a merged tensor are the exactly rounded sum of
base and adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from provenance.errors import InputError
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.request import private_folder
from provenance_zk.statements import ProofFile
from provenance_zk.weights.samples import scale_units


@dataclass(frozen=True)
class StoredTensor:
    """A bfloat16 tensor of a safetensors file."""

    file: Path
    tensor: str


@dataclass(frozen=True)
class StoredPair:
    """A LoRA pair of a safetensors file: names of A `(r, in)` and B `(out, r)`."""

    file: Path
    a: str
    b: str


def merge_request(
    base: StoredTensor, adapter: StoredPair, merged: StoredTensor, scale: Fraction
) -> dict[str, Any]:
    """What `prove-merge` is told of every job about one tensor.

    Raises:
        InputError: a scale that the statement does not cover.
    """
    return {
        "scale": str(scale_units(scale)),
        "base": {"file": str(base.file), "tensor": base.tensor},
        "adapter": {"file": str(adapter.file), "a": adapter.a, "b": adapter.b},
        "merged": {"file": str(merged.file), "tensor": merged.tensor},
    }


def prove_merge(
    prover: ZkProver,
    key: Path,
    base: StoredTensor,
    adapter: StoredPair,
    merged: StoredTensor,
    scale: Fraction,
    groups: Sequence[Sequence[int]],
) -> list[ProofFile]:
    """One proof for each group of block numbers, each as long as the key has slots.

    Raises:
        RejectedError: a block is not the rounded merge, or tensors, key and adapter do not fit
            together.
        InputError: files, values outside the exponent window, block numbers or scale that the
            statement does not cover.
        UnavailableError: see `ZkProver`.
    """
    if not groups:
        raise InputError("no blocks to prove")
    with private_folder() as folder:
        prover.request(
            "prove-merge",
            {
                "key": str(key),
                **merge_request(base, adapter, merged, scale),
                "jobs": [
                    {"indexes": list(group), "out": folder.out(f"proof-{g}")}
                    for g, group in enumerate(groups)
                ],
            },
        )
        return [ProofFile.parse(folder.read(f"proof-{g}")) for g in range(len(groups))]
