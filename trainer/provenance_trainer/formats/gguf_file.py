"""Reading GGUF headers of files that an attacker may control.

Every count and length is compared with the file's size before memory is allocated for it.
Layout (little-endian): "GGUF" | version u32 | tensor count u64 | key count u64 | keys | tensor
infos | padding | tensor data.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md), versions 2 and 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

from provenance.artifacts.once import once
from provenance.digest import open_regular
from provenance.errors import InputError
from provenance.text.shown import told
from provenance.windows import FileBytes

_SCALARS: dict[GGUFValueType, str] = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 1 << 16
_MAX_DIMS = 4
# A vocabulary of 256,000 tokens with its merges, scores and types has about 20 MB in 1.3 million
# values. Headers beyond these limits are refused.
MAX_HEADER_BYTES = 64 << 20
MAX_ITEMS = 1 << 21
_BULK_BYTES = 1 << 18
_LENGTH = struct.Struct("<Q")
_SMALLEST_KEY_BYTES = 8 + 4 + 1
_SMALLEST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8


@dataclass(frozen=True)
class Field:
    """The value of one key. `kind` is its type, or the type of its items if it is an array."""

    kind: GGUFValueType
    is_array: bool
    value: Any


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor is: `start` and `end` are byte offsets in the file.

    `shape` is row-major; the file stores its dimensions in reverse order.
    """

    name: str
    type: GGMLQuantizationType
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class GgufHeader:
    """Keys and tensors by name.

    `data_end` is where the last tensor ends, `size` the file's bytes.
    """

    fields: Mapping[str, Field]
    tensors: Mapping[str, TensorEntry]
    data_end: int
    size: int


