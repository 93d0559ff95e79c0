"""Weights that no merge and no deployed file holds, found by reading all of them once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from provenance.digest import OwnPath
from provenance.errors import InputError, ProvenanceError
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES, Shape
from provenance_trainer.model.bfloat16 import WINDOW_BITS, to_float64
from provenance_trainer.model.checks import adapted_modules
from provenance_trainer.model.weights import Weights

_CHUNK_BYTES = 16 << 20
_INFINITE = 0x7F80  # bit pattern of bfloat16 infinity; NaN lies above it
_WINDOW = (127 + WINDOW_BITS) << 7  # of 2^16


def value_faults(folder: Path, config: TrainConfig) -> Iterator[ProvenanceError]:
    """The first weight of each tensor that is not finite, or too large to be merged into.

    Args:
        folder: A base in bfloat16, as `load_base` makes it; links are followed.
        config: Says which tensors are adapted. Others must be finite only.

    Raises:
        InputError: not a base, or not bfloat16.
    """
    own = OwnPath(folder)
    weights, where = Weights(own), own / "config.json"
    shape = Shape.of(load_json(where, MAX_CONFIG_BYTES), str(where))
    adapted = adapted_modules(config.lora_target_modules, shape)
    for name in weights:
        is_adapted = name.removesuffix(".weight") in adapted
        found = _first_beyond(weights, name, _WINDOW if is_adapted else _INFINITE)
        if found is not None:
            place, value = found
            yield InputError(
                "weight cannot be merged into" if is_adapted else "weight is not finite",
                where=f"{folder} {name} value {place}",
                expected=f"finite and below 2^{WINDOW_BITS}" if is_adapted else "finite",
                actual=value,
            )


def _first_beyond(weights: Weights, name: str, limit: int) -> tuple[int, float] | None:
    """Place and value of the first weight whose magnitude has a bit pattern of `limit` or more."""
    info = weights.require_bf16(name)
    size = info.end - info.start
    for start in range(0, size, _CHUNK_BYTES):
        data = weights.part(name, start, min(start + _CHUNK_BYTES, size))
        bits = np.frombuffer(data, dtype="<u2")
        bad = (bits & 0x7FFF) >= limit
        if bad.any():
            at = int(np.argmax(bad))
            return start // 2 + at, float(to_float64(bits[at : at + 1])[0])
    return None
