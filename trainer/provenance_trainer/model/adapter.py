"""LoRA adapters as PEFT writes them: a configuration, and factors (A, B) for each adapted module.

Only plain LoRA is accepted. Every other option changes how an adapter is merged, so an adapter that
uses one is refused, and the error names the option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from provenance.artifacts.content import content_digest
from provenance.digest import Digest, open_regular
from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter, Weights, atomic_dir, copy_side_files

ALL_LINEAR = "all-linear"  # PEFT's name for every linear layer but the output head
CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

# Options that change training or bookkeeping, but not how the stored factors are merged.
_FREE = frozenset(
    {
        "task_type",
        "peft_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "r",
        "target_modules",
        "exclude_modules",
        "lora_alpha",
        "lora_dropout",
        "init_lora_weights",
        "layers_to_transform",
        "layers_pattern",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
    }
)
# Initialisations that do not change the base weights.
_PLAIN_INIT = (True, False, "gaussian", "orthogonal")
_NEUTRAL: tuple[Any, ...] = (None, False, "none", {}, [])


@dataclass(frozen=True)
class Pair:
    """The factors of one adapted module: tensor names of A `(r, in)` and B `(out, r)`."""

    module: str
    a: str
    b: str

    @property
    def target(self) -> str:
        """The tensor that the pair adapts."""
        return f"{self.module}.weight"


@dataclass(frozen=True)
class Adapter:
    """A plain LoRA adapter. `scale` is lora_alpha / r, which bfloat16 holds exactly."""

    path: Path
    config: Mapping[str, Any]
    rank: int
    scale: Fraction
    pairs: tuple[Pair, ...]
    weights: Weights

    @property
    def scale_float(self) -> float:
        """The scale as a float, which holds it exactly."""
        return float(self.scale)

    @property
    def scale_text(self) -> str:
        """The scale as an exact decimal, for records."""
        return decimal_text(self.scale)


def decimal_text(value: Fraction) -> str:
    """Exact decimal of a fraction over a power of two, without trailing zeros."""
    digits = value.denominator.bit_length() - 1  # 2^-d needs d decimals
    scaled = value.numerator * 10**digits // value.denominator
    sign, text = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(digits + 1, "0")
    whole, fraction = (text[:-digits], text[-digits:].rstrip("0")) if digits else (text, "")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def load_json(path: Path, limit_bytes: int) -> dict[str, Any]:
    """A JSON object from a file (attacker-controlled).

    Raises:
        InputError: the file is missing, larger than `limit_bytes`, or no JSON object.
    """
    with open_regular(path) as stream:
        data = stream.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InputError("file is too large", where=str(path), expected=f"<= {limit_bytes} bytes")
    try:
        value = parse_json(data, parse_constant=float)
    except ValueError as error:
        raise InputError("not JSON", where=str(path), actual=error) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=str(path), actual=type(value).__name__)
    return value


def load_adapter(path: Path) -> Adapter:
    """Read an adapter folder (attacker-controlled).

    Raises:
        InputError: it is not a plain LoRA adapter (DoRA, rsLoRA, modules_to_save, bias, patterns,
            ..), bfloat16 does not hold the scale, tensors are unpaired or no LoRA factors, or
            shapes do not match the rank.
    """
    config = load_json(path / CONFIG_NAME, _MAX_CONFIG_BYTES)
    _require_plain(config, path)
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise InputError(
            "adapter rank is not a positive integer",
            where=f"{path / CONFIG_NAME} r",
            expected=">= 1",
            actual=rank,
        )
    weights = Weights(path / WEIGHTS_NAME)
    return Adapter(
        path, config, rank, _scale(config, rank, path), tuple(_pairs(weights, rank)), weights
    )


def _require_plain(config: Mapping[str, Any], path: Path) -> None:
    where = str(path / CONFIG_NAME)
    if config.get("peft_type") != "LORA":
        raise InputError(
            "not a LoRA adapter",
            where=f"{where} peft_type",
            expected="LORA",
            actual=config.get("peft_type"),
        )
    if config.get("init_lora_weights", True) not in _PLAIN_INIT:
        raise InputError(
            "this initialisation changes the base weights",
            where=f"{where} init_lora_weights",
            expected="true, false, gaussian or orthogonal",
            actual=config["init_lora_weights"],
        )
    for key, value in config.items():
        if key not in _FREE and value not in _NEUTRAL:
            raise InputError(
                "only plain LoRA can be merged exactly",
                where=f"{where} {key}",
                expected="off",
                actual=value,
                hint=f"train without {key}",
            )


def _scale(config: Mapping[str, Any], rank: int, path: Path) -> Fraction:
    return exact_scale(config.get("lora_alpha"), rank, f"{path / CONFIG_NAME} lora_alpha")


def exact_scale(alpha: object, rank: int, where: str) -> Fraction:
    """lora_alpha / r as an exact number.

    Raises:
        InputError: `alpha` is no positive number, or bfloat16 does not hold the scale.
    """
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < 2**32:
        raise InputError(
            "lora_alpha is not a positive number",
            where=where,
            expected="above 0 and below 2^32",
            actual=alpha,
        )
    scale = Fraction(alpha) / rank
    bits = bfloat16.round_float64(np.array([float(scale)]))
    if scale >= 2**bfloat16.WINDOW_BITS or Fraction(float(bfloat16.to_float64(bits)[0])) != scale:
        raise InputError(
            "scale lora_alpha / r is not a bfloat16 number",
            where=where,
            actual=f"{alpha}/{rank}",
            hint="choose lora_alpha as r times a power of two",
        )
    return scale


def _pairs(weights: Weights, rank: int) -> Iterator[Pair]:
    sides: dict[str, dict[str, str]] = {}
    for name in weights:
        match = _KEY.fullmatch(name)
        if match is None:
            raise InputError(
                "tensor is not a LoRA factor",
                where=f"{weights.path} {name}",
                expected="base_model.model.<module>.lora_A.weight or lora_B",
            )
        sides.setdefault(match["module"], {})[match["side"]] = name
    if not sides:
        raise InputError("adapter adapts nothing", where=str(weights.path))
    for module, names in sorted(sides.items()):
        if set(names) != {"A", "B"}:
            raise InputError(
                "LoRA factor without its partner",
                where=f"{weights.path} {module}",
                expected="A and B",
                actual=", ".join(sorted(names)),
            )
        shape_a, shape_b = weights.info(names["A"]).shape, weights.info(names["B"]).shape
        if len(shape_a) != 2 or len(shape_b) != 2 or shape_a[0] != rank or shape_b[1] != rank:
            raise InputError(
                "LoRA factors do not have the rank of the configuration",
                where=f"{weights.path} {module}",
                expected=f"A ({rank}, in), B (out, {rank})",
                actual=f"A {shape_a}, B {shape_b}",
            )
        yield Pair(module, names["A"], names["B"])


def round_adapter(source: Path, target: Path) -> Digest:
    """Write the bfloat16 form of an adapter, which is shipped, evaluated and merged.

    Values below 2^-40 become zero. Merge proofs compute with integers of a fixed range, and smaller
    values do not fit into it.

    Returns:
        Content digest of the new folder.

    Raises:
        InputError: it is not a plain LoRA adapter, a tensor is neither F32 nor BF16, or a value is
            not finite or is 2^16 or more.
    """
    adapter = load_adapter(source)
    shapes = {name: ("BF16", adapter.weights.info(name).shape) for name in adapter.weights}
    with atomic_dir(target) as folder:
        copy_side_files(source, folder)
        with SafetensorsWriter(folder / WEIGHTS_NAME, shapes) as writer:
            for name in adapter.weights:
                writer.write(name, _rounded(adapter.weights, name).tobytes())
    return content_digest(target)


def _rounded(weights: Weights, name: str) -> np.ndarray:
    info, where = weights.info(name), f"{weights.path} {name}"
    if info.dtype == "F32":
        values = np.frombuffer(weights.raw(name), dtype="<f4").reshape(info.shape)
        if not np.isfinite(values).all():
            raise InputError("adapter holds NaN or infinity", where=where)
        bits = bfloat16.round_float32(values)
    else:
        bits = weights.bf16_bits(name)
    bfloat16.require_in_window(bits, where)
    return bfloat16.flush_small(bits)
