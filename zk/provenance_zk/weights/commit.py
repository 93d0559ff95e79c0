"""Commitments to the weights of a model, and proofs that blocks of a deployed file are
quantizations of committed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import InputError
from provenance_zk.field import parse_element
from provenance_zk.kinds import KINDS
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.request import private_folder
from provenance_zk.statements import ProofFile
from provenance_zk.weights.merging import StoredTensor


@dataclass(frozen=True)
class TensorWanted:
    """A tensor to commit to. Depth 0 and rank 0 are the tensor's own."""

    name: str
    layout: str = "rows"
    depth: int = 0
    rank: int = 0


@dataclass(frozen=True)
class TensorCommitment:
    """Root of a tensor's tree and what it is of;

    `blocks` counts without filling, `depth` the levels above the pages.
    """

    name: str
    dtype: str
    layout: str
    rows: int
    columns: int
    depth: int
    blocks: int
    root: int


@dataclass(frozen=True)
class QuantizedBlocks:
    """Block numbers that one proof opens, and their bytes as they stand in the deployed file, one
    block after the other.
    """

    indexes: tuple[int, ...]
    deployed: bytes


def commit_weights(
    prover: ZkProver,
    files: Sequence[Path],
    tensors: Sequence[TensorWanted] | None = None,
    *,
    state: Path | None = None,
) -> list[TensorCommitment]:
    """Commit to tensors of safetensors shards or of one GGUF file, or to all of them, in the order
    of their names, as `rows`.

    Args:
        state: file of finished tensors by which a call that was cut off resumes; it is bound to
            these files.

    Raises:
        InputError: files, tensors, layouts or depths that cannot be used.
        RejectedError: the state file is another model's, or damaged beyond its last line.
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


def prove_q8_0(
    prover: ZkProver, key: Path, tensor: StoredTensor, jobs: Sequence[QuantizedBlocks]
) -> list[ProofFile]:
    """One `q8_0` proof for each job, each with as many blocks as the key has slots.

    Raises:
        RejectedError: bytes are not the quantization (the message names block and code), or key and
            tensor do not fit.
        InputError: files, block numbers or lengths that cannot be used.
        UnavailableError: see `ZkProver`.
    """
    return _prove(prover, "prove-q8_0", key, tensor, jobs, KINDS["q8_0"].block_bytes)


def prove_int8(
    prover: ZkProver, key: Path, tensor: StoredTensor, jobs: Sequence[QuantizedBlocks]
) -> list[ProofFile]:
    """As `prove_q8_0`; a block's bytes are its row's float32 maximum, little-endian, and 32 signed
    codes.
    """
    return _prove(prover, "prove-int8", key, tensor, jobs, KINDS["int8"].block_bytes)


def _prove(
    prover: ZkProver,
    command: str,
    key: Path,
    tensor: StoredTensor,
    jobs: Sequence[QuantizedBlocks],
    block_bytes: int,
) -> list[ProofFile]:
    if not jobs:
        raise InputError("no blocks to prove")
    with private_folder() as folder:
        entries = []
        for number, job in enumerate(jobs):
            if len(job.deployed) != block_bytes * len(job.indexes):
                raise InputError(
                    "blocks and their bytes differ in length",
                    where=f"job {number}",
                    expected=block_bytes * len(job.indexes),
                    actual=len(job.deployed),
                )
            codes = folder.write(f"codes-{number}", job.deployed)
            entries.append(
                {"indexes": list(job.indexes), "codes": codes, "out": folder.out(f"proof-{number}")}
            )
        prover.request(
            command,
            {"key": str(key), "file": str(tensor.file), "tensor": tensor.tensor, "jobs": entries},
        )
        return [ProofFile.parse(folder.read(f"proof-{number}")) for number in range(len(jobs))]


def _commitment(entry: Mapping[str, Any]) -> TensorCommitment:
    facts = {
        name: entry[name]
        for name in ("name", "dtype", "layout", "rows", "columns", "depth", "blocks")
    }
    return TensorCommitment(**facts, root=parse_element(entry["root"], "root"))
