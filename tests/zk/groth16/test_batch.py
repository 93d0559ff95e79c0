"""Batches by the independent verifier: weights and verdicts are those of the shared vectors."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from provenance.errors import InputError
from provenance_zk.field import R
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import vk_id
from tests.support.places import ZK_VECTORS
from tests.support.zk.batch import MAX_PROOFS, batch_seed, batch_weights, is_valid_batch


def load(name: str) -> Any:
    return json.loads((ZK_VECTORS / name).read_bytes())


CASES = load("batch.json")["cases"]


def proofs_of(case: dict[str, Any]) -> tuple[bytes, list[ProofFile]]:
    file = load(case["file"])
    found = {c["name"]: c["proof"] for c in file["cases"]}
    return bytes.fromhex(file["words"][2:]), [
        ProofFile.from_json(found[name]) for name in case["proofs"]
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_weights_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    words, proofs = proofs_of(case)
    seed = batch_seed(vk_id(words), proofs)
    assert f"0x{seed.hex()}" == case["seed"]
    weights = batch_weights(seed, len(proofs), len(proofs[0].commitments))
    assert [[f"0x{weight:032x}" for weight in row] for row in weights] == case["weights"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_verdicts_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    words, proofs = proofs_of(case)
    assert is_valid_batch(words, proofs, case["mask"]) is case["valid"]


@pytest.mark.timeout(180)
def test_errors_that_cancel_without_weights_are_refused(toy: Any, points: Any) -> None:
    """One proof has C + X, the other C - X. Neither verifies, so the batch must not."""
    g1, _ = points
    public, commitments = (1, 2, 3, 4, 5), (6, 7, 8)
    honest = [toy.prove(public, commitments, a=a) for a in (31, 41)]
    x = toy.ic[0] + sum(p * i for p, i in zip(public, toy.ic[1:], strict=True)) + sum(commitments)
    c = [(a * 37 - toy.alpha * toy.beta - x * toy.gamma) * pow(toy.delta, -1, R) for a in (31, 41)]
    shifted = [
        dataclasses.replace(honest[0], c=g1(c[0] + 99)),
        dataclasses.replace(honest[1], c=g1(c[1] - 99)),
    ]
    assert not is_valid_proof(toy.words, shifted[0], 0)
    assert not is_valid_batch(toy.words, shifted, 0)


def test_malformed_batches_and_missing_knowledge_are_refused(toy: Any) -> None:
    proof = toy.prove((1, 2, 3, 4, 5), (6, 7, 8))
    for batch in ([], [proof] * (MAX_PROOFS + 1)):
        with pytest.raises(InputError, match="not a batch"):
            is_valid_batch(toy.words, batch, 0)
    with pytest.raises(InputError, match="not a field element"):
        is_valid_batch(
            toy.words, [proof, dataclasses.replace(proof, public=(1, 2, 3, 4, 5 + R))], 0
        )
    with pytest.raises(InputError, match="mask"):
        is_valid_batch(toy.words, [proof], 8)
    with pytest.raises(InputError, match="another key"):
        is_valid_batch(toy.words, [proof, dataclasses.replace(proof, vk_id=bytes(32))], 0)
    unknown = dataclasses.replace(toy.prove((1, 2, 3, 4, 5), (6, 0, 8)), poks=((0, 0),) * 3)
    assert not is_valid_batch(toy.words, [proof, unknown], 0b010)  # infinity shows no knowledge
