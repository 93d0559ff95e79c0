"""Content digests of safetensors weights, which do not depend on how a file lays tensors out.

A safetensors file is `length u64 LE | JSON header | tensor bytes`. Two saves of the same tensors
may differ in bytes (order of the metadata). So weights have a second digest, over (name, dtype,
shape, SHA-256 of the tensor's bytes) of each tensor, sorted by name.

Source: the safetensors format description (huggingface/safetensors, README "Format").
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from provenance.artifacts.once import once
from provenance.causes import stand_in
from provenance.digest import Digest, open_regular, tagged
from provenance.encoding import parse_json, sized, u8, u64
from provenance.errors import InputError
from provenance.merkle import Tree
from provenance.text.shown import told

_CHUNK_BYTES = 1 << 20
_LARGE_BYTES = 8 << 20
_HEAD_BYTES = 512  # enough to tell what came in the place of a file
MAX_HEADER_BYTES = 16 << 20  # a tensor takes about 150 bytes of it
DTYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: `start` and `end` are byte offsets in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class TensorDigest:
    """SHA-256 of a tensor's little-endian bytes, with the name, dtype and shape they have."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: Digest

    @property
    def leaf(self) -> Digest:
        """The tensor's leaf in the content tree: binds name, dtype, shape and bytes."""
        dims = b"".join(u64(n) for n in self.shape)
        return tagged(
            "content-leaf",
            sized(self.name) + sized(self.dtype) + u8(len(self.shape)) + dims + self.sha256,
        )


def _tensor_info(name: str, entry: object, base: int, size: int, where: str) -> TensorInfo:
    if not isinstance(entry, dict):
        raise InputError("safetensors header entry is not an object", where=f"{where} {told(name)}")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise InputError(
            "unknown dtype",
            where=f"{where} {told(name)}",
            expected=", ".join(DTYPE_BYTES),
            actual=dtype,
        )
    if (
        not _are_naturals(shape)
        or not _are_naturals(offsets)
        or len(offsets) != 2
        or len(shape) > 255
    ):
        raise InputError("malformed shape or offsets", where=f"{where} {told(name)}")
    start, end = base + offsets[0], base + offsets[1]
    if start <= end and end > size:
        raise InputError(
            "file is cut off before the end of its tensors",
            where=where,
            expected=f"{end} bytes or more",
            actual=size,
            hint="download it again, or copy it again",
        )
    if not base <= start <= end or end - start != DTYPE_BYTES[dtype] * math.prod(shape):
        raise InputError(
            "tensor does not fit its file",
            where=f"{where} {told(name)}",
            expected=f"{DTYPE_BYTES[dtype] * math.prod(shape)} bytes within {size}",
            actual=f"{start}..{end}",
        )
    return TensorInfo(name, dtype, tuple(shape), start, end)


def _are_naturals(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63 for n in value
    )


def read_tensor_infos(stream: BinaryIO, where: str) -> list[TensorInfo]:
    """The tensors of a safetensors file (attacker-controlled), sorted by name.

    Allocates at most the header's bounded size.

    Raises:
        InputError: truncated, overlapping or gapped tensors, unknown dtype, or a header larger than
            the file.
    """
    header, base, size = _read_header(stream, where)
    header.pop("__metadata__", None)
    infos = [_tensor_info(name, entry, base, size, where) for name, entry in header.items()]
    position = base
    for info in sorted(infos, key=lambda i: (i.start, i.end)):
        if info.start != position:
            raise InputError(
                "tensors overlap or leave a gap",
                where=f"{where} {told(info.name)}",
                expected=position,
                actual=info.start,
            )
        position = info.end
    if position != size:
        raise InputError(
            "file is truncated or has bytes after its tensors",
            where=where,
            expected=position,
            actual=size,
        )
    return sorted(infos, key=lambda i: i.name.encode())


