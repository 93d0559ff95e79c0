"""Canonical JSON against the appendices of RFC 8785, and what it refuses."""

from __future__ import annotations

import datetime
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.encoding import (
    MAX_JSON_DEPTH,
    batch_payload,
    canonical_json,
    dataset_record_bytes,
    parse_json,
)
from provenance.errors import InputError
from tests.support import plain

# RFC 8785 appendix B: IEEE 754 bits and what they are written as.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_written_as_the_rfc_says(bits: str, text: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert dataset_record_bytes({"x": value}) == b'{"x":' + text.encode() + b"}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="not a finite number"):
        dataset_record_bytes({"x": value, "y": 1})


def test_keys_are_sorted_by_utf_16_units() -> None:
    """RFC 8785 section 3.2.3."""
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    order = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    text = canonical_json(value).decode()
    assert [text.index(v) for v in order] == sorted(text.index(v) for v in order)


def test_text_is_escaped_as_the_rfc_says() -> None:
    """RFC 8785 section 3.2.2.2."""
    assert (
        canonical_json({"string": '€$\u000f\u000aA\'B"\\\\"/'})
        == '{"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), json_values, max_size=4
    )
)
def test_two_implementations_write_the_same(value: dict[str, object]) -> None:
    data = canonical_json(value)
    assert data == plain.canonical(value).encode()
    assert canonical_json(parse_json(data)) == data


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"a": 1.5}, "text, integers"),
        ({"a": [1, {"b": 0.0}]}, "text, integers"),
        ({"a": b"x"}, "text, integers"),
        ({"a": 2**53}, "2\\^53"),
        ({"a": -(2**53)}, "2\\^53"),
        ({"a": "\ud800"}, "cannot be written"),
        ({"\udfff": 1}, "cannot be written"),
        ({1: "a"}, "cannot be written"),
        ({"a": {1, 2}}, "text, integers"),
    ],
    ids=str,
)
def test_values_that_no_record_holds_are_refused(value: dict[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        canonical_json(value)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(InputError) as caught:
        canonical_json({"a": [0, {"b": 0.5}]})
    assert (caught.value.where, caught.value.actual) == ("$.a[1].b", "float")


def test_integers_up_to_the_limit_are_written() -> None:
    assert (
        canonical_json({"a": [2**53 - 1, -(2**53) + 1]})
        == b'{"a":[9007199254740991,-9007199254740991]}'
    )


# Dataset rows


def test_one_text_column_is_its_text_after_nfc() -> None:
    assert (
        dataset_record_bytes({"text": "e\u0301"})
        == "é".encode()
        == dataset_record_bytes({"other": "é"})
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", '"AP8="'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), '"2026-01-02T03:04:05Z"'),
        (
            datetime.datetime(
                2026, 1, 2, 3, 4, 5, 6, datetime.timezone(datetime.timedelta(hours=2))
            ),
            '"2026-01-02T01:04:05.000006Z"',
        ),
        (np.int64(7), "7"),
        (np.array([1, 2]), "[1,2]"),
        (np.bool_(True), "true"),
        (None, "null"),
        (["a", None], '["a",null]'),
        (2**53 - 1, "9007199254740991"),
        (2**53, '"9007199254740992"'),
        ([-(2**64)], '["-18446744073709551616"]'),
        (np.uint64(2**64 - 1), '"18446744073709551615"'),
        (Decimal("1.10"), '"1.10"'),
        (Decimal("1E+3"), '"1000"'),
        (datetime.time(1, 2, 3, 40), '"01:02:03.000040"'),
    ],
    ids=str,
)
def test_each_type_of_cell_has_one_text(value: object, text: str) -> None:
    assert dataset_record_bytes({"x": value}) == f'{{"x":{text}}}'.encode()


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"text": "\ud800"},
        {"a": "\udfff", "b": 1},
        {"a": Decimal("NaN")},
        {"a": {1, 2}},
        {"a": 1j},
    ],
    ids=str,
)
def test_rows_that_have_no_canonical_form_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(InputError):
        dataset_record_bytes(row)


# Reading


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 100_000,
        b'{"a":' * 1_000_000,
        b'["\\"",' * 70,
    ],
)
def test_deep_nesting_is_refused_before_it_is_parsed(data: bytes) -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH,
        b'["' + b"[" * 1000 + b'"]',
        b'["\\"' + b"{" * 1000 + b'\\\\"]',
        b"[" + b"[]," * 1000 + b"[]]",
    ],
)
def test_what_only_looks_deep_is_read(data: bytes) -> None:
    parse_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"\xff\xfe[\x00]\x00",
        b"\xef\xbb\xbf{}",
        b"",
        b"[1,]",
        b'"\xff"',
        b'{"name": "\\ud800"}',
        b'{"\\uDFFF": 1}',
        b'["\\udc00\\ud800"]',
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_json(data)


def test_whole_pairs_and_what_only_looks_like_half_of_one_are_read() -> None:
    assert parse_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


# Batches


@pytest.mark.parametrize(
    "tensor",
    [np.array([[1.5]]), np.array([["1"]]), np.array([[1j]]), np.array([[None]])],
    ids=lambda t: str(t.dtype),
)
def test_tensors_that_hold_no_integers_have_no_digest(tensor: np.ndarray) -> None:
    with pytest.raises(InputError, match="holds integers"):
        batch_payload(bytes(32), {"input_ids": tensor})


def test_a_batch_payload_binds_presence_and_shape_of_a_tensor() -> None:
    ids = np.arange(6)
    variants = [
        {"input_ids": ids},
        {"labels": ids},
        {"input_ids": ids.reshape(2, 3)},
        {"input_ids": ids.reshape(3, 2)},
        {"input_ids": ids, "attention_mask": ids},
        {},
    ]
    assert len({batch_payload(bytes(32), v) for v in variants}) == len(variants)


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)], ids=len)
def test_a_batch_salt_has_32_bytes(salt: bytes) -> None:
    with pytest.raises(InputError, match="32 bytes"):
        batch_payload(salt, {})
