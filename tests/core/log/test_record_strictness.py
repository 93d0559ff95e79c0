"""One record, one digest: whatever is not exactly a record in canonical form is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.digest import tagged
from provenance.encoding import canonical_json
from provenance.errors import InputError
from provenance.log import record as record_module
from provenance.log.forms import fields_of
from provenance.log.record import Record
from provenance.log.records import BODIES, Batch, Resume, Seed
from tests.support import plain

SCHEMAS = {body.TYPE: {field.name: str(field) for field in fields_of(body)} for body in BODIES}
WRONG: dict[str, list[Any]] = {
    "int": [-1, True, "1", None, 2**53, [], 1.0],
    "bool": [0, "true", None],
    "str": [1, None, [], {}],
    "object": [[], "x", None, 1],
    "digest": [
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "a" * 64,
        1,
        None,
        "sha256:" + "a" * 64 + "\n",
    ],
    "word": ["0x" + "G" * 64, "0x" + "a" * 63, "0X" + "a" * 64, None, "0x" + "a" * 64 + "\n"],
    "address": ["0x" + "a" * 41, "0x" + "A" * 40, 5],
    "decimal": ["", "1.", ".5", "0x1", "1e", 1, None, "1 ", "+1", "inf "],
}


def raw(kind: str, fields: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"type": kind, "v": plain.VERSIONS.get(kind, 1), "time": plain.TIME, **fields, **more},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def cases() -> list[Any]:
    result = []
    for kind, schema in SCHEMAS.items():
        for name, form in schema.items():
            base = form.rstrip("?").strip("[]")
            for value in WRONG[base]:
                wrong = [value] if form.startswith("[") else value
                result.append(pytest.param(kind, name, wrong, id=f"{kind}.{name}={value!r:.20}"))
    return result


@pytest.mark.parametrize(("kind", "name", "value"), cases())
def test_an_ill_typed_field_is_refused(kind: str, name: str, value: Any) -> None:
    fields = dict(plain.RECORDS[kind]) | {name: value}
    with pytest.raises(InputError):
        Record.parse(raw(kind, fields))
    if value is not None:  # for a writer None means: leave it out
        with pytest.raises(InputError):
            Record.make(kind, plain.TIME, **fields)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_missing_field_is_refused_unless_it_is_optional(kind: str) -> None:
    for name, form in SCHEMAS[kind].items():
        fields = {k: v for k, v in plain.RECORDS[kind].items() if k != name}
        if form.endswith("?"):
            assert Record.parse(canonical_json(json.loads(raw(kind, fields)))).fields == fields
            continue
        with pytest.raises(InputError, match="lacks a field") as caught:
            Record.parse(raw(kind, fields))
        assert caught.value.where == f"{kind}.{name}"


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_an_unknown_field_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="unknown field"):
        Record.parse(raw(kind, plain.RECORDS[kind], zzz=1))


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_type_round_trips(kind: str) -> None:
    record = Record.make(
        kind,
        plain.TIME,
        **{("from_" if k == "from" else k): v for k, v in plain.RECORDS[kind].items()},
    )
    assert Record.parse(record.to_bytes()) == record
    body = next(b for b in BODIES if (kind, record.version) == (b.TYPE, b.VERSION))
    assert Record.of(record.body(body), record.time) == record


def test_a_body_has_the_types_of_its_fields() -> None:
    batch = Record.make("batch", plain.TIME, **plain.RECORDS["batch"]).body(Batch)
    assert str(batch.leaves[0]) == plain.RECORDS["batch"]["leaves"][0]
    assert str(batch.tensors) == plain.RECORDS["batch"]["tensors"]
    assert Record.of(Resume(from_=3, abandons=(4, 5), step=1)).fields["from"] == 3


def test_a_changed_copy_of_a_record_has_a_digest_of_its_own() -> None:
    """What was hashed when the record was read is not taken over."""
    read = Record.parse(Record.make("seed", plain.TIME, **plain.RECORDS["seed"]).to_bytes())
    changed = replace(read, fields={**read.fields, "draw_block": 13})
    assert read.digest == tagged("entry", read.to_bytes())
    assert changed.digest == tagged("entry", changed.to_bytes()) != read.digest


def test_a_body_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="another type") as caught:
        Record.parse(GOOD).body(Batch)
    assert (caught.value.expected, caught.value.actual) == ("batch 1", "tombstone 1")


def test_a_value_outside_its_form_is_not_written() -> None:
    with pytest.raises(InputError, match="wrong form"):
        Record.of(Resume(from_=-1, abandons=(), step=0))


@dataclass(frozen=True)
class LaterSeed:
    """A second version of one type, as a later release may add it."""

    TYPE: ClassVar[str] = "seed"
    VERSION: ClassVar[int] = 2

    beacon: str


def test_a_new_version_of_one_type_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = Record.make("seed", plain.TIME, **plain.RECORDS["seed"])
    later = seed.to_bytes().replace(b'"v":1', b'"v":2')
    with pytest.raises(InputError, match="another version") as caught:
        Record.parse(later)
    assert (caught.value.where, caught.value.expected) == ("seed", "1")
    monkeypatch.setitem(record_module._FIELDS["seed"], 2, fields_of(LaterSeed))
    new = Record.of(LaterSeed("drand"), plain.TIME)
    assert new.to_json()["v"] == 2
    assert Record.parse(new.to_bytes()).body(LaterSeed) == LaterSeed("drand")
    assert Record.parse(seed.to_bytes()) == seed  # the version before keeps its bytes
    assert Record.make("seed", plain.TIME, beacon="drand") == new
    for wrong in (
        later,
        new.to_bytes().replace(b'"v":2', b'"v":1'),
        GOOD.replace(b'"v":1', b'"v":2'),
    ):
        with pytest.raises(InputError):
            Record.parse(wrong)
    with pytest.raises(InputError, match="another type"):
        new.body(Seed)


GOOD = plain.canonical(
    {"type": "tombstone", "v": 1, "time": plain.TIME, **plain.RECORDS["tombstone"]}
).encode()


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b'"v":1', b'"v": 1'),
        GOOD.replace(b'"v":1', b'"v":1.0'),
        GOOD.replace(b'"v":1', b'"v":1e0'),
        GOOD.replace(b'"v":1', b'"v":1,"v":1'),
        GOOD.replace(b"tombstone", b"tombst\\u006fne"),
        GOOD.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + GOOD,
        b'{"v":1,' + GOOD[1:].replace(b',"v":1', b""),
    ],
    ids=[
        "newline after",
        "space before",
        "space inside",
        "version a float",
        "version with exponent",
        "field twice",
        "escaped letter",
        "UTF-16",
        "byte order mark",
        "other order",
    ],
)
def test_the_same_record_in_other_bytes_is_refused(data: bytes) -> None:
    assert Record.parse(GOOD).to_bytes() == GOOD
    with pytest.raises(InputError):
        Record.parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        GOOD[:-1],
        b"\x00",
        b"\xff",
        GOOD.replace(b'"v":1', b'"v":2'),
        GOOD.replace(b'"v":1', b'"v":true'),
        GOOD.replace(b'"v":1', b'"v":"1"'),
        GOOD.replace(b"tombstone", b"tombstones"),
        GOOD.replace(plain.TIME.encode(), b"2026-01-02T03:04:05+00:00"),
        GOOD.replace(plain.TIME.encode(), b"2026-01-02 03:04:05Z"),
        GOOD.replace(b'"v":1', b'"v":NaN'),
        GOOD.replace(b'"v":1', b'"v":' + b"1" * 5000),
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
    ids=[
        "empty",
        "no fields",
        "a list",
        "null",
        "a number",
        "cut",
        "a zero byte",
        "no UTF-8",
        "version 2",
        "version true",
        "version a text",
        "unknown type",
        "time with offset",
        "time without T",
        "version NaN",
        "version of 5000 digits",
        "nested lists",
        "nested objects",
    ],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        Record.parse(data)


@pytest.mark.parametrize("depth", [60, 70, 5000])
def test_nesting_inside_an_object_field_is_bounded(depth: int) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    data = (
        b'{"body":'
        + body
        + b',"subject":"'
        + plain.D["a"].encode()
        + b'","time":"'
        + plain.TIME.encode()
        + b'","type":"adopt","v":1}'
    )
    if depth < 64:
        assert Record.parse(data).to_bytes() == data
        return
    with pytest.raises(InputError, match="not JSON"):
        Record.parse(data)


def test_a_float_deep_inside_an_object_is_refused() -> None:
    with pytest.raises(InputError, match="text, integers"):
        Record.parse(raw("adopt", {"subject": plain.D["a"], "body": {"x": [{"y": 1.5}]}}))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_flipped_bit_gives_another_record_or_none(index: int, bit: int) -> None:
    data = GOOD[:index] + bytes([GOOD[index] ^ 1 << bit]) + GOOD[index + 1 :]
    try:
        record = Record.parse(data)
    except InputError:
        return
    assert record.digest != Record.parse(GOOD).digest


def test_a_release_entry_binds_run_model_manifest_and_record() -> None:
    fields = plain.RECORDS["release"]
    entries = {
        Record.make("release", plain.TIME, **(fields | change)).entry
        for change in (
            {},
            {"run_id": plain.W["b"]},
            {"model": plain.D["c"]},
            {"manifest": plain.D["c"]},
            {"name": "other"},
        )
    }
    assert len(entries) == 5
