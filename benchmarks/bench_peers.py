"""The same circuit proved by gnark, snarkjs and groth16py (arkworks), as ratios in one run.

The circuit is `tree` over 256 leaves. It has no commitments, which the other two do not support.
They get it as iden3's .r1cs and .wtns files. Each prover first makes its own development key, which
is not timed, and verifies each of its proofs itself. What is timed is one proof with the key at
hand: gnark solves the witness each time, groth16py holds its key in memory, and snarkjs reads its
key from a file that the system caches.

Both peers are GPL-3.0. They run here as separate programs, and we ship neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, line, median, say

REPEAT = 5
GROTH16PY = "groth16py==0.2.0"  # arkworks for Python; used only for this ratio
SNARKJS = ROOT / "node_modules" / "snarkjs" / "build" / "cli.cjs"
PEERS = ROOT / "build" / "peers"
_GROTH16PY = """
import json, sys, time
import groth16py
folder, repeat = sys.argv[1], int(sys.argv[2])
key, verifying = groth16py.setup(folder + "/circuit.r1cs")
public = [int(value) for value in json.load(open(folder + "/public.json"))]
seconds = []
for _ in range(repeat):
    begin = time.perf_counter()
    proof = groth16py.prove_wtns(key, folder + "/witness.wtns")
    seconds.append(time.perf_counter() - begin)
    assert groth16py.Verifier(verifying).verify(proof, public)
print(json.dumps(seconds))
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="provenance-peers-") as path:
        folder = Path(path)
        ours = _gnark(folder)
        inputs = (
            f"tree, 256 leaves, {ours['constraints']:,} constraints, medians of {REPEAT}, "
            f"{os.cpu_count()} cores"
        )
        line("gnark, a proof", median(ours["seconds"]), "s", "none", True, inputs)
        for name, seconds in (("snarkjs", _snarkjs(folder)), ("groth16py", _groth16py(folder))):
            line(f"{name}, a proof", median(seconds), "s", "none", True, inputs)
            ratio = median(seconds) / median(ours["seconds"])
            line(
                f"{name} / gnark",
                ratio,
                "times",
                ">= 1",
                ratio >= 1,
                "the same constraints and witness, in this run",
            )


def _run(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _gnark(folder: Path) -> dict[str, Any]:
    say("gnark: setup and proofs")
    result: dict[str, Any] = json.loads(
        _run(
            "go",
            "run",
            "./cmd/peers",
            "-out",
            folder,
            "-repeat",
            REPEAT,
            cwd=ROOT / "zk" / "prover",
        )
    )
    return result


def _snarkjs(folder: Path) -> list[float]:
    say("snarkjs: powers of tau for 2^14 and setup, about half a minute")
    for command in (
        ("powersoftau", "new", "bn128", 14, folder / "0.ptau"),
        ("powersoftau", "prepare", "phase2", folder / "0.ptau", folder / "1.ptau"),
        ("groth16", "setup", folder / "circuit.r1cs", folder / "1.ptau", folder / "circuit.zkey"),
        (
            "zkey",
            "export",
            "verificationkey",
            folder / "circuit.zkey",
            folder / "verification_key.json",
        ),
    ):
        _run("node", SNARKJS, *command)
    seconds: list[float] = json.loads(
        _run("node", ROOT / "benchmarks" / "snarkjs_prove.mjs", folder, REPEAT)
    )
    return seconds


def _groth16py(folder: Path) -> list[float]:
    say(f"groth16py: installing {GROTH16PY} into {PEERS.relative_to(ROOT)}, setup and proofs")
    _run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--upgrade",
        "--target",
        PEERS,
        GROTH16PY,
    )
    seconds: list[float] = json.loads(
        _run(sys.executable, "-c", _GROTH16PY, folder, REPEAT, env={"PYTHONPATH": str(PEERS)})
    )
    return seconds


if __name__ == "__main__":
    main()
