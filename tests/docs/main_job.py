"""The README's main job with the tiny model: its commands, its environment, what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT, blocks
from tests.support.chain import TINY_MODEL_KEYS

TINY = {
    "examples/smollm2.yaml": "examples/tiny.yaml",
    "--limit 512": "--limit 64",
    "--weights": "--weights --draws 4",
    "--base smollm2": "--base tiny",
}


@dataclass(frozen=True)
class Job:
    """A finished main job: its environment, its folder, and what each command printed on stdout."""

    env: dict[str, str]
    run: Path
    commands: list[str]
    outputs: list[str]

    @property
    def file(self) -> Path:
        return next((self.run / "run" / "release").glob("*.gguf"))


def main_job_commands() -> list[str]:
    """The README's main job with the tiny configuration and few records in place of its own."""
    (block,) = (b for b in blocks(ROOT / "README.md") if b.marker == "main job")
    text = block.text
    for wanted, tiny in TINY.items():
        assert text.count(wanted) == 1, wanted
        text = text.replace(wanted, tiny)
    return text.splitlines()


def environment(folder: Path) -> dict[str, str]:
    password = folder / "password"
    password.write_text("a password for tests\n")
    password.chmod(0o600)
    cache = os.environ.get("PROVENANCE_TEST_CACHE") or str(ROOT / "build" / "test-cache")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PROVENANCE_")}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUN": str(folder),
        "PROVENANCE_HOME": str(folder / "home"),
        "PROVENANCE_CACHE": cache,
        "PROVENANCE_PASSWORD_FILE": str(password),
        "PROVENANCE_TRUST": str(folder / "trust.yaml"),
        "PROVENANCE_MODEL_KEYS": TINY_MODEL_KEYS,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "2",
    }


def shell(
    command: str, env: dict[str, str], timeout_s: int = 900
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
