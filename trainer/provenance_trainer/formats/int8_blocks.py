"""Single blocks of an int8 file, addressed as proofs address them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from provenance.artifacts.content import TensorInfo
from provenance.errors import InputError
from provenance_trainer.formats.int8_codes import BLOCK, scb_name
from provenance_trainer.model.weights import Weights


class Int8File:
    """An int8 file (attacker-controlled).

    Raises:
        InputError: it is not a well-formed safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._weights = Weights(path)

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        """One block of a matrix, 36 bytes: its row's SCB, float32 little-endian, and 32 codes.

        If a row does not fill its last block, the block ends in zeros.

        Args:
            name: The tensor's name in the merged model.
            rows, row_blocks: Rows of the matrix, and blocks per row.
            block: Number of the block, row by row.

        Raises:
            InputError: the file has no such int8 matrix, or it has no such block.
        """
        columns = self._columns(name, rows, row_blocks)
        row, part = divmod(block, row_blocks)
        if not 0 <= row < rows:
            raise InputError(
                "no such block",
                where=f"{self.path} {name}",
                expected=f"0..{rows * row_blocks - 1}",
                actual=block,
            )
        start, end = part * BLOCK, min((part + 1) * BLOCK, columns)
        codes = self._weights.part(name, row * columns + start, row * columns + end)
        scb = self._weights.part(scb_name(name), 4 * row, 4 * row + 4)
        return scb + codes.ljust(BLOCK, b"\0")

    def _columns(self, name: str, rows: int, row_blocks: int) -> int:
        codes, scb = self._require(name, "I8"), self._require(scb_name(name), "F32")
        columns = codes.shape[1] if len(codes.shape) == 2 else 0
        wanted = ((rows, columns), (rows,), row_blocks)
        if (codes.shape, scb.shape, -(-columns // BLOCK)) != wanted:
            raise InputError(
                "tensor has another shape",
                where=f"{self.path} {name}",
                expected=f"{rows} rows of {row_blocks} blocks",
                actual=f"{codes.shape}, SCB {scb.shape}",
            )
        return columns

    def require_provable(self, names: Sequence[str]) -> None:
        """Check that the statement `int8` can open every block of these tensors.

        Args:
            names: The tensors' names in the merged model.

        Raises:
            InputError: a tensor is not int8 in this file, or a row has an SCB that the statement
                does not take.
        """
        for name in names:
            rows, scb = self._require(name, "I8").shape[:1], self._require(scb_name(name), "F32")
            if scb.shape != rows:
                raise InputError(
                    "tensor has another shape",
                    where=f"{self.path} {scb.name}",
                    expected=rows,
                    actual=scb.shape,
                )
            self._require_provable_rows(name, self._weights.raw(scb.name))

    def _require_provable_rows(self, name: str, scb: bytes) -> None:
        maxima = np.frombuffer(scb, dtype="<u4")
        refused = np.flatnonzero(~_is_provable(maxima))
        if refused.size:
            row = int(refused[0])
            raise InputError(
                "row cannot be proven",
                where=f"{self.path} {name} row {row}",
                expected="SCB 0, or a float16 in [2^-9, 65504]",
                actual=f"{maxima.view('<f4')[row]}, and {refused.size - 1} more such rows",
                hint="use Q8_0 instead: provenance quantize RUN --format Q8_0",
            )

    def _require(self, name: str, dtype: str) -> TensorInfo:
        if name not in self._weights or self._weights.info(name).dtype != dtype:
            raise InputError(
                "file lacks a tensor",
                where=str(self.path),
                expected=f"{name}, {dtype}",
                hint="only the linear layers of the decoder become int8; "
                "if the adapter adapts others, use --format Q8_0",
            )
        return self._weights.info(name)


def _is_provable(patterns: np.ndarray) -> np.ndarray:
    """Which float32 bit patterns are 0, or a float16 value from 2^-9 to 65504.

    Source: docs/formats/statements.md, `int8`.
    """
    exponents = patterns >> 23
    in_range = (exponents >= 118) & (exponents <= 142) & (patterns & 0x1FFF == 0)
    return np.asarray((patterns == 0) | in_range)
