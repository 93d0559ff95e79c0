"""Peak memory of the prover after it reads a key, and after it makes a proof.

Each figure must be below what `zkprover serve` predicts (zk/prover/server/memory.go).

The garbage collector runs often here (GOGC=25), as it does in a server near its memory limit.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench_proofs import TREE, random_leaves
from common import CACHE, line, prover_binary
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from provenance.artifacts.tensors import SCALE_UNIT
from provenance.order import epoch_order
from provenance_trainer.model import bfloat16
from provenance_trainer.model.merge import merge_tensor
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.field import R
from provenance_zk.kinds import RANK_UNIT
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.request import (
    blindings_bytes,
    challenge_fields,
    leaf_bytes,
    order_bytes,
    used_bytes,
)

SHAPES = (
    ("q8_0", 6, 3),
    ("merge", 3, 3 + 8 * RANK_UNIT),
    ("tree", TREE, 5),
    ("epoch", 4096, 0),
    ("epoch", 20_480, 0),
    ("epoch", 344_064, 0),
)
BROKEN = {
    "q8_0": {"tensor": "none"},
    "merge": {"base": {"file": "none", "tensor": "none"}},
}  # requests that fail just after the key is read
PROCESS, WHOLE, PROOF, BASES, INPUTS = 64 << 20, 1200, 1000, 5, 6  # as in server/memory.go


def peak_bytes(binary: Path, command: str, request: dict[str, Any], status: int) -> int:
    """Largest resident set of one call (wait4(2), kilobytes on Linux)."""
    child = subprocess.Popen(
        [str(binary), command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GOGC": "25"},
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(request).encode())
    child.stdin.close()
    _, ended, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(ended)
    if child.returncode != status:
        raise SystemExit(f"{command}: status {child.returncode}")
    return usage.ru_maxrss * 1024


def request_of(key: KeyFolder, folder: Path) -> tuple[str, dict[str, Any]]:
    """Command and request for a proof of a full chunk, or of one group of blocks."""
    if key.kind in BROKEN:
        return f"prove-{key.kind}", {"key": str(key.dir), **weights_of(key, folder)}
    count = key.slots
    leaves, order, blinding = (
        random_leaves(count),
        epoch_order(bytes(32), 0, count),
        [1 + secrets.randbelow(R - 1)],
    )
    files = {"leaves": leaf_bytes(leaves)}
    if key.kind == "epoch":
        files |= {
            "used": used_bytes(leaves, order),
            "order": order_bytes(order),
            "blindings": blindings_bytes(d=blinding, u=blinding),
        }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    challenge = challenge_fields((secrets.randbelow(R), secrets.randbelow(R)))
    return f"prove-{key.kind}", {
        "key": str(key.dir),
        "count": count,
        "out": str(folder / "proof"),
        **challenge,
        **{name: str(folder / name) for name in files},
    }


def weights_of(key: KeyFolder, folder: Path) -> dict[str, Any]:
    """The fields of a request about a small tensor, whose tree has the key's depth."""
    random = np.random.default_rng(1)
    weight, b, a = (
        bfloat16.round_float32(random.normal(0, 0.05, shape).astype(np.float32))
        for shape in ((8, 64), (8, 8), (8, 64))
    )
    merged, _ = merge_tensor(weight, b, a, 1.0)
    with SafetensorsWriter(
        folder / "model",
        {
            name: ("BF16", bits.shape)
            for name, bits in zip("wbam", (weight, b, a, merged), strict=True)
        },
    ) as writer:
        for name, bits in sorted(zip("wbam", (weight, b, a, merged), strict=True)):
            writer.write(name, bits.astype("<u2").tobytes())
    file, job = (
        str(folder / "model"),
        {"indexes": list(range(key.slots)), "out": str(folder / "proof")},
    )
    if key.kind == "merge":
        return {
            "base": {"file": file, "tensor": "w"},
            "merged": {"file": file, "tensor": "m"},
            "scale": str(SCALE_UNIT),
            "adapter": {"file": file, "a": "a", "b": "b"},
            "jobs": [job],
        }
    blocks = (weight.astype(np.uint32) << 16).view(np.float32).reshape(-1, 32)[: key.slots]
    (folder / "codes").write_bytes(quantize(blocks, GGMLQuantizationType.Q8_0).tobytes())
    return {"file": file, "tensor": "w", "jobs": [{**job, "codes": str(folder / "codes")}]}


def measure(binary: Path, key: KeyFolder) -> None:
    constraints = json.loads((key.dir / "key.json").read_text())["constraints"]
    with tempfile.TemporaryDirectory() as name:
        command, request = request_of(key, Path(name))
        lists = sum(
            (Path(name) / file).stat().st_size
            for file in request
            if key.kind not in BROKEN and (Path(name) / file).exists()
        )
        read = peak_bytes(
            binary, command, {**request, **BROKEN.get(key.kind, {"gamma": "none"})}, 2
        )
        proved = peak_bytes(binary, command, request, 0)
        what = f"{key.kind} {key.slots}: {constraints} constraints"
        target = PROCESS + WHOLE * constraints
        each = f"{read / constraints:.0f} and {proved / constraints:.0f} bytes per constraint"
        line(f"{what}, key read", read / 2**20, "MiB", f"<= {target >> 20}", read <= target, each)
        target += PROOF * constraints + INPUTS * lists
        line(f"{what}, proved", proved / 2**20, "MiB", f"<= {target >> 20}", proved <= target, each)
        if key.kind == "epoch":
            values = {
                "key": str(key.dir),
                "vector": "P",
                "order": request["order"],
                "count": key.slots,
            }
            committed = peak_bytes(binary, "commit", values, 0)
            bases = (key.dir / "bases.bin").stat().st_size
            target = PROCESS + BASES * bases + INPUTS * (Path(name) / "order").stat().st_size
            line(
                f"{what}, committed",
                committed / 2**20,
                "MiB",
                f"<= {target >> 20}",
                committed <= target,
                f"{committed / bases:.1f} times the bases",
            )


def main() -> None:
    prover = ZkProver(prover_binary())
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else max(slots for _, slots, _ in SHAPES)
    for kind, slots, depth in SHAPES:
        if slots <= largest:
            measure(prover.binary, ensure_keys(prover, CACHE / "keys", kind, slots, depth))


if __name__ == "__main__":
    main()
