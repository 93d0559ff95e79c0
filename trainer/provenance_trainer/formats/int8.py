"""Model folder -> one safetensors file with row-wise int8 matrices (LLM.int8), the recomputation that checks it, and its blocks.

The linear layers of the decoder become int8, everything else keeps its bfloat16 bytes. A matrix `X.weight (out, in)` is stored as
`X.weight` I8, `X.SCB` F32 `(out,)` and `X.weight_format` U8 (0: rows), as bitsandbytes saves it. Each weight is rounded to float16;
SCB is the row's largest absolute value, and a code the integer nearest to 127 w / SCB, even on ties.

Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, section 2; bitsandbytes, `Linear8bitLt` (names) and `int8_vectorwise_quant`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from provenance.artifacts.content import TensorInfo, read_metadata
from provenance.digest import hash_file, open_regular
from provenance.errors import InputError
from provenance_trainer.formats.gguf import Mismatch, Progress, QuantizeReport
from provenance_trainer.model.weights import PYTORCH, SafetensorsWriter, Weights, atomic_file

SUFFIX = ".safetensors"
BLOCK = 32
_LINEAR = re.compile(
    r"model\.layers\.[0-9]+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight"
)
_ROWS = b"\0"  # bitsandbytes' number for codes row by row
_CLAIMS = "provenance."
_AT_ONCE = (
    1 << 22
)  # weights of a tensor that are worked on at once: about 100 MB with all that is made of them
_PLACES = 3  # that are named where a tensor differs


def is_linear(info: TensorInfo) -> bool:
    """Whether LLM.int8 replaces this tensor of a Llama-architecture model."""
    return len(info.shape) == 2 and _LINEAR.fullmatch(info.name) is not None


def quantize_int8(bits: np.ndarray, where: str, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """SCB float32 `(rows,)` and codes int8 `(rows, columns)` of bfloat16 bit patterns `(rows, columns)`; `first` is the number of the
    first row in errors.

    Raises:
        InputError: a weight that float16 cannot hold.
    """
    half = _half(bits)
    if not np.isfinite(half).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(half))[0])
        raise InputError(
            "weight cannot be stored as float16",
            where=f"{where} row {first + row} column {column}",
            expected="below 65520",
        )
    scb = np.abs(half).max(axis=1).astype(np.float32)
    return scb, np.rint(_scaled(half, scb)).astype(np.int8)


def _half(bits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float16)


def _scaled(half: np.ndarray, scb: np.ndarray) -> np.ndarray:
    """127 w / SCB in float64. Both have 11 bits, so a quotient nearer than 2^-32 to a tie is one, and the double is exact there."""
    divisor = np.where(scb == 0, 1, scb).astype(np.float64)
    return 127.0 * half.astype(np.float64) / divisor[:, None]


def export_int8(
    model_dir: Path,
    out_file: Path,
    extra: Mapping[str, str | int] | None = None,
    progress: Progress | None = None,
) -> QuantizeReport:
    """Write a bfloat16 model folder as one int8 safetensors file; the file is a function of folder and claims.

    Args:
        out_file: New file, complete or absent whatever happens.
        extra: `provenance.*` metadata; numbers are written as decimal text.

    Raises:
        InputError: tensors that are not bfloat16, a weight beyond float16, or a key outside `provenance.*`.
        Conflict: `out_file` exists.
        UnavailableError: the disk refused.
    """
    claims = {name: str(value) for name, value in (extra or {}).items()}
    if other := sorted(name for name in claims if not name.startswith(_CLAIMS)):
        raise InputError("key may not be set", where=other[0], expected="provenance.*")
    model = Weights(model_dir)
    layout = _layout(model)
    with (
        atomic_file(out_file) as temporary,
        SafetensorsWriter(temporary, layout, PYTORCH | claims) as writer,
    ):
        for done, name in enumerate(model, 1):
            for part, data in _parts(model, name):
                writer.write(part, data)
            if progress is not None:
                progress("quantizing", done, len(model))
    return QuantizeReport(
        hash_file(out_file),
        out_file.stat().st_size,
        {name: dtype for name, (dtype, _) in sorted(layout.items())},
    )


def _layout(model: Weights) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(dtype, shape) of every tensor of the file."""
    layout: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name in model:
        info = model.info(name)
        if info.dtype != "BF16":
            raise InputError(
                "tensor is not bfloat16",
                where=f"{model.path} {name}",
                expected="BF16",
                actual=info.dtype,
            )
        if is_linear(info):
            layout |= {
                _scb(name): ("F32", info.shape[:1]),
                name: ("I8", info.shape),
                f"{name}_format": ("U8", ()),
            }
        else:
            layout[name] = ("BF16", info.shape)
    return layout


