"""Rotary position embeddings of a model as GGUF says them: keys, and frequency factors.

Source: `modeling_rope_utils.py` of transformers 5; "rope.scaling" in the GGUF specification
(ggml-org/ggml, docs/gguf.md); `llama_context` and `ggml_rope_yarn` of ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gguf.constants import GGUFValueType

from provenance.errors import InputError
from provenance_trainer.formats.gguf_model import Key, ModelFolder

_LLAMA3 = ("low_freq_factor", "high_freq_factor")
_TYPES = ("default", "linear", "yarn", "llama3")
_REASONS = {
    "dynamic": "readers of GGUF files have one base for every length",
    "longrope": "its two lists of factors are not written here",
}


def rope_of(model: ModelFolder) -> dict[str, Any]:
    """Rotary settings of a model, with type and base.

    Raises:
        InputError: a type that is not written as GGUF here, or settings missing or impossible.
    """
    config = model.config
    where = f"{model.path / 'config.json'} rope_parameters"
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    rope.setdefault("rope_type", rope.get("type", "default"))
    kind = rope["rope_type"]
    if kind not in _TYPES:
        raise InputError(
            f"rope type {kind} cannot be written as GGUF",
            where=where,
            expected=" or ".join(_TYPES),
            actual=_REASONS.get(str(kind), kind),
        )
    if rope.get("partial_rotary_factor", config.get("partial_rotary_factor")) not in (None, 1):
        raise InputError("rotary embeddings of a part of each head", where=where, expected="all")
    if kind in ("llama3", "yarn"):
        default = config.get("max_position_embeddings")
        given = config.get("original_max_position_embeddings")
        if given is not None:
            rope["original_max_position_embeddings"] = given
        rope.setdefault("original_max_position_embeddings", default)
    _require_numbers(rope, where)
    if kind == "yarn":
        _require_yarn(rope, where)
    if kind == "llama3" and not model.shape.architecture.interleaved:
        raise InputError(
            "rope type llama3 is not known to readers of this architecture",
            where=where,
            expected="a model of architecture llama or mistral",
            actual=model.shape.architecture.model_type,
        )
    return rope


def _require_numbers(rope: Mapping[str, Any], where: str) -> None:
    needed = {
        "default": (),
        "linear": ("factor",),
        "yarn": ("factor", "original_max_position_embeddings"),
        "llama3": ("factor", "original_max_position_embeddings", *_LLAMA3),
    }[rope["rope_type"]]
    for name in ("rope_theta", *needed):
        value = rope.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < float(value or 0) < math.inf:
            raise InputError("missing or bad number", where=f"{where} {name}", actual=value)


def _require_yarn(rope: Mapping[str, Any], where: str) -> None:
    if rope.get("truncate", True) is not True:
        raise InputError(
            "rope type yarn without truncation is not known to readers of GGUF files",
            where=f"{where} truncate",
            expected="true",
            actual=rope["truncate"],
        )
    for name, default in (("beta_fast", 32), ("beta_slow", 1)):
        if (value := rope.get(name) or default) != default:
            raise InputError(
                f"rope type yarn with another {name} is not known to readers of GGUF files",
                where=f"{where} {name}",
                expected=default,
                actual=value,
            )
    if rope["factor"] < 1:
        raise InputError(
            "rope type yarn shortens the context",
            where=f"{where} factor",
            expected=">= 1",
            actual=rope["factor"],
        )


def rope_keys(model: ModelFolder) -> Iterator[Key]:
    """The keys of the rotary embeddings, in file order. The factors of llama3 are a tensor.

    Raises:
        InputError: as `rope_of`.
    """
    rope, arch = rope_of(model), model.shape.architecture.gguf
    text, u32 = GGUFValueType.STRING, GGUFValueType.UINT32
    yield Key(f"{arch}.rope.dimension_count", u32, model.head_dim)
    yield _float(f"{arch}.rope.freq_base", rope["rope_theta"])
    if rope["rope_type"] not in ("linear", "yarn"):
        return
    scaling = f"{arch}.rope.scaling"
    yield Key(f"{scaling}.type", text, rope["rope_type"])
    yield _float(f"{scaling}.factor", rope["factor"])
    if rope["rope_type"] == "linear":
        return
    yield Key(f"{scaling}.original_context_length", u32, int(_original(rope)))
    natural = _magnitude(rope["factor"])
    if (wanted := _attention_factor(rope)) != natural:
        yield _float(f"{scaling}.attn_factor", wanted / natural)


def _float(name: str, value: float) -> Key:
    return Key(name, GGUFValueType.FLOAT32, float(np.float32(value)))


def _original(rope: Mapping[str, Any]) -> float:
    return float(rope["original_max_position_embeddings"])


def _attention_factor(rope: Mapping[str, Any]) -> float:
    """What cosine and sine are multiplied by.

    Source: B. Peng et al., "YaRN", ICLR 2024, section 3.4.
    """
    if (given := rope.get("attention_factor")) is not None:
        return float(given)
    factor, mscale, all_dim = rope["factor"], rope.get("mscale"), rope.get("mscale_all_dim")
    if mscale and all_dim:
        return _magnitude(factor, mscale) / _magnitude(factor, all_dim)
    return _magnitude(factor)


def _magnitude(factor: float, mscale: float = 1.0) -> float:
    """Readers multiply cosine and sine by this already."""
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def rope_factors(model: ModelFolder) -> np.ndarray | None:
    """Frequency factors `(head_dim/2,)` of rope type llama3, None for other types.

    Source: "llama3" in Hugging Face's modeling_rope_utils documentation (wavelength thresholds and
    linear blend).
    """
    rope = rope_of(model)
    if rope["rope_type"] != "llama3":
        return None
    factor, low, high = (float(rope[key]) for key in ("factor", *_LLAMA3))
    context = _original(rope)
    exponents = np.arange(0, model.head_dim, 2, dtype=np.float64) / model.head_dim
    wavelength = 2 * math.pi * float(rope["rope_theta"]) ** exponents
    blend = (context / wavelength - low) / (high - low)
    smooth = 1 / ((1 - blend) / factor + blend)
    longest = np.where(wavelength > context / low, factor, smooth)
    return np.where(wavelength < context / high, 1.0, longest).astype(np.float32)
