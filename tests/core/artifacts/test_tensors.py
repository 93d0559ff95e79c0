"""Tables of tensors: what a root binds, and what is refused when a table comes from evidence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from provenance.artifacts.tensors import DType, Layout, Tensor, TensorTable
from provenance.encoding import FIELD_ORDER
from provenance.errors import InputError, VerificationError
from provenance.merkle import verify_inclusion

W = Tensor("a.weight", DType.BF16, Layout.ROWS, 32, 96, 1, 96, 7)


def table() -> TensorTable:
    tensors = [replace(W, name=f"{name}.weight", root=i) for i, name in enumerate("cabd")]
    return TensorTable.of([replace(t, rows=16, blocks=48) for t in tensors])


def test_entry_is_the_documented_hash() -> None:
    tensor = replace(W, rows=16, blocks=48)
    payload = (
        hashlib.sha256(b"a.weight").digest()
        + bytes([0, 0])
        + (16).to_bytes(8, "big")
        + (96).to_bytes(8, "big")
    )
    payload += bytes([1]) + (48).to_bytes(8, "big") + (7).to_bytes(32, "big")
    assert bytes(tensor.entry) == hashlib.sha256(b"provenance/v1/tensor\0" + payload).digest()


def test_tensors_are_ordered_by_name_and_json_round_trips() -> None:
    made = table()
    assert [t.name[0] for t in made.tensors] == ["a", "b", "c", "d"]
    assert TensorTable.from_json(made.to_json()) == made
    assert made.blocks == 4 * 48


def test_a_root_binds_every_field_of_a_tensor() -> None:
    made = table()
    changes: list[dict[str, Any]] = [
        {"name": "a.weighs"},
        {"dtype": DType.F16},
        {"layout": Layout.LORA_B},
        {"rows": 48, "columns": 32},
        {"depth": 2},
        {"rows": 15, "blocks": 45},
        {"root": 99},
    ]
    for change in changes:
        other = TensorTable((replace(made.tensors[0], **change), *made.tensors[1:]))
        assert other.root != made.root, change


def test_a_path_shows_one_entry_only() -> None:
    made = table()
    for i, tensor in enumerate(made.tensors):
        verify_inclusion(bytes(tensor.entry), i, made.size, made.path(i), made.root)
        with pytest.raises(VerificationError, match=r"another root|wrong length"):
            verify_inclusion(
                bytes(tensor.entry), (i + 1) % made.size, made.size, made.path(i), made.root
            )


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"rows": 0},
        {"columns": 0},
        {"rows": 2**32},
        {"depth": 0},
        {"depth": 8},
        {"blocks": 0},
        {"blocks": 113},
        {"blocks": 47},
        {"root": FIELD_ORDER},
        {"root": -1},
    ],
)
def test_impossible_tensors_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        replace(replace(W, rows=16, blocks=48), **change)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "provenance-tensors/2"),
        ("root", "0x" + "00" * 32),
        ("tensors", []),
        ("tensors", "x"),
        ("extra", 1),
        ("tensors.0.rows", True),
        ("tensors.0.rows", "16"),
        ("tensors.0.name", 3),
        ("tensors.0.dtype", "F64"),
        ("tensors.0.dtype", ["BF16"]),
        ("tensors.0.root", ["0x7"]),
        ("tensors.0.layout", "rows "),
        ("tensors.0.root", "0x7"),
        ("tensors.0.root", "0x" + "0" * 63 + "A"),
        ("tensors.0.extra", 1),
        ("tensors.0.name", "b.weight"),
        ("tensors.0.name", "z"),
    ],
)
def test_altered_tables_are_refused(path: str, value: Any) -> None:
    document = table().to_json()
    target: Any = document
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if part.isdigit() else target[part]
    target[last] = value
    with pytest.raises(InputError):
        TensorTable.from_json(document)


@pytest.mark.parametrize("value", [None, 5, [], [[]], ["format", "root", "tensors"], "table"])
def test_what_is_no_table_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="not a table of tensors"):
        TensorTable.from_json(value)


def test_repeated_names_are_refused() -> None:
    with pytest.raises(InputError):
        TensorTable.of([replace(W, rows=16, blocks=48)] * 2)
