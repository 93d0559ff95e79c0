"""Bases and texts of proofs that both engines must refuse (tests/vectors/zk/bad_*.json).

Keys of the shared table are in `test_verifier.py`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from provenance.errors import InputError, VerificationError
from provenance_zk.checker import ProverEngine, SlowEngine
from provenance_zk.checker.engine import Engine
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from tests.support.places import ZK_VECTORS

BASES = json.loads((ZK_VECTORS / "bad_bases.json").read_bytes())["cases"]
TEXTS = json.loads((ZK_VECTORS / "bad_proofs.json").read_bytes())
ORDER = np.array([2, 0, 1])


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


def positions(engine: Engine, case: dict[str, Any]) -> list[bytes]:
    words, bases = (bytes.fromhex(case[field][2:]) for field in ("words", "bases"))
    return engine.positions(words, bases, ORDER)


@pytest.mark.parametrize("case", BASES, ids=name)
def test_both_engines_refuse_bases_that_are_not_sound(
    prover: ZkProver, case: dict[str, Any]
) -> None:
    engines = (SlowEngine(), ProverEngine(prover))
    if case["sound"]:
        slow, fast = (positions(engine, case) for engine in engines)
        assert slow == fast
        assert len(slow) == 1
        return
    for engine in engines:
        with pytest.raises(InputError):
            positions(engine, case)


def test_both_engines_refuse_bases_of_another_key(prover: ZkProver) -> None:
    sound = next(case for case in BASES if case["sound"])
    other = sound | {"bases": sound["bases"][:-1] + "0"}
    assert other != sound
    for engine in (SlowEngine(), ProverEngine(prover)):
        with pytest.raises(VerificationError):
            positions(engine, other)


@pytest.mark.parametrize("case", TEXTS["cases"], ids=name)
def test_a_text_is_a_proof_only_in_the_forms_of_the_format(case: dict[str, Any]) -> None:
    text = base64.b64decode(case["text"])
    if case["valid"]:
        proof = ProofFile.parse(text)
        assert is_valid_proof(bytes.fromhex(TEXTS["words"][2:]), proof, 0)
        return
    with pytest.raises(InputError):
        ProofFile.parse(text)
