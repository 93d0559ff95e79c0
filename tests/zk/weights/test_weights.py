"""Commitments to weights against a slow second tree, and proofs of quantizations that gguf-py
made.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from provenance.errors import InputError, RejectedError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.poseidon import poseidon
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import ensure_keys
from provenance_zk.weights.commit import TensorWanted, commit_weights
from provenance_zk.weights.jobs import QuantizedBlocks, StoredTensor, quantize_job
from tests.support import q8_0_vectors
from tests.support.zk.proofs import prove

ROWS, COLUMNS = 3, 70
WIDTHS = {"BF16": "<u2", "F16": "<u2", "F32": "<u4"}


def write(path: Path, dtype: str, bits: np.ndarray) -> Path:
    with SafetensorsWriter(path, {"w": (dtype, bits.shape)}) as writer:
        writer.write("w", bits.astype(WIDTHS[dtype]).tobytes())
    return path


def packed(width: int, values: np.ndarray) -> int:
    return sum(int(value) << width * i for i, value in enumerate(values))


def page(blocks: list[np.ndarray], width: int) -> int:
    """Hash of the page of these blocks, from the format's table."""
    elements = [0] * 16
    if width == 16:
        for j, block in enumerate(blocks):
            elements[2 * j], elements[2 * j + 1] = packed(16, block[:15]), packed(16, block[15:30])
        elements[14] = packed(16, np.concatenate([block[30:] for block in blocks]))
    else:
        for j, block in enumerate(blocks):
            elements[4 * j : 4 * j + 4] = [packed(32, block[7 * q : 7 * q + 7]) for q in range(4)]
        rest = np.concatenate([block[28:] for block in blocks])
        elements[12], elements[13] = packed(32, rest[:7]), packed(32, rest[7:])
    return poseidon(elements)


def pages(blocks: list[np.ndarray], width: int) -> list[int]:
    per = {16: 7, 32: 3}[width]
    return [page(blocks[i : i + per], width) for i in range(0, len(blocks), per)]


