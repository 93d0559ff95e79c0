"""Row-wise int8 codes of bfloat16 matrices (LLM.int8), and which tensors of a model get them.

Each weight w is rounded to float16. SCB is the largest absolute value of a row. A code is the
integer nearest to 127 w / SCB; on a tie it is the even one.

Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, section 2; bitsandbytes, `Linear8bitLt` (names)
and `int8_vectorwise_quant`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from provenance.artifacts.content import TensorInfo
from provenance.errors import InputError
from provenance_trainer.model.weights import Weights

BLOCK = 32
ROWS = b"\0"  # the number by which bitsandbytes marks codes that are stored row by row
_LINEAR = re.compile(
    r"model\.layers\.[0-9]+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight"
)
# How many weights of a tensor are processed at once: about 100 MB with all intermediate arrays.
_AT_ONCE = 1 << 22


def is_linear(info: TensorInfo) -> bool:
    """Whether LLM.int8 replaces this tensor of a Llama-architecture model."""
    return len(info.shape) == 2 and _LINEAR.fullmatch(info.name) is not None


def scb_name(name: str) -> str:
    """Name of the tensor with the row maxima of a matrix of codes."""
    return f"{name.removesuffix('weight')}SCB"


def format_name(name: str) -> str:
    """Name of the tensor whose one byte says how a matrix of codes is laid out."""
    return f"{name}_format"


def quantize_int8(bits: np.ndarray, where: str, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """SCB float32 `(rows,)` and codes int8 `(rows, columns)` of bfloat16 bits `(rows, columns)`.

    Args:
        where: Name of the tensor, for errors.
        first: Number of the first row, for errors.

    Raises:
        InputError: float16 cannot hold a weight.
    """
    half = to_half(bits)
    if not np.isfinite(half).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(half))[0])
        raise InputError(
            "weight cannot be stored as float16",
            where=f"{where} row {first + row} column {column}",
            expected="below 65520",
        )
    scb = np.abs(half).max(axis=1).astype(np.float32)
    return scb, np.rint(scaled(half, scb)).astype(np.int8)


def to_half(bits: np.ndarray) -> np.ndarray:
    """Float16 values of bfloat16 bit patterns. A value that float16 cannot hold is infinite."""
    with np.errstate(over="ignore"):
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float16)


def scaled(half: np.ndarray, scb: np.ndarray) -> np.ndarray:
    """127 w / SCB in float64, for float16 `half` `(rows, columns)` and `scb` `(rows,)`.

    Both numbers have at most 11 significant bits. So a quotient within 2^-32 of a tie is exactly a
    tie, and then float64 holds it exactly.
    """
    divisor = np.where(scb == 0, 1, scb).astype(np.float64)
    return 127.0 * half.astype(np.float64) / divisor[:, None]


def layout_of(model: Weights) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(dtype, shape) of every tensor in the int8 file of a bfloat16 model.

    Raises:
        InputError: a tensor is not bfloat16.
    """
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
                scb_name(name): ("F32", info.shape[:1]),
                name: ("I8", info.shape),
                format_name(name): ("U8", ()),
            }
        else:
            layout[name] = ("BF16", info.shape)
    return layout


def row_chunks(model: Weights, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Read a bfloat16 tensor some rows at a time: number of the first row, bits `(rows, columns)`.

    A tensor that is no matrix is read as one column.
    """
    shape = model.require_bf16(name).shape
    rows, columns = shape if len(shape) == 2 else (int(np.prod(shape)), 1)
    step = max(1, _AT_ONCE // max(1, columns))
    for row in range(0, rows, step):
        data = model.part(name, 2 * columns * row, 2 * columns * min(row + step, rows))
        yield row, np.frombuffer(data, dtype="<u2").reshape(-1, columns)
