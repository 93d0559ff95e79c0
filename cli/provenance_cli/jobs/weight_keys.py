"""Whether the contracts and the cache have the keys for the weights of a run that is planned."""

from __future__ import annotations

import re
from pathlib import Path

from provenance.chain.session import load_deployment
from provenance.errors import ConfigError, InputError, NotFound, ProvenanceError
from provenance.settings import Settings
from provenance.statements import quantization_kind
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES, Shape
from provenance_trainer.model.checks import adapted_modules
from provenance_trainer.run.derived import DEFAULT_FORMAT
from provenance_zk.weights.keys import require_keys, wanted_keys

_CANNOT = "publish cannot prove these weights"
_IDS = re.compile(r" \(0x[^)]*\)")


def missing_weight_keys(settings: Settings, config: TrainConfig, base: Path) -> list[str]:
    """Why `publish` could not prove the weights of this run, for people; empty if it could.

    Without contracts there is nothing to say: `init` deploys them.

    Args:
        base: Folder of the base model.
    """
    try:
        deployment = load_deployment(settings)
    except ProvenanceError:
        return []
    where = base / "config.json"
    shape = Shape.of(load_json(where, MAX_CONFIG_BYTES), str(where))
    sizes = adapted_modules(config.lora_target_modules, shape).values()
    kinds = ("merge", quantization_kind(DEFAULT_FORMAT).name)
    try:
        require_keys(deployment, settings.cache / "keys", wanted_keys(kinds, sizes, config.lora_r))
    except ConfigError as error:
        keys = (error.expected or "").replace("; ", ",")
        return [f"{_CANNOT}: no key {keys} is deployed (provenance init --model-keys {keys})"]
    except NotFound as error:
        keys = _IDS.sub("", error.expected or "")
        return [f"{_CANNOT}: the cache lacks {keys} (restore it from a copy, or see doctor)"]
    except InputError as error:
        return [f"{_CANNOT}: {error}"]
    return []
