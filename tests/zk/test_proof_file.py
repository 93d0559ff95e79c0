"""Proof files are strict: one form is read, every other one is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError
from provenance.ids import KeyId, to_word
from provenance_zk.proof_file import (
    ProofFile,
    point_bytes,
    point_from_json,
    point_ints,
    point_json,
)

VK_ID = KeyId(bytes(range(32)))


def proof() -> ProofFile:
    return ProofFile(
        "epoch",
        VK_ID,
        (1, 2),
        (3, 4, 5, 6),
        (7, 8),
        ((9, 10), (0, 0), (11, 12)),
        ((1, 1), (2, 2), (3, 3)),
        (1, 2, 3, 4, 2**256 - 1),
    )


def test_a_proof_file_round_trips() -> None:
    assert ProofFile.parse(proof().to_bytes()) == proof()
    assert proof().public_value("start") == 3
    with pytest.raises(InputError):
        proof().public_value("root")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "provenance-proof/2"},
        {"kind": "merge"},
        {"kind": ["epoch"]},
        {"kind": "tree"},
        {"vkId": "0x1"},
        {"a": ["0x" + "0" * 64]},
        {"a": "0x"},
        {"b": [to_word(1)] * 3},
        {"c": [1, 2]},
        {"commitments": []},
        {"commitments": [[to_word(1)] * 2] * 4},
        {"poks": [[to_word(1)]] * 3},
        {"public": [to_word(1)] * 4},
        {"public": [to_word(1)] * 6},
        {"public": {"0": to_word(1)}},
        {"public": ["0x" + "A" * 64] * 5},
        {"public": ["0x0" + "0" * 64] * 5},
        {"extra": 1},
        {"poks": None},
    ],
)
def test_a_proof_file_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ProofFile.from_json({**proof().to_json(), **change})


@pytest.mark.parametrize("name", ProofFile.parse(proof().to_bytes()).to_json())
def test_a_proof_file_lacking_a_field_is_refused(name: str) -> None:
    value = proof().to_json()
    del value[name]
    with pytest.raises(InputError):
        ProofFile.from_json(value)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"[" * 5000, b" " * 70_000])
def test_a_proof_file_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(InputError):
        ProofFile.parse(text)


def test_a_deeply_nested_text_does_not_end_the_process() -> None:
    """py_ecc raises the recursion limit to 100,000: json alone would overflow the stack."""
    script = (
        "import py_ecc\nfrom provenance.errors import InputError\n"
        "from provenance_zk.proof_file import ProofFile\n"
        "try: ProofFile.parse(b'[' * 65_000)\nexcept InputError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_a_repeated_field_is_refused() -> None:
    text = proof().to_bytes().replace(b'"kind"', b'"kind":"tree","kind"', 1)
    with pytest.raises(InputError, match="twice"):
        ProofFile.parse(text)


@given(st.tuples(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1)))
def test_points_round_trip(point: tuple[int, int]) -> None:
    data = point_bytes(point)
    assert point_ints(data) == point
    assert point_from_json(point_json(data)) == data
