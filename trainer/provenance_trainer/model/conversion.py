"""float16 and float32 bases become bfloat16 once: what is trained, merged and written is that.

Each value is rounded to the nearest bfloat16, ties to even. The new weights are a function of the
old ones, so whoever has the original can compute the converted base again.

Source: IEEE 754-2019 section 4.3.1 (roundTiesToEven).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provenance.artifacts.content import TensorDigest, content_digest, content_root
from provenance.digest import Digest, OwnPath
from provenance.errors import InputError, VerificationError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES, is_derived
from provenance_trainer.model.weights import (
    SafetensorsWriter,
    Weights,
    copy_side_files,
    write_index,
)

DTYPES = ("BF16", "F16", "F32")
_CHUNK_VALUES = 1 << 22
_NUMPY = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}


@dataclass(frozen=True)
class Source:
    """The weights that a converted base was made from: their content digest, and their dtype."""

    content: Digest
    dtype: str

    def to_json(self) -> dict[str, str]:
        """As a `run.open` record names it."""
        return {"content": str(self.content), "dtype": self.dtype}


@dataclass(frozen=True)
class Rounding:
    """How many values a conversion rounded to another number, of how many."""

    changed: int
    values: int


def dtype_of(weights: Weights) -> str:
    """The one dtype of a base's tensors; those that the model computes by itself do not count.

    Raises:
        InputError: several dtypes, or one that is not BF16, F16 or F32.
    """
    found: dict[str, str] = {}
    for name in weights:
        if not is_derived(name):
            found.setdefault(weights.info(name).dtype, name)
    if len(found) == 1 and (dtype := next(iter(found))) in DTYPES:
        return dtype
    raise InputError(
        "weights do not have one supported dtype",
        where=str(weights.path),
        expected=" or ".join(DTYPES),
        actual=", ".join(f"{dtype} ({name})" for dtype, name in sorted(found.items())),
        hint="load the model with transformers and dtype=torch.bfloat16, then save_pretrained",
    )


def needs_conversion(weights: Weights) -> bool:
    """Whether a base has to be converted before it can be merged into.

    Raises:
        InputError: weights of no supported dtype.
    """
    return dtype_of(weights) != "BF16" or any(is_derived(name) for name in weights)


def convert(source: Path, target: Path) -> Rounding:
    """Write the bfloat16 form of a base into an empty folder: weights, config, tokenizer.

    Raises:
        InputError: weights of no supported dtype, or not finite in bfloat16.
    """
    weights, changed, values = Weights(source), 0, 0
    dtype_of(weights)
    copy_side_files(source, target)
    _settle_config(source / "config.json", target / "config.json")
    kept = [name for name in weights if not is_derived(name)]
    files = {name: weights.file_of(name) for name in kept}
    for file in sorted(set(files.values())):
        names = [name for name in kept if files[name] == file]
        shapes = {name: ("BF16", weights.info(name).shape) for name in names}
        with SafetensorsWriter(target / file.name, shapes) as writer:
            for name in names:
                bits, different = _rounded(weights, name)
                writer.write(name, bits.tobytes())
                changed, values = changed + different, values + bits.size
    write_index(Weights(target), target)
    return Rounding(changed, values)


def _settle_config(source: Path, target: Path) -> None:
    """The same configuration, but for the dtype."""
    config = load_json(source, MAX_CONFIG_BYTES)
    config.pop("torch_dtype", None)  # the name by which older versions of transformers say it
    config["dtype"] = "bfloat16"
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")


def converted_content(source: Path) -> Digest:
    """Content digest of what `convert` makes, computed without writing it.

    Raises:
        InputError: weights of no supported dtype, or not finite in bfloat16.
    """
    weights = Weights(source)
    dtype_of(weights)
    return content_root(dict(_converted_tensors(weights)))


def _converted_tensors(weights: Weights) -> Iterator[tuple[str, TensorDigest]]:
    for name in weights:
        if is_derived(name):
            continue
        bits, _ = _rounded(weights, name)
        sha256 = Digest(hashlib.sha256(bits.tobytes()).digest())
        yield name, TensorDigest(name, "BF16", weights.info(name).shape, sha256)


def verify_conversion(source: Path, content: Digest) -> Source:
    """Check that a base was made from these weights, by converting them again.

    Args:
        source: Folder of the original, links followed.
        content: Digest of the base that a run was opened for.

    Returns:
        What the original is, as a record names it.

    Raises:
        InputError: weights of no supported dtype, or not finite in bfloat16.
        VerificationError: the base has another content.
    """
    folder = OwnPath(source)
    actual = converted_content(folder)
    if actual != content:
        raise VerificationError(
            "base was not made from these weights",
            where=str(source),
            expected=content,
            actual=actual,
        )
    return Source(content_digest(folder), dtype_of(Weights(folder)))


def _rounded(weights: Weights, name: str) -> tuple[np.ndarray, int]:
    """bfloat16 bits `(values,)` of a tensor, and how many of them are another number.

    Raises:
        InputError: a value that is not finite, or too large for bfloat16.
    """
    info = weights.info(name)
    kind = np.dtype(_NUMPY[info.dtype])
    size = (info.end - info.start) // kind.itemsize
    bits, changed = np.empty(size, dtype="<u2"), 0
    for start in range(0, size, _CHUNK_VALUES):
        end = min(start + _CHUNK_VALUES, size)
        data = weights.part(name, start * kind.itemsize, end * kind.itemsize)
        values = _as_float32(np.frombuffer(data, dtype=kind))
        _require_finite(values, f"{weights.path} {name}", start)
        part = bfloat16.round_float32(values)
        rounded = _as_float32(part)
        _require_finite(rounded, f"{weights.path} {name}", start)
        bits[start:end] = part
        changed += int(np.count_nonzero(rounded != values))
    return bits, changed


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Exactly the numbers of float16, float32, or bfloat16 bit patterns."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def _require_finite(values: np.ndarray, where: str, first: int) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        index = int(np.argmax(bad))
        raise InputError(
            "weight is not a finite bfloat16 number",
            where=f"{where} value {first + index}",
            expected="finite",
            actual=values[index],
        )
