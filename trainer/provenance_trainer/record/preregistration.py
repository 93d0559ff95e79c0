"""The `run.open` record: everything that is fixed before the seed is drawn."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.ids import Address, DatasetId, Word, to_hex
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
    """The facts of a committed dataset that `run.open` names."""

    @property
    def root(self) -> DatasetRoot:
        """Root, depth and count."""
        ...

    @property
    def manifest_digest(self) -> Digest:
        """SHA-256 of its manifest."""
        ...


@dataclass(frozen=True)
class Registrant:
    """Who registers a run, and for which dataset.

    signer: Whose key signs the run's heads.
    dataset_id: The dataset's registration; None for a run whose seed no chain draws.
    """

    signer: Address
    dataset_id: DatasetId | None


@dataclass(frozen=True)
class FedSaid:
    """What is fed.

    trained: As `provenance_trainer.data.fed.Fed.to_json` says it. evaluated: As
        `provenance_trainer.run.evaluation.Evaluation.to_json` does.
    """

    trained: Mapping[str, Any]
    evaluated: Mapping[str, Any] = field(default_factory=dict)


def open_record(
    config: TrainConfig,
    base: BaseModel,
    dataset: DatasetIdentity,
    fed: FedSaid,
    registrant: Registrant,
) -> Record:
    """The `run.open` record of a run. A nonce makes two runs of one configuration differ.

    Args:
        fed: What is fed of the dataset, and of the records that the run is evaluated on.
    """
    named = {**dataset.root.to_json(), "manifest": str(dataset.manifest_digest)}
    if registrant.dataset_id is not None:
        named["dataset_id"] = str(registrant.dataset_id)
    based: dict[str, Any] = {
        "name": base.name,
        "content": str(base.content),
        "files": base.identity.files_json(),
    }
    if base.source is not None:
        based["converted"] = base.source.to_json()
    return Record.make(
        "run.open",
        dataset=named,
        fed=dict(fed.trained),
        base=based,
        config=config_record(config),
        config_digest=str(config_digest(config)),
        code=_code_state(Path(__file__).parent),
        environment=_environment(config),
        signer=str(registrant.signer),
        evaluation=_evaluation(config) | dict(fed.evaluated),
        registered=registrant.dataset_id is not None,
        nonce=to_hex(os.urandom(Word.SIZE)),
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


def _code_state(folder: Path) -> dict[str, Any]:
    """Git commit of a folder (`unknown` if none), whether files were changed, what is installed."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit or "unknown",
        "dirty": changes is None or bool(changes),
        "lock": str(sha256(canonical_json(list(_installed_versions())))),
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


@cache
def _installed_versions() -> tuple[str, ...]:
    """`name==version` of every installed distribution, sorted, as this process first found them."""
    each = (distribution.metadata for distribution in importlib.metadata.distributions())
    return tuple(sorted({f"{of['Name'].lower()}=={of['Version']}" for of in each if of["Name"]}))


def _environment(config: TrainConfig) -> dict[str, Any]:
    """Versions of packages, and the stack that training runs on."""
    from provenance_trainer.record.determinism import stack  # torch: only opening a run needs it

    versions = {}
    for name in _NAMED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    said = stack(deterministic=not config.provenance.nondeterministic)
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "device": said.get("gpu", "cpu"),
        "packages": versions,
        "stack": said,
    }