class _Cursor:
    """Bounded reads: each length and count is compared with what is left before it is read.

    That is what is left of the file, of `MAX_HEADER_BYTES`, and of `MAX_ITEMS`.
    """

    def __init__(self, data: FileBytes, where: str) -> None:
        self._data, self._where, self.offset, self.size = data, where, 0, len(data)
        self._items = MAX_ITEMS

    def take(self, count: int, what: str) -> bytes:
        if count > self.size - self.offset:
            raise InputError(
                f"GGUF file is truncated in {what}",
                where=self._where,
                expected=f"at least {self.offset + count} bytes",
                actual=f"{self.size} bytes",
            )
        if self.offset + count > MAX_HEADER_BYTES:
            raise InputError(
                "GGUF header is too large",
                where=f"{self._where} {what}",
                expected=f"<= {MAX_HEADER_BYTES} bytes",
                actual=f"{self.offset + count} bytes",
            )
        data = self._data[self.offset : self.offset + count]
        if len(data) != count:
            raise InputError("file shrank while it was read", where=self._where)
        self.offset += count
        return data

    def number(self, form: str, what: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def count(self, smallest_bytes: int, what: str) -> int:
        """A u64 count of items that take at least `smallest_bytes` each."""
        value: int = self.number("<Q", what)
        if value * smallest_bytes > self.size - self.offset:
            raise InputError(
                f"GGUF count of {what} does not fit the file",
                where=self._where,
                expected=f"at most {(self.size - self.offset) // smallest_bytes}",
                actual=value,
            )
        return value

    def items(self, smallest_bytes: int, what: str) -> int:
        """As `count`, for what becomes a value in memory each."""
        value = self.count(smallest_bytes, what)
        if value > self._items:
            raise InputError(
                f"GGUF header has too many {what}",
                where=self._where,
                expected=f"at most {MAX_ITEMS} values in all",
                actual=value,
            )
        self._items -= value
        return value

    def text(self, what: str) -> str:
        data = self.take(self.count(1, what), what)
        try:
            return data.decode("utf-8")
        except UnicodeError as error:
            raise InputError(f"{what} is not UTF-8", where=self._where) from error

    def texts(self, what: str) -> list[str]:
        """A count, and as many texts; a vocabulary has 100,000, so they are read in bulk."""
        count, found = self.items(_LENGTH.size, what), list[str]()
        while len(found) < count:
            end = min(self.offset + _BULK_BYTES, self.size, MAX_HEADER_BYTES)
            taken = _texts_in(self._data[self.offset : end], count - len(found), found)
            self.offset += taken
            if not taken:  # one that is longer, or none: `text` says what is wrong with it
                found.append(self.text(what))
        return found


def _texts_in(data: bytes, most: int, found: list[str]) -> int:
    """Add the texts that lie in `data` in full, at most `most`; returns how many bytes they take.

    It stops before one that is not UTF-8.
    """
    at, unpack, size = 0, _LENGTH.unpack_from, _LENGTH.size
    for _ in range(most):
        if at + size > len(data):
            break
        end = at + size + unpack(data, at)[0]
        if end > len(data):
            break
        try:
            found.append(data[at + size : end].decode("utf-8"))
        except UnicodeError:
            break
        at = end
    return at


def read_header(path: Path) -> GgufHeader:
    """Parse keys and tensor infos of a GGUF file (attacker-controlled).

    Raises:
        InputError: the file is not GGUF or truncated (expected and actual sizes are named), a count
            does not fit the file, a name occurs twice, a type is unknown, or tensors overlap or are
            not aligned.
    """
    with open_regular(path) as stream:
        return once(stream, "gguf header", partial(_read_header, stream, str(path)))


def _read_header(stream: BinaryIO, where: str) -> GgufHeader:
    size = stream.seek(0, 2)
    if size < 24:
        raise InputError(
            "not a GGUF file", where=where, expected="at least 24 bytes", actual=f"{size} bytes"
        )
    cursor = _Cursor(FileBytes(stream), where)
    if (magic := cursor.take(4, "magic")) != b"GGUF":
        raise InputError("not a GGUF file", where=where, expected="GGUF", actual=repr(magic))
    version = cursor.number("<I", "version")
    if version not in (2, 3):
        raise InputError("unsupported GGUF version", where=where, expected="2 or 3", actual=version)
    tensor_count = cursor.items(_SMALLEST_TENSOR_BYTES, "tensors")
    fields = _read_fields(cursor, where)
    entries = [_read_tensor(cursor, where) for _ in range(tensor_count)]
    alignment = _alignment(fields, where)
    start = -(-cursor.offset // alignment) * alignment
    tensors = _place(entries, start, alignment, size, where)
    data_end = max((t.end for t in tensors.values()), default=start)
    return GgufHeader(fields, tensors, data_end, size)


def _read_fields(cursor: _Cursor, where: str) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for _ in range(cursor.items(_SMALLEST_KEY_BYTES, "keys")):
        name = cursor.text("key name")
        if name in fields:
            raise InputError("GGUF key occurs twice", where=where, actual=name[:80])
        fields[name] = _read_value(cursor, f"{where} {told(name)}")
    return fields


def _kind(number: int, where: str) -> GGUFValueType:
    try:
        return GGUFValueType(number)
    except ValueError as error:
        raise InputError(
            "unknown GGUF value type", where=where, expected="0..12", actual=number
        ) from error


def _read_value(cursor: _Cursor, where: str) -> Field:
    kind = _kind(cursor.number("<I", "value type"), where)
    if kind is not GGUFValueType.ARRAY:
        return Field(kind, False, _read_scalar(cursor, kind, where))
    item = _kind(cursor.number("<I", "item type"), where)
    if item is GGUFValueType.ARRAY:
        raise InputError("nested GGUF arrays are not supported", where=where)
    if item is GGUFValueType.STRING:
        return Field(item, True, cursor.texts("array items"))
    form = _SCALARS[item]
    width = struct.calcsize(form)
    count = cursor.items(width, "array items")
    return Field(
        item, True, list(struct.unpack(f"<{count}{form[1]}", cursor.take(count * width, "array")))
    )


def _read_scalar(cursor: _Cursor, kind: GGUFValueType, where: str) -> Any:
    if kind is GGUFValueType.STRING:
        return cursor.text(where)
    return cursor.number(_SCALARS[kind], where)


def _read_tensor(
    cursor: _Cursor, where: str
) -> tuple[str, GGMLQuantizationType, tuple[int, ...], int]:
    name = cursor.text("tensor name")
    dims = cursor.number("<I", "tensor rank")
    if not 1 <= dims <= _MAX_DIMS:
        raise InputError(
            "tensor has a bad number of dimensions",
            where=f"{where} {told(name)}",
            expected="1..4",
            actual=dims,
        )
    shape = tuple(reversed([cursor.number("<Q", "tensor shape") for _ in range(dims)]))
    number = cursor.number("<I", "tensor type")
    try:
        kind = GGMLQuantizationType(number)
    except ValueError as error:
        raise InputError(
            "unknown tensor type", where=f"{where} {told(name)}", actual=number
        ) from error
    return name, kind, shape, cursor.number("<Q", "tensor offset")


def _alignment(fields: Mapping[str, Field], where: str) -> int:
    field = fields.get("general.alignment")
    if field is None:
        return _DEFAULT_ALIGNMENT
    value = field.value
    if (
        field.kind is not GGUFValueType.UINT32
        or field.is_array
        or value & (value - 1)
        or not 8 <= value <= _MAX_ALIGNMENT
    ):
        raise InputError(
            "bad alignment",
            where=f"{where} general.alignment",
            expected="a power of two, 8..65536",
            actual=value,
        )
    return int(value)


def _place(
    entries: list[tuple[str, GGMLQuantizationType, tuple[int, ...], int]],
    start: int,
    alignment: int,
    size: int,
    where: str,
) -> dict[str, TensorEntry]:
    tensors: dict[str, TensorEntry] = {}
    for name, kind, shape, offset in entries:
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if name in tensors:
            raise InputError("tensor occurs twice", where=where, actual=name[:80])
        if shape[-1] % block or offset % alignment:
            raise InputError(
                "tensor is not whole blocks or not aligned",
                where=f"{where} {told(name)}",
                actual=shape,
            )
        end = start + offset + math.prod(shape) // block * block_bytes
        if end > size:
            raise InputError(
                "GGUF file is truncated",
                where=f"{where} {told(name)}",
                expected=f"at least {end} bytes",
                actual=f"{size} bytes",
            )
        tensors[name] = TensorEntry(name, kind, shape, start + offset, end)
    _require_disjoint(tensors.values(), start, where)
    return tensors


def _require_disjoint(tensors: Iterable[TensorEntry], start: int, where: str) -> None:
    previous = start
    for tensor in sorted(tensors, key=lambda t: (t.start, t.end)):
        if tensor.start < previous:
            raise InputError(
                "tensors overlap",
                where=f"{where} {told(tensor.name)}",
                expected=previous,
                actual=tensor.start,
            )
        previous = tensor.end


def read_tensor(path: Path, tensor: TensorEntry) -> bytes:
    """Bytes of one tensor, whose bounds `read_header` checked.

    Raises:
        InputError: the file has become shorter since then.
    """
    with open_regular(path) as stream:
        stream.seek(tensor.start)
        data = stream.read(tensor.end - tensor.start)
    if len(data) != tensor.end - tensor.start:
        raise InputError("file shrank while it was read", where=str(path))
    return data
