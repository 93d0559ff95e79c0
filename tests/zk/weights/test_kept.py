"""Roots that are kept between verifications are those of the same bytes, and of no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.artifacts import memo as memo_module
from provenance.artifacts.excerpt import find_tensors
from provenance.artifacts.memo import Memo
from provenance.artifacts.tensors import DType, Layout, Tensor
from provenance.errors import InputError
from provenance.verify.protocols import CommittedTensors
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.prover.client import ZkProver
from provenance_zk.weights import kept
from provenance_zk.weights.kept import commit_kept
from provenance_zk.weights.stages import commit_tensors

SHAPES = {"a": (4, 64), "b": (4, 64), "l": (5, 70)}
WANTED = [
    ("b", Tensor("b", DType.BF16, Layout.ROWS, 4, 64, 1, 8, 0)),
    ("a", Tensor("a", DType.BF16, Layout.ROWS, 4, 64, 1, 8, 0)),
    ("l", Tensor("a:lora_a", DType.BF16, Layout.LORA_A, 5, 70, 1, 15, 0)),
]


class Counting:
    """The prover, and the names that it was asked for. `meanwhile` is done before it reads."""

    def __init__(self, prover: ZkProver) -> None:
        self._prover, self.asked = prover, list[str]()
        self.meanwhile = lambda: None

    def request(self, command: str, request: Any) -> Any:
        self.asked += [tensor["name"] for tensor in request["tensors"]]
        self.meanwhile()
        return self._prover.request(command, request)


class Bench:
    """A file of weights, and verifications of it."""

    def __init__(self, prover: ZkProver, folder: Path) -> None:
        self.prover, self.folder, self.said = prover, folder, list[str]()
        self.file, self.counting = folder / "model.safetensors", Counting(prover)
        self.write(1)

    def write(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.file.unlink(missing_ok=True)
        with SafetensorsWriter(self.file, {n: ("BF16", s) for n, s in SHAPES.items()}) as writer:
            for name, shape in SHAPES.items():
                writer.write(name, random.integers(0, 1 << 14, shape, dtype="<u2").tobytes())

    def run(self, *, fresh: bool = False) -> CommittedTensors:
        memo = Memo(self.folder / "memo", self.said.append, fresh=fresh)
        self.counting.asked.clear()
        return commit_kept(self.counting, memo, [self.file], WANTED)  # type: ignore[arg-type]

    def true_roots(self) -> Sequence[Tensor]:
        return commit_tensors(self.prover, [self.file], WANTED)


@pytest.fixture
def bench(prover: ZkProver, tmp_path: Path) -> Bench:
    return Bench(prover, tmp_path)


def test_the_second_verification_computes_nothing_and_says_so(bench: Bench) -> None:
    first = bench.run()
    assert (first.kept, first.since, bench.counting.asked) == (0, None, ["b", "a", "l"])
    second = bench.run()
    assert (second.kept, bench.counting.asked) == (3, [])
    assert second.since is not None
    assert second.tensors == first.tensors == bench.true_roots()


def test_other_bytes_are_computed(bench: Bench) -> None:
    bench.run()
    data = bytearray(bench.file.read_bytes())
    data[-1] ^= 1  # the last value of the last tensor
    bench.file.write_bytes(data)
    made = bench.run()
    assert (made.kept, bench.counting.asked) == (2, ["l"])
    assert made.tensors == bench.true_roots()


def test_weights_exchanged_while_they_are_hashed_plant_no_root(bench: Bench) -> None:
    """The honest weights are there whenever the verifier hashes, others while the prover reads.

    A root of the others, kept under the digest of the honest ones, would be believed for ever.
    """
    honest = bench.true_roots()
    bench.counting.meanwhile = lambda: bench.write(2)
    bench.run()
    bench.counting.meanwhile = lambda: None
    bench.write(1)
    made = bench.run()
    assert made.tensors == honest


def test_a_planted_root_is_found_by_a_fresh_verification(bench: Bench) -> None:
    """Only who may write to the folder can do this: then `--fresh` computes and says it."""
    honest = bench.run()
    place = find_tensors([bench.file])["a"]
    inputs = kept._inputs(place, kept.hash_tensor(place), WANTED[1][1])
    memo = Memo(bench.folder / "memo", bench.said.append)
    planted = replace(honest.tensors[1], root=7)
    memo.put(kept.ROOTS, inputs, kept._value(planted))
    assert bench.run().tensors[1].root == 7
    assert bench.run(fresh=True).tensors == honest.tensors
    assert "is not what was computed now" in bench.said[-1]
    assert bench.run().tensors == honest.tensors


@pytest.mark.parametrize(
    "value", [{}, {"root": "0x7"}, {"root": "7", "rows": "x"}], ids=["empty", "short", "no number"]
)
def test_a_kept_value_that_no_tensor_has_is_computed_again(
    bench: Bench, value: dict[str, Any]
) -> None:
    honest = bench.run()
    place = find_tensors([bench.file])["a"]
    inputs = kept._inputs(place, kept.hash_tensor(place), WANTED[1][1])
    memo = Memo(bench.folder / "memo", bench.said.append)
    memo.put(kept.ROOTS, inputs, kept._value(honest.tensors[1]) | value if value else {})
    made = bench.run()
    assert (made.tensors, made.kept, bench.counting.asked) == (honest.tensors, 2, ["a"])


def test_the_folder_does_not_grow_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo_module, "MAX_ENTRIES", 2)
    bench.run()
    assert len(list((bench.folder / "memo").iterdir())) == 1


def test_large_models_are_copied_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_BATCH_BYTES", 600)
    assert bench.run().tensors == bench.true_roots()


def test_a_missing_tensor_is_named(bench: Bench, tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo", bench.said.append)
    wanted = [("other", WANTED[0][1])]
    with pytest.raises(InputError, match=r"other|tensor"):
        commit_kept(bench.prover, memo, [bench.file], wanted)