def _scb(name: str) -> str:
    return f"{name.removesuffix('weight')}SCB"


def _parts(model: Weights, name: str) -> Iterator[tuple[str, bytes]]:
    """What a tensor of the model becomes in the file, in the file's order."""
    if not is_linear(model.info(name)):
        yield name, model.raw(name)
        return
    scb, codes = zip(
        *(quantize_int8(bits, name, row) for row, bits in _chunks(model, name)), strict=True
    )
    yield _scb(name), b"".join(part.astype("<f4").tobytes() for part in scb)
    yield name, b"".join(part.tobytes() for part in codes)
    yield f"{name}_format", _ROWS


def _chunks(model: Weights, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """A bfloat16 tensor some rows at a time: the first row's number and bit patterns `(rows, columns)`. All values of a tensor that is
    no matrix are one column."""
    shape = model.require_bf16(name).shape
    rows, columns = shape if len(shape) == 2 else (int(np.prod(shape)), 1)
    step = max(1, _AT_ONCE // max(1, columns))
    for row in range(0, rows, step):
        data = model.part(name, 2 * columns * row, 2 * columns * min(row + step, rows))
        yield row, np.frombuffer(data, dtype="<u2").reshape(-1, columns)


def read_int8_claims(path: Path) -> dict[str, str]:
    """The `provenance.*` metadata of a safetensors file (attacker-controlled): claims to check, nothing more.

    Raises:
        InputError: not a well-formed safetensors file.
    """
    Weights(path)
    with open_regular(path) as stream:
        return {
            name: value
            for name, value in read_metadata(stream, str(path)).items()
            if name.startswith(_CLAIMS)
        }


def compare_int8(
    model_dir: Path, path: Path, limit: int = 20, adapted: frozenset[str] = frozenset()
) -> list[Mismatch]:
    """Recompute an int8 file from weights; an empty list means that it is exact up to ties: a code may be the other of two integers
    that are equally near, and nothing else may differ.

    Args:
        model_dir: The merged bfloat16 folder; or the base, with the names of what was adapted.
        path: Attacker-controlled.
        limit: At most so many differences are returned; of each tensor the first three places, then how many there are beside.
        adapted: Tensors of the folder whose values are left out; their types and shapes are compared all the same.

    Raises:
        InputError: a malformed file or folder.
    """
    model, file = Weights(model_dir), Weights(path)
    layout = _layout(model)
    with open_regular(path) as stream:
        metadata = {
            name: value
            for name, value in read_metadata(stream, str(path)).items()
            if not name.startswith(_CLAIMS)
        }
    found = (
        []
        if metadata == PYTORCH
        else [Mismatch("metadata", None, "keys", str(PYTORCH), str(metadata)[:80])]
    )
    found += [
        Mismatch(name, None, "tensor", "absent", "present") for name in file if name not in layout
    ]
    for name, (dtype, shape) in sorted(layout.items()):
        expected, actual = (
            f"{dtype} {shape}",
            f"{file.info(name).dtype} {file.info(name).shape}" if name in file else "absent",
        )
        if expected != actual:
            found.append(Mismatch(name, None, "type and shape", expected, actual))
    for name in model if not found else ():
        if name not in adapted:
            found += _compare_values(model, file, name)
        if len(found) >= limit:
            break
    return found[:limit]


def _compare_values(model: Weights, file: Weights, name: str) -> list[Mismatch]:
    if not is_linear(model.info(name)):
        return _compare_bfloat16(model, file, name)
    if (number := file.raw(f"{name}_format")) != _ROWS:
        return [Mismatch(f"{name}_format", None, "value", "0", str(number[0]))]
    stored, maxima, codes = (
        np.frombuffer(file.raw(_scb(name)), dtype="<f4"),
        _Differences(_scb(name)),
        _Differences(name),
    )
    for row, bits in _chunks(model, name):
        scb, expected = quantize_int8(bits, name, row)
        maximum = stored[row : row + len(bits)]
        maxima.add(scb.view(np.uint32) != maximum.view(np.uint32), scb, maximum, "row", row)
        actual = np.frombuffer(
            file.part(name, bits.shape[1] * row, bits.shape[1] * row + bits.size), dtype=np.int8
        ).reshape(bits.shape)
        exact = _scaled(_half(bits), scb)
        tied = (np.abs(exact - expected) == 0.5) & (np.abs(exact - actual) == 0.5)
        codes.add((actual != expected) & ~tied, expected, actual, "code", row)
    return maxima.found() + codes.found()


def _compare_bfloat16(model: Weights, file: Weights, name: str) -> list[Mismatch]:
    matrix, values = len(model.info(name).shape) == 2, _Differences(name)
    for (row, expected), (_, actual) in zip(_chunks(model, name), _chunks(file, name), strict=True):
        if not matrix:
            expected, actual = expected[:, 0], actual[:, 0]
        values.add(expected != actual, expected, actual, "value", row)
    return values.found()


class _Differences:
    """Places at which a tensor differs: the first ones, and how many."""

    def __init__(self, name: str) -> None:
        self._name, self._first, self._count = name, list[Mismatch](), 0

    def add(
        self, differs: np.ndarray, expected: np.ndarray, actual: np.ndarray, what: str, row: int
    ) -> None:
        """Compare some rows from `row` on, of a vector or a matrix; `what` is what stands at a place."""
        places = np.argwhere(differs)
        self._count += len(places)
        for at in places[: _PLACES - len(self._first)]:
            place = f"{row + at[0]}" if len(at) == 1 else f"row {row + at[0]} column {at[1]}"
            self._first.append(
                Mismatch(
                    self._name,
                    None,
                    f"{what} {place}",
                    str(expected[tuple(at)]),
                    str(actual[tuple(at)]),
                )
            )

    def found(self) -> list[Mismatch]:
        more = self._count - len(self._first)
        return (
            [*self._first, Mismatch(self._name, None, "further places", "equal", f"{more} differ")]
            if more
            else self._first
        )


class Int8File:
    """Single blocks of an int8 file (attacker-controlled), addressed as proofs address them.

    Raises:
        InputError: not a well-formed safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._weights = Weights(path)

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        """36 bytes of block `block` of a matrix of `rows` rows of `row_blocks` blocks: SCB of its row, float32 little-endian, and 32
        codes; a last block that the row does not fill ends in zeros.

        Raises:
            InputError: the file has no such int8 matrix.
        """
        codes, scb = self._require(name, "I8"), self._require(_scb(name), "F32")
        columns = codes.shape[1] if len(codes.shape) == 2 else 0
        if (
            codes.shape != (rows, columns)
            or scb.shape != (rows,)
            or -(-columns // BLOCK) != row_blocks
        ):
            raise InputError(
                "tensor has another shape",
                where=f"{self.path} {name}",
                expected=f"{rows} rows of {row_blocks} blocks",
                actual=f"{codes.shape}, SCB {scb.shape}",
            )
        row, part = divmod(block, row_blocks)
        if not 0 <= row < rows:
            raise InputError(
                "no such block",
                where=f"{self.path} {name}",
                expected=f"0..{rows * row_blocks - 1}",
                actual=block,
            )
        start, end = part * BLOCK, min((part + 1) * BLOCK, columns)
        data = self._weights.part(name, row * columns + start, row * columns + end)
        return self._weights.part(_scb(name), 4 * row, 4 * row + 4) + data.ljust(BLOCK, b"\0")

    def require_provable(self, names: Sequence[str]) -> None:
        """Check that the statement `int8` can open every block of these tensors of the merged model.

        Raises:
            InputError: one is not int8 in this file, or has a row whose maximum the statement does not take.
        """
        for name in names:
            rows, scb = self._require(name, "I8").shape[:1], self._require(_scb(name), "F32")
            if scb.shape != rows:
                raise InputError(
                    "tensor has another shape",
                    where=f"{self.path} {scb.name}",
                    expected=rows,
                    actual=scb.shape,
                )
            maxima = np.frombuffer(self._weights.raw(scb.name), dtype="<u4")
            refused = np.flatnonzero(~_provable(maxima))
            if refused.size:
                row = int(refused[0])
                raise InputError(
                    "row cannot be proven",
                    where=f"{self.path} {name} row {row}",
                    expected="SCB 0, or a float16 in [2^-9, 65504]",
                    actual=f"{maxima.view('<f4')[row]}, and {refused.size - 1} such rows more",
                    hint="provenance quantize RUN --format Q8_0",
                )

    def _require(self, name: str, dtype: str) -> TensorInfo:
        if name not in self._weights or self._weights.info(name).dtype != dtype:
            raise InputError(
                "file lacks a tensor",
                where=str(self.path),
                expected=f"{name}, {dtype}",
                hint="only the linear layers of the decoder become int8; an adapter of others is proven with --format Q8_0",
            )
        return self._weights.info(name)


def _provable(patterns: np.ndarray) -> np.ndarray:
    """Which float32 patterns are 0 or a positive float16 from 2^-9 up (docs/formats/statements.md, `int8`)."""
    exponents = patterns >> 23
    return np.asarray(
        (patterns == 0) | ((exponents >= 118) & (exponents <= 142) & (patterns & 0x1FFF == 0))
    )
