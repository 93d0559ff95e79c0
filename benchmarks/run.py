"""`make bench`: one script per budget line.

Each prints its inputs, its medians and their targets. None is a test.

    python benchmarks/run.py               run all
    python benchmarks/run.py NAME ..       run some: journal, cli, overhead, determinism,
                                           proofs, zk, peers, gas, million, verify, demo,
                                           service, explorer, push, tests
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[:2]]
NAMES = (
    *("journal", "cli", "overhead", "determinism", "proofs", "zk", "peers", "gas"),
    *("million", "verify", "demo", "service", "explorer", "push", "tests"),
)
PARTS = {
    "demo": ("verify", "demo"),
    "determinism": ("overhead", "determinism"),
    "explorer": ("service", "explorer"),
    "push": ("service", "push"),
}
"""Benchmarks that share a script with another one."""


def main() -> None:
    wanted = sys.argv[1:] or list(NAMES)
    if unknown := [name for name in wanted if name not in NAMES]:
        sys.exit(f"error: no benchmark is called {unknown[0]}, expected {', '.join(NAMES)}")
    for name in wanted:
        print(f"== {name}", flush=True)
        begin = time.monotonic()
        module, function = PARTS.get(name, (name, "main"))
        getattr(importlib.import_module(f"bench_{module}"), function)()
        print(f"== {name} took {time.monotonic() - begin:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
