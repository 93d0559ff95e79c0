"""The README's main job with the tiny model: its commands, its environment, what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT, blocks
from tests.support.chain import TINY_MODEL_KEYS, cache_folder

TINY = {
    "init --home .state --records 256": (
        f"init --home .state --records 64 --cache {cache_folder()} --model-keys {TINY_MODEL_KEYS}"
    ),
    "examples/smollm2.yaml": "examples/tiny.yaml",
    "--limit 512": "--limit 64",
    "publish $RUN/run": "publish $RUN/run --draws 4",
}


@dataclass(frozen=True)
class Job:
    """A finished main job: its environment, where commands run, its folder, and each stdout."""

    env: dict[str, str]
    work: Path
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
    """A user who set nothing but RUN, and whose home is empty."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PROVENANCE_", "XDG_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "user"),
        "RUN": str(folder),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "2",
    }


def working_folder(folder: Path) -> Path:
    """A folder in the place of the repository, so that commands write none of its files."""
    work = folder / "work"
    work.mkdir()
    for name in ("examples", "docs"):
        (work / name).symlink_to(ROOT / name)
    return work


def shell(
    command: str, env: dict[str, str], work: Path, timeout_s: int = 900
) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in the working folder."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
