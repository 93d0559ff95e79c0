"""The tensors of a Llama-architecture model folder, with the names and the order that GGUF uses.

Everything follows from the folder's files alone, so anybody who has them can compute it again.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Standardized tensor names").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import MODEL_ARCH
from gguf.tensor_mapping import get_tensor_name_map

from provenance.errors import InputError
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.weights import Weights

ARCHITECTURE = "llama"
_MODEL_TYPES = ("llama", "mistral")
MAX_CONFIG_BYTES = 16 << 20
_NUMBERS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
)
_LAYER = re.compile(r"model\.layers\.(\d+)\..+")


@dataclass(frozen=True)
class ModelFolder:
    """A model folder opened for conversion."""

    path: Path
    config: Mapping[str, Any]
    weights: Weights

    @property
    def heads(self) -> int:
        """Number of query heads."""
        return int(self.config["num_attention_heads"])

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads."""
        return int(self.config.get("num_key_value_heads") or self.heads)

    @property
    def head_dim(self) -> int:
        """Number of values in one head."""
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.heads)


def open_model(path: Path) -> ModelFolder:
    """Open a Llama-architecture folder (attacker-controlled).

    Raises:
        InputError: it has another architecture, or its configuration lacks what GGUF needs.
    """
    where = str(path / "config.json")
    config = load_json(path / "config.json", MAX_CONFIG_BYTES)
    if config.get("model_type") not in _MODEL_TYPES:
        raise InputError(
            "only Llama-architecture models can be written as GGUF",
            where=where,
            expected=" or ".join(_MODEL_TYPES),
            actual=config.get("model_type"),
        )
    for name in _NUMBERS:
        if not isinstance(config.get(name), int) or not 0 < config[name] < 2**31:
            raise InputError(
                "missing or bad number", where=f"{where} {name}", actual=config.get(name)
            )
    return ModelFolder(path, config, Weights(path))


def tensor_names(model: ModelFolder) -> dict[str, str]:
    """GGUF name -> name in the folder, in the order of the file: embedding, layers, head.

    Raises:
        InputError: the folder has a tensor that the architecture lacks, or its output head is tied
            to the embedding and differs from it.
    """
    layers = int(model.config["num_hidden_layers"])
    mapping = get_tensor_name_map(MODEL_ARCH.LLAMA, layers)
    names: dict[str, str] = {}
    for name in sorted(model.weights, key=_file_order):
        if name == "lm_head.weight" and model.config.get("tie_word_embeddings"):
            _require_tied(model, name)
            continue
        translated = mapping.get_name(name, try_suffixes=(".weight", ".bias"))
        match = _LAYER.fullmatch(name)
        if translated is None or (match is not None and int(match[1]) >= layers):
            raise InputError(
                "tensor does not belong to the architecture", where=f"{model.path} {name}"
            )
        names[translated] = name
    return names


def _require_tied(model: ModelFolder, head: str) -> None:
    if model.weights.raw(head) != model.weights.raw("model.embed_tokens.weight"):
        raise InputError(
            "output head is tied but differs from the embedding", where=f"{model.path} {head}"
        )


def _file_order(name: str) -> tuple[int, int, str]:
    match = _LAYER.fullmatch(name)
    if match is not None:
        return 1, int(match[1]), name
    return (0 if name.startswith("model.embed_tokens") else 2), 0, name


def tensor_values(model: ModelFolder, gguf_name: str, name: str) -> np.ndarray:
    """Float32 values of one bfloat16 tensor, exactly, with rows in the order of GGUF.

    Raises:
        InputError: the tensor is not bfloat16, or holds NaN or infinity.
    """
    bits = model.weights.bf16_bits(name)
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(values).all():
        raise InputError("weights hold NaN or infinity", where=f"{model.path} {name}")
    if ".attn_q." in gguf_name:
        return _interleave(values, model.heads)
    if ".attn_k." in gguf_name:
        return _interleave(values, model.kv_heads)
    return values


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """Turn the rotary halves (x0, x1, .., y0, y1, ..) of each head into (x0, y0, x1, y1, ..)."""
    rows = values.shape[0]
    if rows % (2 * heads):
        raise InputError(
            "rows are not whole heads", expected=f"a multiple of {2 * heads}", actual=rows
        )
    halves = values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def rope_factors(model: ModelFolder) -> np.ndarray | None:
    """Frequency factors `(head_dim/2,)` of rope type llama3; None for other types.

    Source: "llama3" in Hugging Face's modeling_rope_utils documentation (wavelength thresholds and
    linear blend).
    """
    rope = rope_of(model)
    if rope.get("rope_type", "default") != "llama3":
        return None
    factor, low, high, context = (
        float(rope[key])
        for key in (
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        )
    )
    exponents = np.arange(0, model.head_dim, 2, dtype=np.float64) / model.head_dim
    wavelength = 2 * math.pi * float(rope["rope_theta"]) ** exponents
    blend = (context / wavelength - low) / (high - low)
    smooth = 1 / ((1 - blend) / factor + blend)
    longest = np.where(wavelength > context / low, factor, smooth)
    return np.where(wavelength < context / high, 1.0, longest).astype(np.float32)


def rope_of(model: ModelFolder) -> dict[str, Any]:
    """Rotary settings of a model, with their type and base.

    Raises:
        InputError: the type is not written as GGUF here.
    """
    rope = dict(model.config.get("rope_parameters") or model.config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", model.config.get("rope_theta", 10000.0))
    rope.setdefault("rope_type", rope.get("type", "default"))
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        raise InputError(
            "rope type is not supported",
            where=str(model.path),
            expected="default, linear or llama3",
            actual=rope["rope_type"],
        )
    return rope
