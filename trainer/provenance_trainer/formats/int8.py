"""The format int8: one safetensors file whose decoder matrices are int8, row by row (LLM.int8).

The linear layers of the decoder become int8. Everything else keeps its bfloat16 bytes. A matrix
`X.weight (out, in)` is stored in three tensors, as bitsandbytes saves it: `X.weight` I8 with the
codes, `X.SCB` F32 `(out,)` with the row maxima, and `X.weight_format` U8 (0: row by row).
Normative: docs/formats/int8.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from provenance.artifacts.content import read_metadata
from provenance.digest import hash_file, open_regular
from provenance.errors import InputError
from provenance.progress import Progress, silent
from provenance_trainer.formats.deployed import (
    CLAIM_PREFIX,
    DeployedFormat,
    Exactness,
    Mismatch,
    QuantizeReport,
)
from provenance_trainer.formats.int8_blocks import Int8File
from provenance_trainer.formats.int8_codes import (
    ROWS,
    format_name,
    is_linear,
    layout_of,
    quantize_int8,
    row_chunks,
    scaled,
    scb_name,
    to_half,
)
from provenance_trainer.model.weights import PYTORCH, SafetensorsWriter, Weights, atomic_file

_SUFFIX = ".safetensors"
_NAMED_PLACES = 3  # how many places are named of a tensor that differs


def export_int8(
    model_dir: Path,
    out_file: Path,
    claims: Mapping[str, str | int] | None = None,
    progress: Progress = silent,
) -> QuantizeReport:
    """Write a bfloat16 model folder as one int8 file, which depends only on folder and claims.

    Args:
        out_file: New file. After an error it does not exist.
        claims: `provenance.*` metadata; numbers are written as decimal text.

    Raises:
        InputError: a tensor is not bfloat16, float16 cannot hold a weight, or a key is not
            `provenance.*`.
        Conflict: `out_file` exists.
        UnavailableError: the disk refused.
    """
    metadata = {name: str(value) for name, value in (claims or {}).items()}
    if other := sorted(name for name in metadata if not name.startswith(CLAIM_PREFIX)):
        raise InputError("key may not be set", where=other[0], expected=f"{CLAIM_PREFIX}*")
    model = Weights(model_dir)
    layout = layout_of(model)
    with (
        atomic_file(out_file) as temporary,
        SafetensorsWriter(temporary, layout, PYTORCH | metadata) as writer,
    ):
        for done, name in enumerate(model, 1):
            for part, data in _parts(model, name):
                writer.write(part, data)
            progress("quantizing", done, len(model))
    types = {name: dtype for name, (dtype, _) in sorted(layout.items())}
    return QuantizeReport(hash_file(out_file), out_file.stat().st_size, types)


def _parts(model: Weights, name: str) -> Iterator[tuple[str, bytes]]:
    """The tensors that one tensor of the model becomes, in the file's order."""
    if not is_linear(model.info(name)):
        yield name, model.raw(name)
        return
    quantized = (quantize_int8(bits, name, row) for row, bits in row_chunks(model, name))
    scb, codes = zip(*quantized, strict=True)
    yield scb_name(name), b"".join(part.astype("<f4").tobytes() for part in scb)
    yield name, b"".join(part.tobytes() for part in codes)
    yield format_name(name), ROWS


def read_int8_claims(path: Path) -> dict[str, str]:
    """The `provenance.*` metadata of a safetensors file (attacker-controlled), unchecked.

    Raises:
        InputError: it is not a well-formed safetensors file.
    """
    Weights(path)
    with open_regular(path) as stream:
        every = read_metadata(stream, str(path))
    return {name: value for name, value in every.items() if name.startswith(CLAIM_PREFIX)}


def compare_int8(
    model_dir: Path, path: Path, limit: int = 20, adapted: frozenset[str] = frozenset()
) -> list[Mismatch]:
    """Recompute an int8 file from weights; an empty list means that it is exact up to ties.

    Up to ties: where two integers are equally near, a code may be either. Nothing else may differ.

    Args:
        model_dir: The merged bfloat16 folder; or the base model, if `adapted` is given.
        path: Attacker-controlled.
        limit: The largest number of differences to return. For each tensor the first three places
            are named, and the others counted.
        adapted: Tensors whose types and shapes are compared, but not their values.

    Raises:
        InputError: the file or the folder is malformed.
    """
    model, file = Weights(model_dir), Weights(path)
    found = [*_compare_metadata(path), *_compare_layout(layout_of(model), file)]
    for name in model if not found else ():
        if name not in adapted:
            found += _compare_values(model, file, name)
        if len(found) >= limit:
            break
    return found[:limit]


