"""Keys, bases and texts of proofs that both engines must refuse (tests/vectors/zk/bad_*.json)."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from provenance.errors import InputError, VerificationError
from provenance_zk.checker import ProverEngine, SlowEngine
from provenance_zk.checker.engine import Engine
from provenance_zk.groth16.key import parse_key, parse_outline
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from tests.support.places import ZK_VECTORS

BASES = json.loads((ZK_VECTORS / "bad_bases.json").read_bytes())["cases"]
KEYS = json.loads((ZK_VECTORS / "bad_keys.json").read_bytes())["cases"]
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


@pytest.mark.parametrize("case", KEYS, ids=name)
def test_both_engines_refuse_keys_that_are_not_sound(
    prover: ZkProver, case: dict[str, Any]
) -> None:
    """Checks of evidence read a key's outline only, and leave its soundness to the engine."""
    words = bytes.fromhex(case["words"][2:])
    text = next(text for text in TEXTS["cases"] if text["valid"])
    proof = ProofFile.parse(base64.b64decode(text["text"]))
    for engine in (SlowEngine(), ProverEngine(prover)):
        if case["sound"] and isinstance(engine, ProverEngine):
            assert engine.verify(words, [proof], 0) == [False]  # a proof of another key
        else:
            with pytest.raises(InputError):
                engine.verify(words, [proof], 0)


@pytest.mark.parametrize("case", KEYS, ids=name)
def test_the_outline_of_a_sound_key_is_that_of_the_key(case: dict[str, Any]) -> None:
    words = bytes.fromhex(case["words"][2:])
    if not case["sound"]:
        return
    key, outline = parse_key(words), parse_outline(words)
    for field in ("vk_id", "kind", "slots", "depth", "identity", "total"):
        assert getattr(outline, field) == getattr(key, field)
    for damaged in (words[:-1], words[:-32], words + bytes(32), words[:-64] + bytes(64)):
        with pytest.raises(InputError):
            parse_outline(damaged)


@pytest.mark.parametrize("case", TEXTS["cases"], ids=name)
def test_a_text_is_a_proof_only_in_the_forms_of_the_format(case: dict[str, Any]) -> None:
    text = base64.b64decode(case["text"])
    if case["valid"]:
        proof = ProofFile.parse(text)
        assert is_valid_proof(bytes.fromhex(TEXTS["words"][2:]), proof, 0)
        return
    with pytest.raises(InputError):
        ProofFile.parse(text)
