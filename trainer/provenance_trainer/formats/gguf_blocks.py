"""Single blocks of a GGUF file, addressed as proofs address them.

An address is the name of a tensor in the merged model, and the number of a block, row by row. Only
the file is needed: its header gives the names, and the order of rotary rows. If the header lies
about these, the bytes found here are not those that the proof is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gguf.constants import MODEL_ARCH, GGMLQuantizationType
from gguf.tensor_mapping import get_tensor_name_map

from provenance.digest import open_regular
from provenance.errors import InputError
from provenance_trainer.formats.gguf import BLOCK, BLOCK_BYTES
from provenance_trainer.formats.gguf_file import GgufHeader, TensorEntry, read_header

_MAX_LAYERS = 1 << 16
_HEAD_KEYS = {".attn_q.": "llama.attention.head_count", ".attn_k.": "llama.attention.head_count_kv"}


class GgufFile:
    """A Q8_0 GGUF file (attacker-controlled).

    Raises:
        InputError: it is not a well-formed GGUF file of the Llama architecture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = read_header(path)
        layers = _number(self._header, "llama.block_count", path)
        if layers > _MAX_LAYERS:
            raise InputError(
                "too many layers", where=str(path), expected=f"<= {_MAX_LAYERS}", actual=layers
            )
        self._names = get_tensor_name_map(MODEL_ARCH.LLAMA, layers)

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        """One block of a matrix, 34 bytes: float16 scale, 32 codes.

        Args:
            name: The tensor's name in the merged model.
            rows, row_blocks: Rows of the matrix, and blocks per row.
            block: Number of the block, row by row.

        Raises:
            InputError: the file has no such Q8_0 tensor.
        """
        entry = self._entry(name, rows, row_blocks)
        row, column = divmod(block, row_blocks)
        offset = (self._file_row(entry.name, rows, row) * row_blocks + column) * BLOCK_BYTES
        with open_regular(self.path) as stream:
            stream.seek(entry.start + offset)
            data = stream.read(BLOCK_BYTES)
        if len(data) != BLOCK_BYTES:
            raise InputError(
                "file ends within a block", where=f"{self.path} {entry.name} block {block}"
            )
        return data

    def require_provable(self, names: Sequence[str]) -> None:
        """Check that these tensors are Q8_0, so that the statement `q8_0` can open their blocks.

        The values need no check: a merge limits them more than the statement does.

        Args:
            names: The tensors' names in the merged model.

        Raises:
            InputError: a tensor is missing, or of another type.
        """
        for entry in map(self._named, names):
            if entry.type is not GGMLQuantizationType.Q8_0:
                raise InputError(
                    "tensor cannot be proven",
                    where=f"{self.path} {entry.name}",
                    expected="Q8_0",
                    actual=entry.type.name,
                )

    def _named(self, name: str) -> TensorEntry:
        translated = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        entry = self._header.tensors.get(translated) if translated is not None else None
        if entry is None:
            raise InputError("file lacks a tensor", where=str(self.path), expected=name)
        return entry

    def _entry(self, name: str, rows: int, row_blocks: int) -> TensorEntry:
        entry = self._named(name)
        wanted = (GGMLQuantizationType.Q8_0, (rows, row_blocks * BLOCK))
        if (entry.type, entry.shape) != wanted:
            raise InputError(
                "tensor has another type or shape",
                where=f"{self.path} {entry.name}",
                expected=f"{wanted[0].name} {wanted[1]}",
                actual=f"{entry.type.name} {entry.shape}",
            )
        return entry

    def _file_row(self, name: str, rows: int, row: int) -> int:
        """The row's number in the file, which interleaves the rotary halves of Q and K heads."""
        key = next((key for part, key in _HEAD_KEYS.items() if part in name), None)
        if key is None:
            return row
        heads = _number(self._header, key, self.path)
        if heads < 1 or rows % (2 * heads):
            raise InputError(
                "rows are not whole heads",
                where=f"{self.path} {name}",
                expected=f"a multiple of {2 * heads}",
                actual=rows,
            )
        half = rows // heads // 2
        head, inside = divmod(row, 2 * half)
        side, pair = divmod(inside, half)
        return head * 2 * half + 2 * pair + side


def _number(header: GgufHeader, key: str, path: Path) -> int:
    field = header.fields.get(key)
    value = None if field is None else field.value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError("header lacks a number", where=f"{path} {key}")
    return value
