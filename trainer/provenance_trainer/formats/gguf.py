"""Writes a model folder as a GGUF Q8_0 file.

A matrix becomes Q8_0 if its rows are whole blocks of 32: each block becomes a float16 scale and 32
int8 codes, 34 bytes. Everything else becomes float32. gguf-py's reference quantizer computes the
values, and agrees with ggml's bit for bit. The file depends only on the folder and the given keys.

Source: Q8_0 in ggml-org/ggml, `quantize_row_q8_0_ref`: d = max|x|/127, codes round half away from
zero of x/d, both in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType, GGUFValueType
from gguf.quants import quant_shape_to_byte_shape

from provenance.digest import hash_file
from provenance.errors import InputError
from provenance.progress import Progress, silent
from provenance_trainer.formats.deployed import CLAIM_PREFIX, QuantizeReport
from provenance_trainer.formats.gguf_file import read_header
from provenance_trainer.formats.gguf_keys import metadata
from provenance_trainer.formats.gguf_model import (
    Key,
    ModelFolder,
    open_model,
    tensor_bits,
    tensor_names,
    values_of,
)
from provenance_trainer.formats.gguf_rope import rope_factors
from provenance_trainer.model.weights import atomic_file

BLOCK = 32
BLOCK_BYTES = 34
_ROPE_TENSOR = "rope_freqs.weight"
_CHUNK_ROWS_BYTES = 512 << 10  # lies in a core's cache, with what is computed of it
# If a block's maximum is smaller, its float32 scale has no float32 reciprocal, and quantizers
# disagree.
_SMALLEST_ABSMAX = 127 * 2.0**-127
# Keys with these prefixes describe the file and do not change what it computes.
FREE_PREFIXES = (CLAIM_PREFIX, "general.")
_FIXED_KEYS = ("general.alignment", "general.architecture")


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor of the file before its values are computed.

    `source` is its name in the folder; None for the factors of rotary frequencies (rope).
    """

    name: str
    source: str | None
    type: GGMLQuantizationType
    shape: tuple[int, ...]

    @property
    def byte_shape(self) -> tuple[int, ...]:
        """Shape of what `computed` returns: float32 values, or bytes."""
        if self.type is GGMLQuantizationType.F32:
            return self.shape
        return quant_shape_to_byte_shape(self.shape, self.type)

    @property
    def item(self) -> np.dtype[Any]:
        """Type of what `computed` returns."""
        return np.dtype(np.float32 if self.type is GGMLQuantizationType.F32 else np.uint8)


def plan_tensors(model: ModelFolder) -> list[PlannedTensor]:
    """Every tensor of the file, in the file's order.

    Raises:
        InputError: the folder has a tensor that the architecture lacks.
    """
    plans: list[PlannedTensor] = []
    if (factors := rope_factors(model)) is not None:
        plans.append(PlannedTensor(_ROPE_TENSOR, None, GGMLQuantizationType.F32, factors.shape))
    for name, source in tensor_names(model).items():
        shape = model.weights.info(source).shape
        whole = len(shape) == 2 and shape[1] % BLOCK == 0
        kind = GGMLQuantizationType.Q8_0 if whole else GGMLQuantizationType.F32
        plans.append(PlannedTensor(name, source, kind, shape))
    return plans


def computed(model: ModelFolder, plan: PlannedTensor) -> np.ndarray:
    """The tensor as the file holds it: float32 in its shape, or uint8 `(rows, blocks * 34)`.

    Raises:
        InputError: the tensor is not bfloat16 or not finite, or Q8_0 cannot hold one of its blocks.
    """
    if plan.source is None:
        factors = rope_factors(model)
        if factors is None:
            raise ValueError(f"{plan.name} has no source")  # only a plan with factors has no source
        return factors
    return computed_of(model, plan, tensor_bits(model, plan.name, plan.source))


def computed_of(model: ModelFolder, plan: PlannedTensor, bits: np.ndarray) -> np.ndarray:
    """As `computed`, of the bits that `tensor_bits` read."""
    values = values_of(bits, f"{model.path} {plan.source}")
    if plan.type is GGMLQuantizationType.F32:
        return np.ascontiguousarray(values)
    return quantize_q8_0(values, plan.name)


