"""Field elements in one form only; Poseidon against published values and the prover's vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError
from provenance.ids import parse_word, to_word
from provenance_zk import poseidon as poseidon_module
from provenance_zk.field import Q, R, from_bytes, parse_element, to_bytes
from provenance_zk.poseidon import poseidon

# Published by circomlib's own tests (test/poseidoncircuit.js) and those of go-iden3-crypto
# (poseidon_test.go).
PUBLISHED = [
    ([1], 18586133768512220936620570745912940619677854269274689475585506675881198879027),
    ([1, 2], 7853200120776062878684798364095072458815029376092732009249414926327459813530),
    ([1, 2, 3], 6542985608222806190361240322586112750744169038454362455181422643027100751666),
    ([1, 2, 3, 4], 18821383157269793795438455681495246036402687001665670618754263018637548127333),
    ([1, 2, 0, 0, 0], 1018317224307729531995786483840663576608797660851238720571059489595066344487),
    (
        [1, 2, 3, 4, 5, 6],
        20400040500897583745843009878988256314335038853985262692600694741116813247201,
    ),
    (
        [*range(1, 10)] + [0] * 5,
        5540388656744764564518487011617040650780060800286365721923524861648744699539,
    ),
    ([*range(1, 15)], 8354478399926161176778659061636406690034081872658507739535256090879947077494),
    (
        [*range(1, 10)] + [0] * 7,
        11882816200654282475720830292386643970958445617880627439994635298904836126497,
    ),
    ([*range(1, 17)], 9989051620750914585850546081941653841776809718687451684622678807385399211877),
]


@given(st.integers(0, R - 1))
def test_elements_round_trip(value: int) -> None:
    assert from_bytes(to_bytes(value)) == parse_element(to_word(value)) == value


@given(st.integers(0, R - 1), st.integers(1, 5))
def test_an_alias_of_an_element_is_refused(value: int, k: int) -> None:
    alias = value + k * R
    with pytest.raises(InputError):
        to_bytes(alias)
    if alias < 2**256:
        assert parse_word(to_word(alias)) == alias  # a word, but no element
        with pytest.raises(InputError):
            parse_element(to_word(alias))
        with pytest.raises(InputError):
            from_bytes(alias.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "00" * 32,
        "0x" + "0" * 63,
        "0x" + "0" * 65,
        "0x" + "A" * 64,
        "0X" + "0" * 64,
        " 0x" + "0" * 64,
        "0x" + "0" * 64 + "\n",
        7,
        None,
        "0x" + "٣" * 64,
    ],
)
def test_only_canonical_words_are_read(text: object) -> None:
    with pytest.raises(InputError):
        parse_word(text)


@pytest.mark.parametrize(
    "data", [b"", bytes(31), bytes(33), R.to_bytes(32, "big"), Q.to_bytes(32, "big"), b"\xff" * 32]
)
def test_only_canonical_bytes_are_read(data: bytes) -> None:
    with pytest.raises(InputError):
        from_bytes(data)


def test_a_negative_is_no_element() -> None:
    with pytest.raises(InputError):
        to_bytes(-1)


@pytest.mark.parametrize(("inputs", "expected"), PUBLISHED)
def test_hashes_are_the_published_ones(inputs: list[int], expected: int) -> None:
    assert poseidon(inputs) == expected


def test_hashes_are_those_of_the_provers_vectors(vectors: Path) -> None:
    cases = json.loads((vectors / "poseidon.json").read_bytes())["cases"]
    assert {len(case["inputs"]) for case in cases} == set(range(1, 17))
    for case in cases:
        assert poseidon([parse_element(x) for x in case["inputs"]]) == parse_element(case["hash"])


@pytest.mark.parametrize("inputs", [[], [0] * 17, [R], [-1], [2**256]])
def test_inputs_outside_the_field_are_refused(inputs: list[int]) -> None:
    with pytest.raises(InputError):
        poseidon(inputs)


def test_one_more_zero_input_gives_another_hash() -> None:
    assert len({poseidon([1] + [0] * n) for n in range(16)}) == 16


@pytest.mark.parametrize("width", [2, 4, 17])
def test_the_matrix_is_invertible_and_constants_are_distinct(width: int) -> None:
    constants, matrix = poseidon_module._parameters(width)
    flat = [c for row in constants for c in row]
    assert len(set(flat)) == len(flat)
    rows = [row[:] for row in matrix]
    for column in range(width):
        pivot = next(i for i in range(column, width) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = pow(rows[column][column], -1, R)
        for i in range(column + 1, width):
            factor = rows[i][column] * scale % R
            rows[i] = [(x - factor * y) % R for x, y in zip(rows[i], rows[column], strict=True)]
    assert all(rows[i][i] for i in range(width))
