"""Model folders as named tensors, and safetensors files written one tensor at a time.

The bytes of a file written here depend only on its tensors and metadata: names are in byte order,
there are no gaps, and spaces pad the header to a multiple of eight bytes.

Source: the safetensors format description (huggingface/safetensors, README "Format").
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from provenance.artifacts.content import (
    DTYPE_BYTES,
    TensorInfo,
    read_tensor_infos,
    safetensors_files,
)
from provenance.artifacts.identity import MODEL_INDEX
from provenance.artifacts.listing import list_folder
from provenance.digest import open_regular
from provenance.durable import sync_directory
from provenance.errors import Conflict, InputError, UnavailableError

INDEX_NAME = MODEL_INDEX
PYTORCH = {"format": "pt"}  # transformers does not load a file without this metadata


@dataclass(frozen=True)
class Stored:
    """A tensor and the file that holds it."""

    file: Path
    info: TensorInfo


class Weights:
    """Read-only view of a safetensors file or folder (attacker-controlled).

    The headers are checked when it is opened.

    Raises:
        InputError: there is no safetensors file, one is malformed, or two files have a tensor of
            the same name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored: dict[str, Stored] = {}
        self.files = safetensors_files(path)
        for file in self.files:
            with open_regular(file) as stream:
                infos = read_tensor_infos(stream, str(file))
            for info in infos:
                if info.name in self._stored:
                    raise InputError(
                        "two files have a tensor of this name", where=info.name, actual=file.name
                    )
                self._stored[info.name] = Stored(file, info)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        """Names in the order of their UTF-8 bytes."""
        return iter(sorted(self._stored, key=str.encode))

    def __len__(self) -> int:
        return len(self._stored)

    def info(self, name: str) -> TensorInfo:
        """Type, shape and place of a tensor.

        Raises:
            InputError: there is no tensor of this name.
        """
        return self._require(name).info

    def file_of(self, name: str) -> Path:
        """The file that holds a tensor.

        Raises:
            InputError: there is no tensor of this name.
        """
        return self._require(name).file

    def raw(self, name: str) -> bytes:
        """Little-endian bytes of a tensor, row-major."""
        info = self.info(name)
        return self.part(name, 0, info.end - info.start)

    def part(self, name: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a tensor. Both must lie within it."""
        stored = self._require(name)
        with open_regular(stored.file) as stream:
            stream.seek(stored.info.start + start)
            data = stream.read(end - start)
        if len(data) != end - start:
            raise InputError("file shrank while it was read", where=str(stored.file))
        return data

    def bf16_bits(self, name: str) -> np.ndarray:
        """A bfloat16 tensor as uint16 bit patterns in its own shape.

        Raises:
            InputError: it is missing, or has another dtype.
        """
        info = self.require_bf16(name)
        return np.frombuffer(self.raw(name), dtype="<u2").reshape(info.shape)

    def require_bf16(self, name: str) -> TensorInfo:
        """Type, shape and place of a tensor that must be bfloat16.

        Raises:
            InputError: it is missing, or has another dtype.
        """
        info = self.info(name)
        if info.dtype != "BF16":
            raise InputError(
                "tensor is not bfloat16",
                where=f"{self.path} {name}",
                expected="BF16",
                actual=info.dtype,
                hint="convert the model to bfloat16 first",
            )
        return info

    def _require(self, name: str) -> Stored:
        stored = self._stored.get(name)
        if stored is None:
            raise InputError("no such tensor", where=str(self.path), actual=name)
        return stored


class SafetensorsWriter:
    """Writes one safetensors file. All tensors must be written, in the order of their names."""

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, tuple[str, Sequence[int]]],
        metadata: Mapping[str, str] = PYTORCH,
    ) -> None:
        """`tensors`: name -> (dtype as the format spells it, shape).

        Metadata are sorted by name.
        """
        self._layout = [
            (name, DTYPE_BYTES[tensors[name][0]] * math.prod(tensors[name][1]))
            for name in sorted(tensors, key=str.encode)
        ]
        self._next, self._path = 0, path
        self._stream = path.open("xb")
        self._stream.write(_header(self._layout, tensors, metadata))

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Write the next tensor: its little-endian bytes, row-major.

        Raises:
            ValueError: another tensor is next, or `data` has the wrong length.
        """
        expected = self._layout[self._next] if self._next < len(self._layout) else None
        if (name, len(data)) != expected:
            raise ValueError(f"{self._path}: unexpected tensor {name} of {len(data)} bytes")
        self._stream.write(data)
        self._next += 1

    def __enter__(self) -> SafetensorsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                if missing := len(self._layout) - self._next:
                    raise ValueError(f"{self._path}: {missing} tensors were not written")
                self._stream.flush()
                os.fsync(self._stream.fileno())
        finally:
            self._stream.close()


def _header(
    layout: Sequence[tuple[str, int]],
    tensors: Mapping[str, tuple[str, Sequence[int]]],
    metadata: Mapping[str, str],
) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    for name, size in layout:
        dtype, shape = tensors[name]
        entries[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@contextmanager
def atomic_dir(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, which becomes `target` when the block ends.

    After an error nothing is left behind.

    Raises:
        Conflict: `target` exists already and is not an empty folder.
        UnavailableError: the disk refused.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(
            "output folder exists already",
            where=str(target),
            hint="choose another output folder",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise UnavailableError(
            "cannot create output folder", where=str(target), actual=error.strerror
        ) from error
    try:
        temporary.chmod(0o755)
        yield temporary
        _sync_tree(temporary)
        os.replace(temporary, target)  # the folder is complete after this line, absent before it
        sync_directory(target.parent)
    except OSError as error:
        raise UnavailableError(
            "cannot write output folder", where=str(target), actual=error.strerror
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # does nothing after the rename


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, which `make` fills if it is not there: an entry of a cache that processes share.

    Two that make it at a time both succeed: the first one's folder stays, the other's is removed.

    Raises:
        UnavailableError: the disk refused, and nobody else made it.
    """
    if target.is_dir():
        return target
    try:
        with atomic_dir(target) as folder:
            make(folder)
    except (Conflict, UnavailableError):
        if not target.is_dir():
            raise
    return target


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, which becomes `target` when the block ends.

    After an error nothing is left behind.

    Raises:
        Conflict: `target` exists already.
        UnavailableError: the disk refused.
    """
    if target.exists():
        raise Conflict(
            "output file exists already", where=str(target), hint="choose another output file"
        )
    temporary = target.parent / f".{target.name}.{os.getpid()}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)  # the file is complete after this line, absent before it
        sync_directory(target.parent)
    except OSError as error:
        raise UnavailableError(
            "cannot write output file", where=str(target), actual=error.strerror
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        elif path.is_dir():
            sync_directory(path)
    sync_directory(folder)


def copy_side_files(source: Path, target: Path) -> None:
    """Copy what lies beside the weights: config, tokenizer, templates, code, licence.

    Byte for byte, so both folders have the same files in their identities. Hidden files, training
    state, and weights and their indices are not copied.

    Raises:
        InputError: as `provenance.artifacts.listing.list_folder`.
    """
    listing = list_folder(source)
    for name, path in (listing.bound | listing.for_people).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with open_regular(path) as stream, (target / name).open("xb") as copy:
            shutil.copyfileobj(stream, copy)


def write_index(weights: Weights, folder: Path) -> None:
    """Write the index by which transformers finds tensors in several files; one file needs none."""
    if len(weights.files) == 1:
        return
    names = list(weights)
    total = sum(weights.info(n).end - weights.info(n).start for n in names)
    index: Mapping[str, object] = {
        "metadata": {"total_size": total},
        "weight_map": {n: weights.file_of(n).name for n in names},
    }
    (folder / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