def read_metadata(stream: BinaryIO, where: str) -> dict[str, str]:
    """The `__metadata__` of a safetensors file (attacker-controlled).

    Raises:
        InputError: a header larger than the file or not JSON, or metadata that are not text.
    """
    metadata = _read_header(stream, where)[0].get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise InputError("safetensors metadata are not text", where=where)
    return metadata


def _read_header(stream: BinaryIO, where: str) -> tuple[dict[str, Any], int, int]:
    """The header, where the tensors' bytes begin, and the file's size."""
    size = stream.seek(0, 2)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
        stream.seek(0)
        cause = stand_in(stream.read(_HEAD_BYTES))
        raise InputError(
            "safetensors header does not fit its file",
            where=where,
            expected=f"<= {max(0, min(size - 8, MAX_HEADER_BYTES))} bytes",
            actual=cause or length,
        )
    try:
        header = parse_json(stream.read(length), _refuse_duplicates)
    except ValueError as error:
        raise InputError("safetensors header is not JSON", where=where, actual=error) from error
    if not isinstance(header, dict):
        raise InputError("safetensors header is not an object", where=where)
    return header, 8 + length, size


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    for name in result:
        name.encode("utf-8")  # a lone surrogate has no bytes that a leaf could bind
    return result


def tensor_chunks(stream: BinaryIO, info: TensorInfo) -> Iterator[bytes]:
    """The bytes of a tensor of an open file, in parts of at most 1 MiB. Threads may share it.

    Raises:
        InputError: the file ends before it.
    """
    at = info.start
    while at < info.end:
        chunk = os.pread(stream.fileno(), min(info.end - at, _CHUNK_BYTES), at)
        if not chunk:
            raise InputError("file shrank while it was read", where=info.name)
        at += len(chunk)
        yield chunk


def _hash_range(stream: BinaryIO, info: TensorInfo) -> Digest:
    state = hashlib.sha256()
    for chunk in tensor_chunks(stream, info):
        state.update(chunk)
    return Digest(state.digest())


def _hash_all(stream: BinaryIO, infos: Sequence[TensorInfo]) -> list[Digest]:
    """SHA-256 of each tensor of a file, on every core where it is large."""
    if sum(info.end - info.start for info in infos) < _LARGE_BYTES:
        return [_hash_range(stream, info) for info in infos]
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashlib works without Python's lock
        return list(threads.map(lambda info: _hash_range(stream, info), infos))


def safetensors_files(path: Path) -> list[Path]:
    """The weight files of a model folder, or the file itself."""
    if path.is_file():
        return [path]
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise InputError(
            "no safetensors file", where=str(path), hint="pickled weights are never read"
        )
    return files


def tensor_digests(path: Path) -> dict[str, TensorDigest]:
    """Digest of every tensor in a safetensors file or folder, by name.

    Raises:
        InputError: a malformed file, or one tensor name in two files.
    """
    return {digest.name: digest for digest in _iterate(path)}


def _iterate(path: Path) -> Iterator[TensorDigest]:
    seen: dict[str, str] = {}
    for file in safetensors_files(path):
        with open_regular(file) as stream:
            infos = read_tensor_infos(stream, str(file))
            for info in infos:
                if info.name in seen:
                    raise InputError(
                        "tensor stands in two files",
                        where=info.name,
                        actual=f"{seen[info.name]}, {file.name}",
                    )
                seen[info.name] = file.name
            digests = once(stream, "tensors", partial(_hash_all, stream, infos))
        for info, digest in zip(infos, digests, strict=True):
            yield TensorDigest(info.name, info.dtype, info.shape, digest)


def content_root(digests: dict[str, TensorDigest]) -> Digest:
    """The content digest of weights whose tensors were hashed already."""
    leaves = [digests[name].leaf for name in sorted(digests, key=str.encode)]
    return tagged("content", u64(len(leaves)) + Tree(leaves).root())


def content_digest(path: Path) -> Digest:
    """Content digest of a safetensors file or folder.

    Equal for any two saves of the same tensors.
    """
    return content_root(tensor_digests(path))
