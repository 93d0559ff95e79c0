"""The `run.open` record: everything that is fixed before the seed is drawn."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any, Protocol

from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.log.record import Record
from provenance_trainer.config import TrainConfig, config_digest, config_record
from provenance_trainer.model.base import BaseModel

_NAMED = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
    "deepspeed",
)


class DatasetIdentity(Protocol):
    """The part of a committed dataset that a run names."""

    @property
    def root(self) -> Any: ...
    @property
    def manifest_digest(self) -> Digest: ...


def open_record(
    config: TrainConfig,
    base: BaseModel,
    dataset: DatasetIdentity,
    signer: str,
    *,
    registered: bool = True,
    code_dir: Path | None = None,
) -> Record:
    """The pre-registration of a run.

    Args:
        signer: Address (0x, lower case) of the key that signs the run's heads.
        registered: False when no chain draws the seed.
        code_dir: Working tree whose commit is named; None for this package's own.
    """
    return Record.make(
        "run.open",
        dataset={**dataset.root.to_json(), "manifest": str(dataset.manifest_digest)},
        base={"name": base.name, "content": str(base.content), "manifest": str(base.manifest.root)},
        config=config_record(config),
        config_digest=str(config_digest(config)),
        code=code_state(code_dir or Path(__file__).parent),
        environment=environment(),
        signer=signer,
        evaluation=_evaluation(config),
        registered=registered,
    )


def _evaluation(config: TrainConfig) -> dict[str, Any]:
    bar = config.eval_max_perplexity
    sample = (
        "held out" if config.eval_dataset_name is not None else "sample of the training records"
    )
    result: dict[str, Any] = {
        "metric": "perplexity",
        "sample": sample,
        "samples": config.eval_samples,
    }
    if bar is not None:
        result["max"] = repr(bar)
    return result


def code_state(folder: Path) -> dict[str, Any]:
    """Git commit and dirty flag of a working tree (`unknown` outside one), and a digest of all installed versions."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit or "unknown",
        "dirty": changes is None or bool(changes),
        "lock": str(sha256(canonical_json(installed_versions()))),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def installed_versions() -> list[str]:
    """`name==version` of every installed distribution, sorted."""
    found = {f"{d.name.lower()}=={d.version}" for d in importlib.metadata.distributions() if d.name}
    return sorted(found)


def environment() -> dict[str, Any]:
    """Versions and device that training runs with."""
    import torch

    versions = {}
    for name in _NAMED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "device": device,
        "packages": versions,
    }