def quantize_q8_0(values: np.ndarray, where: str) -> np.ndarray:
    """Q8_0 bytes of float32 values: `(rows, columns)` -> uint8 `(rows, columns / 32 * 34)`.

    Args:
        values: The number of columns is a multiple of 32.

    Raises:
        InputError: the values of a block are so small that its scale has no reciprocal, or so large
            that float16 cannot hold its scale.
    """
    out = np.empty((values.shape[0], values.shape[1] // BLOCK * BLOCK_BYTES), dtype=np.uint8)
    rows = max(1, _CHUNK_ROWS_BYTES // (4 * values.shape[1]))
    for start in range(0, values.shape[0], rows):
        part = np.ascontiguousarray(values[start : start + rows])
        blocks = part.reshape(-1, BLOCK)
        absmax = np.abs(blocks).max(axis=1)
        bad = ((absmax > 0) & (absmax < _SMALLEST_ABSMAX)) | (absmax >= 65504.0 * 127)
        if bad.any():
            block = start * values.shape[1] // BLOCK + int(np.argmax(bad))
            raise InputError(
                "block cannot be quantized to Q8_0",
                where=f"{where} block {block}",
                expected=f"0, or from {_SMALLEST_ABSMAX:.3g} to below {65504 * 127}",
                actual=f"absolute maximum {absmax[np.argmax(bad)]}",
            )
        codes = _blocks(blocks, absmax).reshape(part.shape[0], -1)
        out[start : start + rows] = codes
    return out


def _blocks(blocks: np.ndarray, absmax: np.ndarray) -> np.ndarray:
    """Q8_0 bytes `(n, 34)` of float32 blocks `(n, 32)` with these absolute maxima.

    The same bytes as `gguf.quants.quantize` gives, in half the time. Codes are rounded to the
    nearest integer, half away from zero. Source: ggml, `quantize_row_q8_0_ref`.
    """
    scale = (absmax / np.float32(127))[:, None]
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), 1 / scale)
    exact = blocks * inverse
    codes = np.rint(exact)  # half to even
    rest = exact - codes  # exact: both lie within 127
    halves = np.abs(rest) == 0.5
    if halves.any():
        codes[halves] = exact[halves] + np.copysign(np.float32(0.5), exact[halves])
    out = np.empty((len(blocks), BLOCK_BYTES), dtype=np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8)
    out[:, 2:] = codes.astype(np.int8).view(np.uint8)
    return out


def export_gguf(
    model_dir: Path,
    out_file: Path,
    extra: Mapping[str, str | int] | None = None,
    progress: Progress = silent,
) -> QuantizeReport:
    """Write a model folder as one GGUF Q8_0 file.

    Args:
        model_dir: bfloat16 folder of a supported architecture, with tokenizer.json.
        out_file: New file. After an error it does not exist.
        extra: Keys `provenance.*` or `general.*`; text becomes a string, a number a uint64.

    Raises:
        InputError: the folder cannot be written as GGUF, or an extra key has another prefix.
        Conflict: `out_file` exists.
        UnavailableError: the disk refused.
    """
    model = open_model(model_dir)
    plans, keys = plan_tensors(model), [*metadata(model), *_extra_keys(extra or {})]
    with atomic_file(out_file) as temporary:
        writer = GGUFWriter(temporary, model.shape.architecture.gguf)
        try:
            _write_header(writer, keys, plans)
            for done, plan in enumerate(plans, 1):
                writer.write_tensor_data(computed(model, plan))
                progress("quantizing", done, len(plans))
        finally:
            writer.close()
    types = {p.name: p.type.name for p in plans}
    return QuantizeReport(hash_file(out_file), out_file.stat().st_size, types)


def _write_header(writer: GGUFWriter, keys: list[Key], plans: list[PlannedTensor]) -> None:
    for key in keys:
        if key.value != []:
            writer.add_key_value(key.name, key.value, key.kind, key.item)
    for plan in plans:
        size = int(np.prod(plan.byte_shape)) * plan.item.itemsize
        writer.add_tensor_info(plan.name, plan.byte_shape, plan.item, size, plan.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


def _extra_keys(extra: Mapping[str, str | int]) -> Iterator[Key]:
    for name, value in sorted(extra.items()):
        if not name.startswith(FREE_PREFIXES) or name in _FIXED_KEYS:
            raise InputError("key may not be set", where=name, expected="provenance.* or general.*")
        if isinstance(value, str):
            yield Key(name, GGUFValueType.STRING, value)
        elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64:
            yield Key(name, GGUFValueType.UINT64, value)
        else:
            raise InputError(
                "key has a bad value",
                where=name,
                expected="text or a natural number",
                actual=repr(value),
            )


def read_claims(gguf_file: Path) -> dict[str, str]:
    """The `provenance.*` keys of a GGUF file (attacker-controlled); nobody has checked them.

    Raises:
        InputError: it is not a well-formed GGUF file.
    """
    return {
        name: str(field.value)
        for name, field in read_header(gguf_file).fields.items()
        if name.startswith(CLAIM_PREFIX) and isinstance(field.value, str | int)
    }
