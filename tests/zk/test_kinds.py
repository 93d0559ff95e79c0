"""The table of statements: frozen numbers, names and shapes; every other kind is an error.

`tests/vectors/zk/kinds.json` was written before the languages shared one table: for each kind,
which of the listed slots and depths a key may have, and the names of its public inputs. Go reads it
too.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import InputError
from provenance.statements import (
    KINDS,
    STAGES,
    kind_named,
    kind_numbered,
    kinds_of,
    quantization_kind,
)
from provenance_zk.proof_file import ProofFile

VECTOR = json.loads(
    (Path(__file__).resolve().parents[1] / "vectors" / "zk" / "kinds.json").read_text(
        encoding="utf-8"
    )
)


def test_numbers_and_names_are_frozen() -> None:
    assert [(k.number, k.name, list(k.commitments)) for k in KINDS.values()] == [
        (k["number"], k["name"], k["commitments"]) for k in VECTOR["kinds"]
    ]


@pytest.mark.parametrize("kind", VECTOR["kinds"], ids=lambda kind: str(kind["name"]))
def test_shapes_and_public_inputs_are_frozen(kind: dict[str, Any]) -> None:
    found = kind_named(kind["name"])
    shapes = product(VECTOR["slots"], VECTOR["depths"])
    assert [[slots, depth] for slots, depth in shapes if found.fits(slots, depth)] == kind["fits"]
    for slots, names in kind["public"].items():
        assert list(found.public(int(slots))) == names
        assert found.public_count(int(slots)) == len(names)
        assert list(found.public_names(len(names))) == names


def test_each_contract_pins_its_kinds() -> None:
    assert kinds_of("ProofLedger") == ("epoch", "tree")
    assert kinds_of("DatasetAudits") == ("sorted", "member", "absent")
    assert kinds_of("ModelLedger") == ("q8_0", "int8", "merge")


def test_stages_and_formats_of_weight_statements_are_frozen() -> None:
    assert STAGES == {"merge": 1, "quantize": 2}
    assert {k.name: k.stage for k in KINDS.values() if k.stage} == {
        "q8_0": "quantize",
        "int8": "quantize",
        "merge": "merge",
    }
    assert {k.quantization: k.name for k in KINDS.values() if k.quantization} == {
        "Q8_0": "q8_0",
        "int8": "int8",
    }
    assert {k.name: (k.block_bytes, k.codes_at) for k in KINDS.values() if k.block_bytes} == {
        "q8_0": (34, 2),
        "int8": (36, 4),
    }


def test_only_row_wise_int8_names_what_its_proofs_do_not_show() -> None:
    assert {k.name: k.not_shown for k in KINDS.values() if k.not_shown} == {
        "int8": "that each row's stored maximum is that of the whole row"
    }


@pytest.mark.parametrize("number", [0, len(KINDS) + 1, -1, 255, 1 << 64])
def test_an_unknown_number_is_an_error(number: int) -> None:
    with pytest.raises(InputError) as unknown:
        kind_numbered(number)
    assert unknown.value.actual == str(number)


@pytest.mark.parametrize("name", ["", "nothing", "Epoch", "q4_0"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(InputError):
        kind_named(name)


@pytest.mark.parametrize("quantization", ["", "Q4_0", "q8_0", "INT8"])
def test_a_quantization_without_statement_is_an_error(quantization: str) -> None:
    with pytest.raises(InputError):
        quantization_kind(quantization)


@pytest.mark.parametrize(
    ("name", "count"),
    [("epoch", 4), ("merge", 6), ("merge", 17), ("q8_0", 0), ("int8", 87), ("int8", 1 << 40)],
)
def test_no_key_has_so_many_public_inputs(name: str, count: int) -> None:
    with pytest.raises(InputError):
        kind_named(name).public_names(count)


@pytest.mark.parametrize("kind", ["toy", "", 9, None])
def test_a_proof_of_an_unknown_kind_is_refused(kind: object) -> None:
    fields = dict.fromkeys(("vkId", "a", "b", "c", "commitments", "poks", "public"))
    with pytest.raises(InputError, match="kind"):
        ProofFile.from_json({"format": "provenance-proof/1", "kind": kind} | fields)
