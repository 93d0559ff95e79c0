"""Headers of hostile sizes are refused by name before memory is taken for them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance_trainer.formats.gguf_file import MAX_ITEMS, read_header
from tests.support.processes.memory import MB, refused_within

U8, STRING, ARRAY = 0, 8, 9


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(item: int, count: int) -> bytes:
    return struct.pack("<IQ", item, count)


def gguf(path: Path, size: int, keys: int, tensors: int, rest: bytes = b"") -> Path:
    with path.open("wb") as stream:
        stream.write(b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest)
        stream.truncate(size)
    return path


@pytest.mark.parametrize(
    ("keys", "tensors", "rest", "words"),
    [
        (7_000_000, 0, b"", "too many keys"),
        (0, 3_000_000, b"", "too many tensors"),
        (1, 0, key(b"a", ARRAY, array(U8, 99_000_000)), "too many array items"),
        (1, 0, key(b"a", ARRAY, array(STRING, 12_000_000)), "too many array items"),
        (1, 0, key(b"a", STRING, struct.pack("<Q", 99_000_000)), "header is too large"),
        (1, 0, struct.pack("<Q", 99_000_000), "header is too large"),
    ],
    ids=["keys", "tensors", "numbers", "strings", "text", "name"],
)
def test_a_header_that_fills_a_sparse_file(
    tmp_path: Path, keys: int, tensors: int, rest: bytes, words: str
) -> None:
    file = gguf(tmp_path / "model.gguf", 100 * MB, keys, tensors, rest)
    assert words in refused_within(20 * MB, lambda: read_header(file))


def strings(path: Path, items: list[bytes]) -> Path:
    """A header with an array of these texts, and one key behind it."""
    rest = key(b"a", ARRAY, array(STRING, len(items)) + b"".join(map(text, items)))
    rest += key(b"b", STRING, text(b"end"))
    return gguf(path, 24 + len(rest), 2, 0, rest)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [b""] * 5,
        [b"x" * (n % 700) for n in range(4000)],  # 1.4 MB, so texts lie across every window's end
        [b"short", b"y" * (3 << 20), b"", b"z" * (1 << 18), b"short"],
        ["é€😀".encode() * n for n in range(300)],
    ],
    ids=["none", "empty", "many", "long", "letters"],
)
def test_texts_that_are_read_in_bulk_are_those_of_the_file(
    tmp_path: Path, items: list[bytes]
) -> None:
    fields = read_header(strings(tmp_path / "model.gguf", items)).fields
    assert fields["a"].value == [item.decode() for item in items]
    assert fields["b"].value == "end"


@pytest.mark.parametrize("at", [0, 3000, 3999])
def test_a_text_of_a_vocabulary_that_is_not_utf_8(tmp_path: Path, at: int) -> None:
    items = [b"x" * 100] * 4000
    items[at] = b"\xff" * 100
    with pytest.raises(InputError, match="not UTF-8"):
        read_header(strings(tmp_path / "model.gguf", items))


@pytest.mark.parametrize("size", [1, 8, 99, 2**40, 2**64 - 1])
def test_a_text_of_a_vocabulary_that_ends_behind_the_file(tmp_path: Path, size: int) -> None:
    rest = key(b"a", ARRAY, array(STRING, 3) + text(b"one") + struct.pack("<Q", size) + b"x")
    file = gguf(tmp_path / "model.gguf", 24 + len(rest), 1, 0, rest)
    with pytest.raises(InputError, match=r"does not fit|truncated"):
        read_header(file)


def test_the_limit_of_values_is_for_all_arrays_together(tmp_path: Path) -> None:
    most = MAX_ITEMS // 2 + 1
    arrays = [key(name, ARRAY, array(U8, most) + bytes(most)) for name in (b"a", b"b")]
    file = gguf(tmp_path / "model.gguf", 100 * MB, 2, 0, b"".join(arrays))
    assert "too many array items" in refused_within(60 * MB, lambda: read_header(file))
