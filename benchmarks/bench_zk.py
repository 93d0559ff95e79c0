"""Every circuit: constraints, seconds and peak memory of a proof; weight commitments in MB/s.

`make bench-zk` runs this first.

Targets: <= 450 constraints per record for `sorted`, <= 3,500 and <= 6,500 per proof for `member`
and `absent`, <= 46 per leaf for `tree`, <= 8,500 per block for `q8_0` and `int8` with their
openings; weight commitments >= 10 MB/s on two cores. Seconds have no target here, because `proofs`
measures them for the whole reference job.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from bench_proofs import prove, random_leaves
from common import CACHE, children_peak_bytes, line, prover_binary, say

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import sha256
from provenance_trainer.formats.gguf import BLOCK_BYTES, quantize_q8_0
from provenance_trainer.formats.int8_codes import BLOCK, quantize_int8
from provenance_trainer.model.merge import merge_tensor
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.field import R
from provenance_zk.prover.client import Question, ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.training.commitments import fast_leaves
from provenance_zk.training.jobs import tree_jobs
from provenance_zk.weights.commit import commit_weights
from provenance_zk.weights.jobs import (
    QuantizedBlocks,
    StoredMerge,
    StoredPair,
    StoredTensor,
    merge_job,
    quantize_job,
)

RECORDS = 300
ROWS, RANK = 576, 8  # q_proj of SmolLM2-135M
MERGE_BLOCKS, Q8_BLOCKS, LEVELS = 3, 6, 3
COMMITTED_MB = 64


def main() -> None:
    prover = ZkProver(prover_binary())
    with tempfile.TemporaryDirectory(prefix="provenance-bench-") as path:
        _datasets(prover)
        folder = Path(path)
        bits = _weights(folder)
        _merge(prover, folder)
        _quantize(prover, folder, bits)
        _int8(prover, folder, bits)
        _commitments(prover, folder)


def _key(prover: ZkProver, kind: str, slots: int, depth: int) -> KeyFolder:
    say(f"{kind} key, {slots} slots, depth {depth} (cached under {CACHE})")
    return ensure_keys(prover, CACHE / "keys", kind, slots, depth)


def _report(
    key: KeyFolder, units: int, unit: str, target: float | None, prove: Callable[[], object]
) -> None:
    constraints = json.loads((key.dir / "key.json").read_text())["constraints"]
    begin = time.perf_counter()
    prove()
    seconds = time.perf_counter() - begin
    each, peak = constraints / units, children_peak_bytes() / 2**20
    inputs = (
        f"{constraints:,} constraints; {seconds:.2f} s with loading of the key; largest "
        f"child process so far {peak:.0f} MiB"
    )
    label = "none" if target is None else f"<= {target:g}"
    line(
        f"{key.kind} {key.slots}, depth {key.depth}",
        each,
        f"per {unit}",
        label,
        target is None or each <= target,
        inputs,
    )


def _datasets(prover: ZkProver) -> None:
    digests = sorted(bytes(sha256(i.to_bytes(4, "big"))) for i in range(RECORDS))
    salts = [secrets.token_bytes(31) for _ in digests]
    leaves = np.frombuffer(b"".join(fast_leaves(prover)(digests, salts)), dtype=np.uint8).reshape(
        -1, 32
    )  # type: ignore[arg-type]
    key = _key(prover, "sorted", 256, 5)
    _report(
        key,
        256,
        "record",
        450,
        lambda: prover.prove_sorted(key.dir, b"".join(digests), b"".join(salts), 5, [0]),
    )
    member = _key(prover, "member", 1, 5)
    _report(
        member,
        1,
        "proof",
        3_500,
        lambda: prover.prove_member(member.dir, Question(leaves, 5, digests[7], 7), salts[7]),
    )
    absent, wanted = _key(prover, "absent", 1, 5), bytes(sha256(b"not there"))
    place = sum(digest < wanted for digest in digests)
    around = [(digests[i], salts[i]) if 0 <= i < RECORDS else None for i in (place - 1, place)]
    _report(
        absent,
        1,
        "proof",
        6_500,
        lambda: prover.prove_absent(absent.dir, Question(leaves, 5, wanted, place), *around),
    )
    tree = _key(prover, "tree", 4096, 5)
    challenge = (secrets.randbelow(R), secrets.randbelow(R))
    jobs = tree_jobs(tree, DatasetRoot(1, 5, 4096), random_leaves(4096), challenge)
    _report(tree, 4096, "leaf", 46, lambda: prove(prover, jobs))


def _weights(folder: Path) -> np.ndarray:
    """Write a base tensor, LoRA factors and their exactly rounded merge as safetensors.

    Returns:
        The merged bit patterns.
    """
    rng = np.random.default_rng(1)

    def bf16(values: np.ndarray) -> np.ndarray:
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)

    base, a, b = (
        bf16(rng.normal(0, 0.05, shape)) for shape in ((ROWS, ROWS), (RANK, ROWS), (ROWS, RANK))
    )
    merged, _ = merge_tensor(base, b, a, 2.0)
    for name, tensors in (
        ("base", {"w": base}),
        ("adapter", {"a": a, "b": b}),
        ("merged", {"w": merged}),
    ):
        with SafetensorsWriter(
            folder / f"{name}.safetensors", {n: ("BF16", t.shape) for n, t in tensors.items()}
        ) as writer:
            for n, t in sorted(tensors.items()):
                writer.write(n, t.tobytes())
    return merged


def _merge(prover: ZkProver, folder: Path) -> None:
    key = _key(prover, "merge", MERGE_BLOCKS, LEVELS + 16 * RANK)
    stored = [StoredTensor(folder / f"{name}.safetensors", "w") for name in ("base", "merged")]
    pair = StoredPair(folder / "adapter.safetensors", "a", "b")
    job = merge_job(
        key, StoredMerge(stored[0], pair, stored[1], Fraction(2)), range(MERGE_BLOCKS), ()
    )
    _report(key, MERGE_BLOCKS, "block", None, lambda: prove(prover, [job]))


def _quantize(prover: ZkProver, folder: Path, merged: np.ndarray) -> None:
    key = _key(prover, "q8_0", Q8_BLOCKS, LEVELS)
    blocks = quantize_q8_0((merged.astype(np.uint32) << 16).view(np.float32), "w").tobytes()
    _report_blocks(prover, key, folder, blocks[: Q8_BLOCKS * BLOCK_BYTES])


def _report_blocks(prover: ZkProver, key: KeyFolder, folder: Path, deployed: bytes) -> None:
    """Prove the first blocks of the merged tensor; `deployed` are these blocks, quantized."""
    tensor = StoredTensor(folder / "merged.safetensors", "w")
    blocks = QuantizedBlocks(tuple(range(Q8_BLOCKS)), deployed)
    job = quantize_job(key, tensor, blocks, ())
    _report(key, Q8_BLOCKS, "block", 8_500, lambda: prove(prover, [job]))


def _int8(prover: ZkProver, folder: Path, merged: np.ndarray) -> None:
    key = _key(prover, "int8", Q8_BLOCKS, LEVELS)
    scb, codes = quantize_int8(merged, "w")
    blocks = b"".join(
        scb[0].tobytes() + codes[0, BLOCK * i : BLOCK * (i + 1)].tobytes() for i in range(Q8_BLOCKS)
    )  # all of them are in row 0
    _report_blocks(prover, key, folder, blocks)


def _commitments(prover: ZkProver, folder: Path) -> None:
    shape = (COMMITTED_MB << 20) // 2 // 4096, 4096
    with SafetensorsWriter(folder / "large.safetensors", {"w": ("BF16", shape)}) as writer:
        writer.write(
            "w", np.random.default_rng(2).integers(0, 1 << 15, shape, dtype=np.uint16).tobytes()
        )
    begin = time.perf_counter()
    commit_weights(prover, [folder / "large.safetensors"])
    speed = COMMITTED_MB * 1.048576 / (time.perf_counter() - begin)
    line(
        "weight commitment",
        speed,
        "MB/s",
        ">= 10",
        speed >= 10,
        f"{COMMITTED_MB} MiB of bf16 in one tensor, {shape[0]} x {shape[1]}",
    )


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    main()
