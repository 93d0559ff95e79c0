"""Loading base model, LoRA adapter and tokenizer of a run, and writing the shipped adapter."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from provenance.digest import Digest
from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.adapter import (
    ALL_LINEAR,
    CONFIG_NAME,
    WEIGHTS_NAME,
    exact_scale,
    round_adapter,
)
from provenance_trainer.model.way_out import LOWER


def has_gpu() -> bool:
    """Whether torch can train on a GPU here."""
    return bool(torch.cuda.is_available())


def uses_bf16(config: TrainConfig) -> bool:
    """Whether to train in bfloat16: as configured, else if there is a GPU that supports it."""
    return config.bf16 if config.bf16 is not None else has_gpu() and torch.cuda.is_bf16_supported()


def load_adapted_model(config: TrainConfig, folder: Path) -> PeftModel:
    """The base model with a fresh LoRA adapter.

    Adapter weights are float32. Base weights are bfloat16 if `uses_bf16`, else float32. The caller
    must seed torch's generator first, because the adapter's factors A are drawn at random.

    Raises:
        ConfigError: the model lacks the modules, or a scale cannot be merged exactly.
    """
    try:
        exact_scale(config.lora_alpha, config.lora_r, "lora_alpha")
    except InputError as error:
        raise ConfigError(
            error.what, where=error.where, actual=error.actual, hint=error.hint
        ) from error
    dtype = torch.bfloat16 if uses_bf16(config) else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
    model.config.use_cache = False
    adapted = _with_adapter(config, model)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()
    return adapted


def _with_adapter(config: TrainConfig, model: Any) -> PeftModel:
    names = config.lora_target_modules
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=ALL_LINEAR if names == (ALL_LINEAR,) else list(names),
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            # PEFT reads a property of transformers by its old name, which we cannot change.
            warnings.filterwarnings(
                "ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning
            )
            adapted: PeftModel = get_peft_model(model, lora)
    except ValueError as error:
        raise ConfigError(
            "model has none of these modules",
            where="lora_target_modules",
            actual=", ".join(names),
            hint="name modules of the model, such as q_proj, or all-linear",
        ) from error
    return adapted


def ship_adapter(model: PeftModel, base_name: str, target: Path) -> Digest:
    """Write the bfloat16 adapter that is shipped, and load its weights back into the model.

    So everything that is evaluated afterwards is the shipped adapter.

    Returns:
        Content digest of the shipped adapter.

    Raises:
        InputError: a value is not finite, or larger than a merge holds.
    """
    if target.exists():
        shutil.rmtree(target)  # an earlier attempt of the same run left it
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".adapter-") as folder:
        raw = Path(folder) / "raw"
        model.save_pretrained(str(raw), safe_serialization=True)
        (raw / "README.md").unlink(missing_ok=True)
        _settle_config(raw / CONFIG_NAME, base_name)
        try:
            digest = round_adapter(raw, target)
        except InputError as error:
            # The folder is gone when this is read.
            error.where = (error.where or "").replace(str(raw), str(target))
            error.hint = error.hint or LOWER
            raise
    load_shipped(model, target)
    return digest


def load_shipped(model: PeftModel, folder: Path) -> None:
    """Put the weights of a shipped adapter into the model."""
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS_NAME))


def _settle_config(path: Path, base_name: str) -> None:
    """Make the file's bytes repeatable: the configured name of the base, and sorted sets."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
