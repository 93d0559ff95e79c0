"""Content digests: the same for every save of the same tensors; hostile headers are refused."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.content import content_digest, tensor_digests
from provenance.errors import InputError

TENSORS: dict[str, tuple[str, list[int], bytes]] = {
    "a": ("F32", [2], bytes(range(8))),
    "b": ("U8", [3], b"abc"),
    "c": ("BF16", [], b"\x01\x02"),
}


def save(
    path: Path, order: list[str], metadata: dict[str, str] | None = None, pad: int = 0
) -> Path:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata is not None else {}
    body = b""
    for name in order:
        dtype, shape, data = TENSORS[name]
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    return write(path, json.dumps(header).encode() + b" " * pad, body)


def write(path: Path, header: bytes, body: bytes, length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)
    return path


def test_saves_with_shuffled_tensors_and_metadata_have_one_digest(tmp_path: Path) -> None:
    draw, digests, files = random.Random(1), set(), set()
    keys = [f"key{i}" for i in range(16)]
    for i in range(20):
        order = draw.sample(list(TENSORS), 3)
        file = save(
            tmp_path / f"{i}.safetensors", order, dict.fromkeys(draw.sample(keys, 16), "x"), pad=i
        )
        digests.add(content_digest(file))
        files.add(file.read_bytes())
    assert (len(digests), len(files)) == (1, 20)


def test_one_file_and_its_shards_have_one_digest(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.safetensors", ["a", "b", "c"])
    shards = tmp_path / "shards"
    shards.mkdir()
    save(shards / "1.safetensors", ["b"])
    save(shards / "2.safetensors", ["c", "a"])
    assert content_digest(whole) == content_digest(shards)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "1.safetensors", ["a", "b"])
    save(tmp_path / "2.safetensors", ["b"])
    with pytest.raises(InputError, match="two files"):
        tensor_digests(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"a": ("F32", [1, 2], bytes(range(8)))},
        {"a": ("I32", [2], bytes(range(8)))},
        {"a": ("F32", [2], bytes(8))},
    ],
    ids=["shape", "dtype", "bytes"],
)
def test_a_content_digest_binds_shape_dtype_and_bytes(
    tmp_path: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content_digest(save(tmp_path / "1", ["a", "b"]))
    monkeypatch.setitem(TENSORS, *next(iter(change.items())))
    assert content_digest(save(tmp_path / "2", ["a", "b"])) != before


def test_a_content_digest_binds_names(tmp_path: Path) -> None:
    one = write(tmp_path / "1", b'{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"v")
    two = write(tmp_path / "2", b'{"y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"v")
    assert content_digest(one) != content_digest(two)


def entry(offsets: object, shape: object = [4], dtype: object = "U8") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE: dict[str, object] = {
    "gap at the start": {"x": entry([1, 5])},
    "gap between": {"x": entry([0, 4]), "y": entry([5, 9])},
    "overlap": {"x": entry([0, 4]), "y": entry([2, 6])},
    "same bytes twice": {"x": entry([0, 4]), "y": entry([0, 4])},
    "backwards": {"x": entry([4, 0])},
    "negative": {"x": entry([-4, 0])},
    "past the end": {"x": entry([0, 400], [400])},
    "too small for its shape": {"x": entry([0, 4], [5])},
    "dims that overflow": {"x": entry([0, 4], [2**62, 4, 2**62])},
    "dims that overflow to zero": {"x": entry([0, 0], [2**32, 2**32])},
    "dim beyond 63 bits": {"x": entry([0, 4], [2**63])},
    "256 dims": {"x": entry([0, 4], [1] * 255 + [4])},
    "negative dim": {"x": entry([0, 4], [-2, -2])},
    "boolean dim": {"x": entry([0, 1], [True])},
    "float dim": {"x": entry([0, 4], [4.0])},
    "unknown dtype": {"x": entry([0, 4], dtype="Q4")},
    "dtype is a list": {"x": entry([0, 4], dtype=["U8"])},
    "dtype is an object": {"x": entry([0, 4], dtype={})},
    "dtype is missing": {"x": {"shape": [4], "data_offsets": [0, 4]}},
    "three offsets": {"x": entry([0, 2, 4])},
    "offsets are text": {"x": entry("04")},
    "entry is a list": {"x": [0, 4]},
    "header is a list": [1],
    "nothing but bytes": {},
    "name is a lone surrogate": {"\ud800": entry([0, 4])},
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_are_refused(tmp_path: Path, header: object) -> None:
    with pytest.raises(InputError):
        content_digest(write(tmp_path / "x.safetensors", json.dumps(header).encode(), bytes(4)))


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b'{"x":' * 50_000,
        b'{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
        b"",
        b"\xff",
        b"null",
        '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'.encode("utf-16"),
        b'{"x":{"dtype":"U8","shape":[NaN],"data_offsets":[0,4]}}',
    ],
    ids=[
        "nested lists",
        "nested objects",
        "tensor twice",
        "field twice",
        "empty",
        "no UTF-8",
        "null",
        "UTF-16",
        "NaN",
    ],
)
def test_bytes_that_are_no_header_are_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(InputError):
        content_digest(write(tmp_path / "x.safetensors", header, bytes(4)))


@pytest.mark.parametrize("length", [9, 2**31, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file_is_refused_before_it_is_read(
    tmp_path: Path, length: int
) -> None:
    with pytest.raises(InputError, match="does not fit its file") as caught:
        content_digest(write(tmp_path / "x.safetensors", b"{}", b"", length))
    assert caught.value.actual == str(length)


@pytest.mark.parametrize("size", range(8))
def test_a_file_shorter_than_its_length_field_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.safetensors").write_bytes(bytes(size))
    with pytest.raises(InputError):
        content_digest(tmp_path / "x.safetensors")


def test_bytes_after_the_tensors_are_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "x.safetensors", ["a"])
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(InputError, match="after its tensors"):
        content_digest(file)


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="no safetensors file"):
        content_digest(tmp_path)


def test_a_symlinked_weight_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "real", ["a"])
    (tmp_path / "x.safetensors").symlink_to(tmp_path / "real")
    with pytest.raises(InputError, match="cannot open file"):
        content_digest(tmp_path)