def _compare_metadata(path: Path) -> list[Mismatch]:
    with open_regular(path) as stream:
        every = read_metadata(stream, str(path))
    metadata = {k: v for k, v in every.items() if not k.startswith(CLAIM_PREFIX)}
    if metadata == PYTORCH:
        return []
    return [Mismatch("metadata", None, "keys", str(PYTORCH), str(metadata)[:80])]


def _compare_layout(
    layout: dict[str, tuple[str, tuple[int, ...]]], file: Weights
) -> list[Mismatch]:
    found = [Mismatch(n, None, "tensor", "absent", "present") for n in file if n not in layout]
    for name, (dtype, shape) in sorted(layout.items()):
        info = file.info(name) if name in file else None
        expected = f"{dtype} {shape}"
        actual = "absent" if info is None else f"{info.dtype} {info.shape}"
        if expected != actual:
            found.append(Mismatch(name, None, "type and shape", expected, actual))
    return found


def _compare_values(model: Weights, file: Weights, name: str) -> list[Mismatch]:
    if not is_linear(model.info(name)):
        return _compare_bfloat16(model, file, name)
    if (number := file.raw(format_name(name))) != ROWS:
        return [Mismatch(format_name(name), None, "value", "0", str(number[0]))]
    stored = np.frombuffer(file.raw(scb_name(name)), dtype="<f4")
    maxima, codes = _Differences(scb_name(name), "row"), _Differences(name, "code")
    for row, bits in row_chunks(model, name):
        scb, expected = quantize_int8(bits, name, row)
        maximum = stored[row : row + len(bits)]
        maxima.add(row, scb.view(np.uint32) != maximum.view(np.uint32), scb, maximum)
        start = bits.shape[1] * row
        data = file.part(name, start, start + bits.size)
        actual = np.frombuffer(data, dtype=np.int8).reshape(bits.shape)
        exact = scaled(to_half(bits), scb)
        tied = (np.abs(exact - expected) == 0.5) & (np.abs(exact - actual) == 0.5)
        codes.add(row, (actual != expected) & ~tied, expected, actual)
    return maxima.found() + codes.found()


def _compare_bfloat16(model: Weights, file: Weights, name: str) -> list[Mismatch]:
    matrix, values = len(model.info(name).shape) == 2, _Differences(name, "value")
    chunks = zip(row_chunks(model, name), row_chunks(file, name), strict=True)
    for (row, expected), (_, actual) in chunks:
        if not matrix:
            expected, actual = expected[:, 0], actual[:, 0]
        values.add(row, expected != actual, expected, actual)
    return values.found()


class _Differences:
    """Collects the places where a tensor differs: the first few, and the number of all.

    `what` says what a place holds: row, code or value.
    """

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what
        self._first, self._count = list[Mismatch](), 0

    def add(self, row: int, differs: np.ndarray, expected: np.ndarray, actual: np.ndarray) -> None:
        """Add the differing places of some rows of a vector or matrix; `row` is the first row."""
        places = np.argwhere(differs)
        self._count += len(places)
        for at in places[: _NAMED_PLACES - len(self._first)]:
            place = f"{row + at[0]}" if len(at) == 1 else f"row {row + at[0]} column {at[1]}"
            left, right = str(expected[tuple(at)]), str(actual[tuple(at)])
            self._first.append(Mismatch(self._name, None, f"{self._what} {place}", left, right))

    def found(self) -> list[Mismatch]:
        more = self._count - len(self._first)
        if not more:
            return self._first
        rest = Mismatch(self._name, None, "further places", "equal", f"{more} differ")
        return [*self._first, rest]


def _is_int8(head: bytes, file_name: str) -> bool:
    """Whether the first bytes have the brace that opens a safetensors header, or the name fits."""
    return head[8:9] == b"{" or Path(file_name).suffix == _SUFFIX


INT8 = DeployedFormat(
    name="int8",
    container="safetensors",
    suffix=_SUFFIX,
    exactness=Exactness.UP_TO_TIES,
    is_one=_is_int8,
    write=export_int8,
    read_claims=read_int8_claims,
    compare=compare_int8,
    open_blocks=Int8File,
)