def slow_root(bits: np.ndarray, layout: str, width: int) -> int:
    rows, columns = bits.shape
    across = -(-columns // 32)
    filled = np.zeros((64, across * 32), dtype=np.uint64)
    filled[:rows, :columns] = bits
    rank = next((r for r in (8, 16, 32, 64) if r >= rows), 0)
    if layout == "lora_a":
        slots = []
        for j in range(across):
            group = pages([filled[k, 32 * j : 32 * j + 32] for k in range(rank)], width)
            slots += group + [0] * ((1 << (len(group) - 1).bit_length()) - len(group))
    else:
        slots = pages(
            [filled[i, 32 * j : 32 * j + 32] for i in range(rows) for j in range(across)], width
        )
    assert len(slots) <= 16
    return poseidon([*slots, *[0] * (16 - len(slots))])


@pytest.mark.parametrize(
    ("dtype", "layout", "shape"),
    [
        ("BF16", "rows", (ROWS, COLUMNS)),
        ("F16", "rows", (1, 33)),
        ("F32", "rows", (4, 40)),
        ("BF16", "lora_a", (5, 70)),
        ("BF16", "lora_a", (9, 40)),
        ("BF16", "lora_b", (20, 5)),
        ("BF16", "lora_b", (6, 40)),
    ],
)
def test_roots_are_those_of_the_slow_tree(
    prover: ZkProver, tmp_path: Path, dtype: str, layout: str, shape: tuple[int, int]
) -> None:
    width = 32 if dtype == "F32" else 16
    bits = np.random.default_rng(5).integers(0, 1 << width, shape, dtype=np.uint64)
    [made] = commit_weights(
        prover, [write(tmp_path / "model", dtype, bits)], [TensorWanted("w", layout)]
    )
    assert (made.name, made.dtype, made.layout, made.rows, made.columns, made.depth) == (
        "w",
        dtype,
        layout,
        *shape,
        1,
    )
    assert made.root == slow_root(bits, layout, width)


def test_a_gguf_file_has_the_roots_of_the_safetensors_file(
    prover: ZkProver, tmp_path: Path
) -> None:
    values = np.random.default_rng(6).normal(size=(4, 64)).astype(np.float32)
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_array("tokens", ["a", "b"])
    writer.add_tensor("w", values)
    writer.add_tensor("v", values[0].astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    v, w = commit_weights(prover, [tmp_path / "model.gguf"])
    [same] = commit_weights(prover, [write(tmp_path / "model", "F32", values.view(np.uint32))])
    assert (w, v.name, v.dtype, v.rows, v.columns) == (same, "v", "F16", 1, 64)


def test_a_state_file_serves_its_own_model_only(prover: ZkProver, tmp_path: Path) -> None:
    bits = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    first, second, state = (
        write(tmp_path / "a", "BF16", bits),
        write(tmp_path / "b", "BF16", bits + 1),
        tmp_path / "state",
    )
    made = commit_weights(prover, [first], state=state)
    assert commit_weights(prover, [first], state=state) == made
    with pytest.raises(RejectedError, match="state file"):
        commit_weights(prover, [second], state=state)


def test_the_vector_file_is_current() -> None:
    assert json.loads(q8_0_vectors.PATH.read_text()) == {"cases": q8_0_vectors.cases()}


def drawn(shape: tuple[int, int]) -> np.ndarray:
    return bfloat16.round_float32(
        np.random.default_rng(7).normal(0, 0.05, shape).astype(np.float32)
    )


def test_q8_0_codes_of_gguf_py_are_proven(
    prover: ZkProver, key_cache: Path, tmp_path: Path
) -> None:
    bits = drawn((4, 64))
    deployed = quantize(
        (bits.astype(np.uint32) << 16).view(np.float32), GGMLQuantizationType.Q8_0
    ).reshape(-1, 34)
    key = ensure_keys(prover, key_cache, "q8_0", 2, 1)
    tensor = StoredTensor(write(tmp_path / "model", "BF16", bits), "w")
    opened = [QuantizedBlocks((a, b), deployed[[a, b]].tobytes()) for a, b in ((7, 0), (3, 3))]
    proofs = prove(prover, [quantize_job(key, tensor, blocks, ()) for blocks in opened])
    [made] = commit_weights(prover, [tensor.file])
    words = key.words_file.read_bytes()
    for job, proof in zip(opened, proofs, strict=True):
        biased = deployed[list(job.indexes)].copy()
        biased[:, 2:] ^= 128
        pieces = [biased.tobytes()[i : i + 31].ljust(31, b"\0") for i in range(0, biased.size, 31)]
        index = job.indexes[0] | job.indexes[1] << 32
        assert proof.public == (
            made.root,
            index,
            *(int.from_bytes(piece, "big") for piece in pieces),
        )
        assert is_valid_proof(words, proof, 0)
        for i in range(len(proof.public)):
            public = [value + (j == i) for j, value in enumerate(proof.public)]
            assert not is_valid_proof(words, replace(proof, public=tuple(public)), 0)
    wrong = deployed.copy()
    wrong[5, 2 + 9] ^= 1
    false, short = (QuantizedBlocks((4, 5), wrong[4:end].tobytes()) for end in (6, 5))
    with pytest.raises(RejectedError, match="block 5, code 9"):
        prove(prover, [quantize_job(key, tensor, false, ())])
    with pytest.raises(InputError, match="bytes of the blocks"):
        prove(prover, [quantize_job(key, tensor, short, ())])


def test_int8_codes_are_proven(prover: ZkProver, key_cache: Path, tmp_path: Path) -> None:
    bits = drawn((2, 64))
    values = (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float16).astype(np.float64)
    maxima = np.abs(values).max(axis=1)
    codes = np.rint(127 * values / maxima[:, None]).astype(np.int8)
    deployed = maxima[1].astype("<f4").tobytes() + codes[1, 32:].tobytes()
    key = ensure_keys(prover, key_cache, "int8", 1, 1)
    tensor = StoredTensor(write(tmp_path / "model", "BF16", bits), "w")
    [proof] = prove(prover, [quantize_job(key, tensor, QuantizedBlocks((3,), deployed), ())])
    assert proof.kind == "int8"
    assert is_valid_proof(key.words_file.read_bytes(), proof, 0)
    with pytest.raises(RejectedError, match="block 2, code"):
        prove(prover, [quantize_job(key, tensor, QuantizedBlocks((2,), deployed), ())])
