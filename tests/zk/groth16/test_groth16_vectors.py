"""Every good and mutated proof of the shared vectors, by the independent verifier.

A seeded sample runs always; --long runs all of them.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from provenance.errors import InputError
from provenance.statements import KINDS
from provenance_zk.groth16.verifier import is_known, is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import vk_id
from tests.support.places import ZK_VECTORS

SAMPLE = {
    "groth16_epoch256.json": 16,
    "groth16_ceremony256.json": 4,
    "groth16_tree256.json": 7,
    **{f"groth16_{kind}.json": 3 for kind in KINDS if kind not in ("epoch", "tree")},
}
FILES = tuple(SAMPLE)
ALWAYS = (  # the attacks that no sample may miss
    "epoch chunk 0",
    "epoch: B outside the subgroup",
    "epoch: D and P + X and - X",
    "epoch: (-A, -B, C)",
    "epoch: D and U: poks shifted so that gnark's fold agrees",
    "forgery by D, unchecked",
    "forgery by D, checked",
    "link chunk 0",
    "link: P of the epoch",
    "link under the epoch's mask",
    "tree chunk 1, the last",
)


def load(name: str) -> dict[str, Any]:
    return json.loads((ZK_VECTORS / name).read_bytes())  # type: ignore[no-any-return]


def chosen(name: str) -> list[Any]:
    cases = load(name)["cases"]
    rest = [case["name"] for case in cases if case["name"] not in ALWAYS]
    soon = {*ALWAYS, *random.Random(name).sample(rest, SAMPLE[name])}
    return [
        pytest.param(
            name,
            case,
            id=f"{name[8:-5]}: {case['name']}",
            marks=() if case["name"] in soon else pytest.mark.long,
        )
        for case in cases
    ]


def verdict(words: bytes, case: dict[str, Any]) -> bool:
    """Malformed counts as not valid."""
    try:
        return is_valid_proof(words, ProofFile.from_json(case["proof"]), case["mask"])
    except InputError:
        return False


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "case"), [param for name in FILES for param in chosen(name)])
def test_a_proof_has_the_verdict_of_its_vector(name: str, case: dict[str, Any]) -> None:
    words = bytes.fromhex(load(name)["words"][2:])
    assert verdict(words, case) is case["valid"], case["why"]


@pytest.mark.parametrize("name", FILES)
def test_the_files_cover_both_verdicts(name: str) -> None:
    file = load(name)
    assert f"0x{vk_id(bytes.fromhex(file['words'][2:])).hex()}" == file["vkId"]
    assert {case["valid"] for case in file["cases"]} == {True, False}
    assert len({case["name"] for case in file["cases"]}) == len(file["cases"]) > 15
    if name in FILES[:2]:
        assert {case["name"] for case in file["cases"]} >= set(ALWAYS[:-1])


def test_a_malformed_proof_of_knowledge_is_refused_even_outside_the_mask() -> None:
    """A contract does not read it there; this verifier refuses the file as damaged."""
    file = load(FILES[0])
    proof = file["cases"][0]["proof"]
    one, three = (f"0x{number:064x}" for number in (1, 3))
    damaged = ProofFile.from_json(proof | {"poks": [[one, three], *proof["poks"][1:]]})
    with pytest.raises(InputError):
        is_valid_proof(bytes.fromhex(file["words"][2:]), damaged, 0b110)


def test_knowledge_of_one_commitment_is_checked_alone() -> None:
    file = load(FILES[0])
    words = bytes.fromhex(file["words"][2:])
    proof = ProofFile.from_json(file["cases"][0]["proof"])
    assert is_known(words, 0, proof.commitments[0], proof.poks[0])
    assert not is_known(words, 1, proof.commitments[0], proof.poks[0])
    assert not is_known(words, 0, proof.commitments[0], proof.poks[1])
    assert not is_known(words, 0, (0, 0), (0, 0))
    with pytest.raises(InputError):
        is_known(words, 3, proof.commitments[0], proof.poks[0])
