"""Model folder -> GGUF Q8_0, and the recomputation that checks such a file bit by bit.

Matrices whose rows are whole blocks of 32 become Q8_0 (float16 scale, 32 int8 codes: 34 bytes), everything else float32.
Values come from gguf-py's reference quantizer, which agrees with ggml's bit for bit; the file is a function of the folder and the
given keys.
Source: Q8_0 in ggml-org/ggml, `quantize_row_q8_0_ref`: d = max|x|/127, codes round half away from zero of x/d, both in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType, GGUFValueType
from gguf.quants import quant_shape_to_byte_shape, quantize

from provenance.digest import Digest, hash_file
from provenance.errors import InputError
from provenance_trainer.formats.gguf_file import (
    Field,
    GgufHeader,
    TensorEntry,
    read_header,
    read_tensor,
)
from provenance_trainer.formats.gguf_model import (
    ARCHITECTURE,
    Key,
    ModelFolder,
    metadata,
    open_model,
    rope_factors,
    tensor_names,
    tensor_values,
)
from provenance_trainer.model.weights import atomic_file

Progress = Callable[[str, int, int], None]  # (what, done, total)
BLOCK = 32
BLOCK_BYTES = 34
ROPE_TENSOR = "rope_freqs.weight"
_CHUNK_ROWS_BYTES = 64 << 20
# Below this a block's float32 scale has no float32 reciprocal, and quantizers disagree.
_SMALLEST_ABSMAX = 127 * 2.0**-127
# Keys that name or describe the file without changing what it computes.
_FREE_PREFIXES = ("provenance.", "general.")
_ARCHITECTURE_KEY = Key("general.architecture", GGUFValueType.STRING, ARCHITECTURE)


@dataclass(frozen=True)
class QuantizeReport:
    """What was written: SHA-256 and size in bytes of the file, and the type of each tensor by its GGUF name."""

    file: Digest
    size: int
    tensors: dict[str, str]


@dataclass(frozen=True)
class Mismatch:
    """One difference between a file and its recomputation. `block` counts blocks of 32 in row-major order."""

    tensor: str
    block: int | None
    field: str
    expected: str
    actual: str

    def __str__(self) -> str:
        place = f"{self.tensor} block {self.block}" if self.block is not None else self.tensor
        return f"{place} {self.field}: expected {self.expected}, actual {self.actual}"


@dataclass(frozen=True)
class _Plan:
    """A tensor of the file before its values are computed; `source` is None for the rope factors."""

    name: str
    source: str | None
    type: GGMLQuantizationType
    shape: tuple[int, ...]

    @property
    def byte_shape(self) -> tuple[int, ...]:
        if self.type is GGMLQuantizationType.F32:
            return self.shape
        return quant_shape_to_byte_shape(self.shape, self.type)

    @property
    def nbytes(self) -> int:
        item = 4 if self.type is GGMLQuantizationType.F32 else 1
        return int(np.prod(self.byte_shape)) * item


def _plans(model: ModelFolder) -> list[_Plan]:
    plans: list[_Plan] = []
    if (factors := rope_factors(model)) is not None:
        plans.append(_Plan(ROPE_TENSOR, None, GGMLQuantizationType.F32, factors.shape))
    for name, source in tensor_names(model).items():
        shape = model.weights.info(source).shape
        whole = len(shape) == 2 and shape[1] % BLOCK == 0
        plans.append(
            _Plan(
                name,
                source,
                GGMLQuantizationType.Q8_0 if whole else GGMLQuantizationType.F32,
                shape,
            )
        )
    return plans


def _computed(model: ModelFolder, plan: _Plan) -> np.ndarray:
    """The tensor as it stands in the file: float32 in its shape, or uint8 `(rows, blocks * 34)`."""
    if plan.source is None:
        factors = rope_factors(model)
        assert factors is not None  # a plan without source exists only then
        return factors
    values = tensor_values(model, plan.name, plan.source)
    if plan.type is GGMLQuantizationType.F32:
        return np.ascontiguousarray(values)
    return quantize_q8_0(values, plan.name)


def quantize_q8_0(values: np.ndarray, where: str) -> np.ndarray:
    """Q8_0 bytes of float32 values `(rows, columns)`, columns a multiple of 32: uint8 `(rows, columns / 32 * 34)`.

    Raises:
        InputError: a block so small that its scale has no reciprocal, or so large that float16 cannot hold the scale.
    """
    out = np.empty((values.shape[0], values.shape[1] // BLOCK * BLOCK_BYTES), dtype=np.uint8)
    rows = max(1, _CHUNK_ROWS_BYTES // (4 * values.shape[1]))
    for start in range(0, values.shape[0], rows):
        part = np.ascontiguousarray(values[start : start + rows])
        absmax = np.abs(part).reshape(-1, BLOCK).max(axis=1)
        bad = ((absmax > 0) & (absmax < _SMALLEST_ABSMAX)) | (absmax >= 65504.0 * 127)
        if bad.any():
            block = start * values.shape[1] // BLOCK + int(np.argmax(bad))
            raise InputError(
                "block cannot be quantized to Q8_0",
                where=f"{where} block {block}",
                actual=f"absolute maximum {absmax[np.argmax(bad)]}",
            )
        out[start : start + rows] = quantize(part, GGMLQuantizationType.Q8_0)
    return out


def expected_q8_0(model_dir: Path) -> Iterator[tuple[str, str, bytes]]:
    """(GGUF name, type, bytes) of every tensor, recomputed from a model folder in the order of the file.

    Raises:
        InputError: not a bfloat16 Llama-architecture folder.
    """
    model = open_model(model_dir)
    for plan in _plans(model):
        yield plan.name, plan.type.name, _computed(model, plan).tobytes()


def export_gguf(
    model_dir: Path,
    out_file: Path,
    extra: Mapping[str, str | int] | None = None,
    progress: Progress | None = None,
) -> QuantizeReport:
    """Write a model folder as one GGUF Q8_0 file.

    Args:
        model_dir: bfloat16 Llama-architecture folder with tokenizer.json.
        out_file: New file, complete or absent whatever happens.
        extra: Further keys, `provenance.*` or `general.*`; text becomes a string, a number a uint64.
        progress: Called after each tensor.

    Raises:
        InputError: a folder that cannot be written as GGUF, or an extra key outside those two groups.
        Conflict: `out_file` exists.
        UnavailableError: the disk refused.
    """
    model = open_model(model_dir)
    plans, keys = _plans(model), [*metadata(model), *_extra_keys(extra or {})]
    with atomic_file(out_file) as temporary:
        writer = GGUFWriter(temporary, ARCHITECTURE)
        try:
            _write_header(writer, keys, plans)
            for done, plan in enumerate(plans, 1):
                writer.write_tensor_data(_computed(model, plan))
                if progress is not None:
                    progress("quantizing", done, len(plans))
        finally:
            writer.close()
    return QuantizeReport(
        hash_file(out_file), out_file.stat().st_size, {p.name: p.type.name for p in plans}
    )


def _write_header(writer: GGUFWriter, keys: list[Key], plans: list[_Plan]) -> None:
    for key in keys:
        if key.value != []:
            writer.add_key_value(key.name, key.value, key.kind, key.item)
    for plan in plans:
        dtype = np.dtype(np.float32 if plan.type is GGMLQuantizationType.F32 else np.uint8)
        writer.add_tensor_info(plan.name, plan.byte_shape, dtype, plan.nbytes, plan.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


def _extra_keys(extra: Mapping[str, str | int]) -> Iterator[Key]:
    for name, value in sorted(extra.items()):
        if not name.startswith(_FREE_PREFIXES) or name in (
            "general.alignment",
            "general.architecture",
        ):
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


def read_claims(gguf_file: Path) -> dict[str, str | int]:
    """The `provenance.*` keys of a GGUF file (attacker-controlled): claims to check, nothing more.

    Raises:
        InputError: not a well-formed GGUF file.
    """
    fields = read_header(gguf_file).fields
    return {
        k: f.value
        for k, f in fields.items()
        if k.startswith("provenance.") and isinstance(f.value, str | int)
    }


# Checking


def compare_gguf(
    model_dir: Path, gguf_file: Path, limit: int = 20, adapted: frozenset[str] = frozenset()
) -> list[Mismatch]:
    """Recompute a GGUF file from weights; an empty list means that every tensor and every key that matters is exact.

    Args:
        model_dir: The merged bfloat16 folder; or the base, with the names of what was adapted.
        gguf_file: Attacker-controlled.
        limit: At most so many differences are returned, the first of each tensor.
        adapted: Tensors of the folder whose values are left out; their type and shape are compared all the same.

    Raises:
        InputError: a malformed file or folder (truncated files name expected and actual sizes).
    """
    header, model = read_header(gguf_file), open_model(model_dir)
    found = [*_compare_keys(metadata(model), header), *_compare_size(header)]
    plans = {plan.name: plan for plan in _plans(model)}
    for name in sorted(header.tensors.keys() - plans.keys()):
        found.append(Mismatch(name, None, "tensor", "absent", "present"))
    for name, plan in plans.items():
        if len(found) >= limit:
            break
        entry = header.tensors.get(name)
        wrong = _compare_shape(plan, entry)
        if entry is not None and not wrong and plan.source not in adapted:
            wrong = _compare_values(model, plan, entry, gguf_file)
        found += wrong
    return found[:limit]


def _compare_keys(expected: list[Key], header: GgufHeader) -> Iterator[Mismatch]:
    wanted = {key.name: key for key in (_ARCHITECTURE_KEY, *expected) if key.value != []}
    for name, key in wanted.items():
        field = header.fields.get(name)
        kind, is_array = (key.item, True) if key.item is not None else (key.kind, False)
        if field is None or (field.kind, field.is_array, field.value) != (
            kind,
            is_array,
            key.value,
        ):
            yield Mismatch("metadata", None, name, *_shown(key.value, field))
    for name in header.fields.keys() - wanted.keys():
        if not name.startswith(_FREE_PREFIXES):
            yield Mismatch("metadata", None, name, "absent", _short(header.fields[name].value))


def _shown(expected: Any, field: Field | None) -> tuple[str, str]:
    """Both values as text; of two lists the first item that differs."""
    if field is None:
        return _short(expected), "absent"
    if isinstance(expected, list) and isinstance(field.value, list):
        pairs = enumerate(zip(expected, field.value, strict=False))
        for i, (left, right) in pairs:
            if left != right:
                return f"[{i}] {_short(left)}", f"[{i}] {_short(right)}"
        return f"{len(expected)} items", f"{len(field.value)} items"
    return _short(expected), _short(field.value)


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _compare_size(header: GgufHeader) -> Iterator[Mismatch]:
    field = header.fields.get("general.alignment")
    alignment = 32 if field is None else int(field.value)
    padded = -(-header.data_end // alignment) * alignment
    if header.size not in (padded, header.data_end):
        yield Mismatch("file", None, "size", f"{padded} bytes", f"{header.size} bytes")


def _compare_shape(plan: _Plan, entry: TensorEntry | None) -> list[Mismatch]:
    if entry is None:
        return [Mismatch(plan.name, None, "tensor", "present", "absent")]
    if (entry.type, entry.shape) == (plan.type, plan.shape):
        return []
    expected, actual = f"{plan.type.name} {plan.shape}", f"{entry.type.name} {entry.shape}"
    return [Mismatch(plan.name, None, "type and shape", expected, actual)]


def _compare_values(
    model: ModelFolder, plan: _Plan, entry: TensorEntry, file: Path
) -> list[Mismatch]:
    expected = _computed(model, plan).reshape(-1).view(np.uint8)
    actual = np.frombuffer(read_tensor(file, entry), dtype=np.uint8)
    differs = expected != actual
    return [_locate(plan, int(np.argmax(differs)), expected, actual)] if differs.any() else []


def _locate(plan: _Plan, byte: int, expected: np.ndarray, actual: np.ndarray) -> Mismatch:
    """Name the value in which the first differing byte lies."""
    if plan.type is GGMLQuantizationType.F32:
        i = byte // 4
        left, right = (a[4 * i : 4 * i + 4].view("<f4")[0] for a in (expected, actual))
        return Mismatch(plan.name, None, f"value {i}", repr(float(left)), repr(float(right)))
    block, inside = divmod(byte, BLOCK_BYTES)
    if inside < 2:
        at = block * BLOCK_BYTES
        left, right = (a[at : at + 2].view("<f2")[0] for a in (expected, actual))
        return Mismatch(plan.name, block, "scale", repr(float(left)), repr(float(right)))
    left, right = (a[byte : byte + 1].view(np.int8)[0] for a in (expected, actual))
    return Mismatch(plan.name, block, f"code {inside - 2}", str(int(left)), str(int(right)))
