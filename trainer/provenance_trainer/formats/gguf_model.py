"""The tensors of a model folder, with the names and the order that GGUF uses.

Everything follows from the folder's files alone, so anybody who has them can compute it again.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Standardized tensor names").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFValueType
from gguf.tensor_mapping import TensorNameMap, get_tensor_name_map

from provenance.errors import InputError
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import HEAD, MAX_CONFIG_BYTES, Shape
from provenance_trainer.model.weights import Weights

_ARCHITECTURES: Mapping[str, MODEL_ARCH] = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
_LAYER = re.compile(r"model\.layers\.(\d+)\..+")


@dataclass(frozen=True)
class Key:
    """One metadata key as it stands in a file.

    item: Type of an array's items.
    earlier: What earlier releases wrote instead; None where it is the same.
    """

    name: str
    kind: GGUFValueType
    value: Any
    item: GGUFValueType | None = None
    earlier: Any = None


@dataclass(frozen=True)
class ModelFolder:
    """A model folder opened for conversion."""

    path: Path
    config: Mapping[str, Any]
    shape: Shape
    weights: Weights

    @property
    def head_dim(self) -> int:
        """Values of one head."""
        return self.shape.head_dim


def open_model(path: Path) -> ModelFolder:
    """Open a folder of a supported architecture (attacker-controlled).

    Raises:
        InputError: it has another architecture, or its configuration lacks what GGUF needs.
    """
    where = str(path / "config.json")
    config = load_json(path / "config.json", MAX_CONFIG_BYTES)
    return ModelFolder(path, config, Shape.of(config, where), Weights(path))


def name_map(architecture: str, layers: int) -> TensorNameMap:
    """Names of a model's tensors -> their names in a file of this `general.architecture`."""
    return get_tensor_name_map(_ARCHITECTURES[architecture], layers)


def tensor_names(model: ModelFolder) -> dict[str, str]:
    """GGUF name -> name in the folder, in the order of the file: embedding, layers, head.

    Raises:
        InputError: the folder has a tensor that the architecture lacks, or its output head is tied
            to the embedding and differs from it.
    """
    layers = model.shape.layers
    mapping = name_map(model.shape.architecture.gguf, layers)
    names: dict[str, str] = {}
    for name in sorted(model.weights, key=_file_order):
        if name == HEAD and model.shape.tied:
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
    return values_of(tensor_bits(model, gguf_name, name), f"{model.path} {name}")


def values_of(bits: np.ndarray, where: str) -> np.ndarray:
    """Float32 values of bfloat16 bits (uint16, of any shape), exactly.

    Raises:
        InputError: they hold NaN or infinity.
    """
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(values).all():
        raise InputError("weights hold NaN or infinity", where=where)
    return values


def tensor_bits(model: ModelFolder, gguf_name: str, name: str) -> np.ndarray:
    """Bits (uint16) of one bfloat16 tensor, with rows in the order of GGUF.

    Raises:
        InputError: the tensor is not bfloat16.
    """
    bits = model.weights.bf16_bits(name)
    if not model.shape.architecture.interleaved:
        return bits
    if ".attn_q." in gguf_name:
        return _interleave(bits, model.shape.heads)
    if ".attn_k." in gguf_name:
        return _interleave(bits, model.shape.kv_heads)
    return bits


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """Turn the rotary halves (x0, x1, .., y0, y1, ..) of each head into (x0, y0, x1, y1, ..)."""
    rows = values.shape[0]
    if rows % (2 * heads):
        raise InputError(
            "rows are not whole heads", expected=f"a multiple of {2 * heads}", actual=rows
        )
    halves = values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)
