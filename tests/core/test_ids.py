"""Identifiers print and read back, and nothing else passes for one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError
from provenance.ids import (
    NO_ADDRESS,
    Address,
    DatasetId,
    KeyId,
    RunId,
    Word,
    bare_digits,
    from_hex,
    lower_pattern,
    parse_word,
    to_hex,
    to_word,
    words_bytes,
)

WORDS = (Word, RunId, DatasetId, KeyId)


@given(st.sampled_from(WORDS), st.binary(min_size=32, max_size=32))
def test_a_word_prints_and_reads_back(kind: type[Word], data: bytes) -> None:
    word = kind(data)
    assert kind.parse(str(word)) == word == data
    assert str(kind.parse(to_hex(data).upper().replace("X", "x"))) == f"{word}" == to_hex(data)


@given(st.binary(min_size=20, max_size=20))
def test_an_address_is_its_lower_case_text(data: bytes) -> None:
    address = Address(to_hex(data).upper().replace("X", "x"))
    assert address == Address.parse(str(address)) == to_hex(data)
    assert json.dumps([address]) == f'["{to_hex(data)}"]'


@given(st.binary())
def test_hex_reads_back(data: bytes) -> None:
    assert from_hex(to_hex(data)) == from_hex(to_hex(data), len(data)) == data


@given(st.integers(min_value=0, max_value=(1 << 256) - 1))
def test_an_integer_is_a_word_of_lower_case_digits(value: int) -> None:
    text = to_word(value)
    assert parse_word(text) == value
    assert text == to_hex(value.to_bytes(32, "big"))
    assert re.fullmatch(lower_pattern(32), text)
    assert bare_digits(text) == bare_digits(bare_digits(text)) == text[2:]
    for other in (text.upper(), text + "0", text + "\n", text[2:], text.encode(), value):
        with pytest.raises(InputError):
            parse_word(other)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0x", "11" * 32, "0x" + "g" * 64, "0x" + "1" * 63, "0x" + "11" * 33),
        *("0X" + "11" * 32, None, 17, b"\x11" * 32, "0x" + "11" * 32 + "\n", "0x" + "１" * 64),
    ],
    ids=[
        "empty",
        "no digits",
        "no prefix",
        "no hex digits",
        "a digit less",
        "a byte more",
        "capital prefix",
        "None",
        "a number",
        "bytes",
        "newline after",
        "wide digits",
    ],
)
def test_what_is_no_identifier_is_refused(text: object) -> None:
    for read in (RunId.parse, Address.parse, lambda t: from_hex(t, 32)):
        with pytest.raises(InputError):
            read(text)


def test_the_message_names_the_place() -> None:
    with pytest.raises(InputError, match=r"run\.json run_id") as caught:
        RunId.parse("0x12", where="run.json run_id")
    assert caught.value.expected == "0x and 64 digits"


@pytest.mark.parametrize("kind", WORDS)
def test_a_word_of_another_size_cannot_be_made(kind: type[Word]) -> None:
    with pytest.raises(InputError, match=kind.__name__):
        kind(bytes(31))


def test_the_value_for_no_address_is_zero() -> None:
    assert from_hex(NO_ADDRESS) == bytes(20)


@given(st.lists(st.binary(min_size=32, max_size=32)))
def test_many_words_are_read_as_each_of_them(data: list[bytes]) -> None:
    assert words_bytes([to_hex(word) for word in data]) == b"".join(data)


@pytest.mark.parametrize(
    "texts",
    [
        ["0x" + "00" * 64, ""],
        ["0x" + "00" * 31, "0x" + "00" * 33],
        ["0x" + "AA" * 32],
        ["0x" + "00" * 32, "00" * 33],
        ["0x" + "00" * 32, "0x" + "00" * 31 + "0x"],
    ],
    ids=str,
)
def test_one_malformed_word_among_many_is_refused(texts: list[str]) -> None:
    """Also where the digits of all of them are as many as those of so many words."""
    with pytest.raises(InputError, match="not a canonical word"):
        words_bytes(texts)
