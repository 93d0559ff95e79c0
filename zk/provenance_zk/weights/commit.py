"""Commitments to the weights of a model: roots of its tensors' trees, made by the prover.

Source: docs/formats/statements.md, "Weight trees".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance_zk.field import parse_element
from provenance_zk.prover.client import ZkProver


@dataclass(frozen=True)
class TensorWanted:
    """A tensor to commit to. Depth 0 and rank 0 mean those that follow from its shape."""

    name: str
    layout: str = "rows"
    depth: int = 0
    rank: int = 0


@dataclass(frozen=True)
class TensorCommitment:
    """Root of a tensor's tree, and the tensor's facts.

    Attributes:
        depth: levels of the tree above its pages.
        blocks: number of blocks, without those that fill up the tree.
    """

    name: str
    dtype: str
    layout: str
    rows: int
    columns: int
    depth: int
    blocks: int
    root: int


def commit_weights(
    prover: ZkProver,
    files: Sequence[Path],
    tensors: Sequence[TensorWanted] | None = None,
    *,
    state: Path | None = None,
) -> list[TensorCommitment]:
    """Commit to tensors of safetensors shards or of one GGUF file.

    Args:
        tensors: None for all tensors, in layout `rows`, in the order of their names.
        state: file of finished tensors, so that a call that was cut off can go on; it is bound to
            these files.

    Raises:
        InputError: files, tensors, layouts or depths that cannot be used.
        RejectedError: the state file is another model's, or a line before its last is damaged.
        UnavailableError: see `ZkProver`.
    """
    request: dict[str, Any] = {"files": [str(file) for file in files]}
    if tensors is None:
        request["all"] = True
    else:
        request["tensors"] = [
            {"name": t.name, "layout": t.layout, "depth": t.depth, "rank": t.rank} for t in tensors
        ]
    if state is not None:
        request["state"] = str(state)
    return [_commitment(entry) for entry in prover.request("weights", request)["tensors"]]


def _commitment(entry: Mapping[str, Any]) -> TensorCommitment:
    names = ("name", "dtype", "layout", "rows", "columns", "depth", "blocks")
    facts = {name: entry[name] for name in names}
    return TensorCommitment(**facts, root=parse_element(entry["root"], "root"))
