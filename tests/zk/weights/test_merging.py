"""Merges: the shared vectors, and proofs over what the trainer's merge wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import InputError, RejectedError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.bfloat16 import SMALLEST_FACTOR
from provenance_trainer.model.merge import exact_entry, merge_tensor
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.kinds import RANK_UNIT
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.weights.jobs import StoredMerge, StoredPair, StoredTensor, merge_job
from provenance_zk.weights.merge_tables import scale_units
from tests.support import merge_vectors
from tests.support.zk.proofs import prove

ROWS, COLUMNS, RANK, SCALE = 6, 70, 4, Fraction(3, 2)
NAME = "q_proj.weight"


def number(pattern: int) -> float:
    return float(bfloat16.to_float64(np.array([pattern], dtype=np.uint16))[0])


def test_the_vector_file_is_current() -> None:
    assert json.loads(merge_vectors.PATH.read_text()) == json.loads(
        json.dumps(merge_vectors.all_vectors())
    )


def test_the_trainer_agrees_with_the_vectors() -> None:
    for case in merge_vectors.all_vectors()["cases"]:
        scale = case["scale"] / merge_vectors.ONE
        merged = exact_entry(
            number(case["weight"]),
            [scale * number(x) for x in case["b"]],
            [number(x) for x in case["a"]],
        )
        expected = merged if merge_vectors.in_window(merged, merge_vectors.WEIGHTS) else None
        assert expected == case["merged"], case["name"]


def test_adapters_are_shipped_within_the_window_of_proofs() -> None:
    """The vectors' window is the circuit's: the prover's tests read the same file."""
    assert 2.0 ** merge_vectors.FACTORS[0] == SMALLEST_FACTOR


def test_a_scale_that_no_statement_holds_is_refused() -> None:
    assert scale_units(SCALE) == 3 << 15
    assert scale_units(Fraction((1 << 32) - 1, 1 << 16)) == (1 << 32) - 1
    for scale in (Fraction(1, 3), Fraction(1, 1 << 17), Fraction(-1), Fraction(1 << 16)):
        with pytest.raises(InputError, match="scale"):
            scale_units(scale)


def write(path: Path, **tensors: np.ndarray) -> Path:
    with SafetensorsWriter(
        path, {name: ("BF16", bits.shape) for name, bits in tensors.items()}
    ) as writer:
        for name in sorted(tensors):
            writer.write(name, tensors[name].astype("<u2").tobytes())
    return path


def drawn(random: np.random.Generator, *shape: int) -> np.ndarray:
    return bfloat16.round_float32(random.normal(0, 0.05, shape).astype(np.float32))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StoredMerge:
    folder, random = tmp_path_factory.mktemp("merge"), np.random.default_rng(11)
    weight, b, a = (
        drawn(random, ROWS, COLUMNS),
        drawn(random, ROWS, RANK),
        drawn(random, RANK, COLUMNS),
    )
    merged, _ = merge_tensor(weight, b, a, float(SCALE))
    return StoredMerge(
        StoredTensor(write(folder / "base", **{NAME: weight}), NAME),
        StoredPair(write(folder / "adapter", A=a, B=b), "A", "B"),
        StoredTensor(write(folder / "merged", **{NAME: merged}), NAME),
        SCALE,
    )


@pytest.fixture(scope="module")
def key(prover: ZkProver, key_cache: Path) -> KeyFolder:
    return ensure_keys(prover, key_cache, "merge", 1, 1 + RANK_UNIT * 8)


def test_what_the_trainer_merged_is_proven(
    prover: ZkProver, key: KeyFolder, model: StoredMerge
) -> None:
    groups = [[0], [16]]
    proofs = prove(prover, [merge_job(key, model, group, ()) for group in groups])
    words = key.words_file.read_bytes()
    for group, proof in zip(groups, proofs, strict=True):
        assert proof.kind == "merge"
        assert proof.public[4:] == (scale_units(SCALE), -(-COLUMNS // 32), *group)
        assert is_valid_proof(words, proof, 0)
        for i in range(len(proof.public)):
            public = [value + (j == i) for j, value in enumerate(proof.public)]
            assert not is_valid_proof(words, replace(proof, public=tuple(public)), 0)
    assert proofs[0].public[:4] == proofs[1].public[:4]


def test_false_merges_are_refused(
    prover: ZkProver, key: KeyFolder, model: StoredMerge, tmp_path: Path
) -> None:
    def attempt(changed: StoredMerge, group: tuple[int, ...] = (16,)) -> None:
        prove(prover, [merge_job(key, changed, group, ())])

    for changed in (
        replace(model, merged=model.base),
        replace(model, base=model.merged),
        replace(model, scale=Fraction(0)),
        replace(model, scale=Fraction(1)),
    ):
        with pytest.raises(RejectedError, match="block 16, column"):
            attempt(changed)
    with pytest.raises(RejectedError):
        attempt(replace(model, base=StoredTensor(model.adapter.file, "A")))
    infinite = np.full((ROWS, COLUMNS), 0x7F80, dtype=np.uint16)
    with pytest.raises(InputError, match=r"base q_proj.weight: value \[5, 32\]"):
        attempt(
            replace(
                model, base=StoredTensor(write(tmp_path / "infinite", **{NAME: infinite}), NAME)
            )
        )
    with pytest.raises(InputError, match="index"):
        attempt(model, group=(18,))
