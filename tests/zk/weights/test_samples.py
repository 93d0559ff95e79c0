"""Draws and public inputs of sampled statements, against plain re-computations."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_utils.crypto import keccak

from provenance.artifacts.tensors import DType, Layout, Tensor, TensorTable
from provenance.errors import InputError, VerificationError
from provenance.judgement.facts import ZERO_WORD, ModelAnchoringFacts, TableFacts
from provenance.verify.protocols import SampleEvidence
from provenance_zk.checker.engine import Engine
from provenance_zk.checker.samples import _Check, check_samples
from provenance_zk.kinds import KINDS
from provenance_zk.weights import samples
from provenance_zk.weights.detection import detectable, detection
from provenance_zk.weights.merge_tables import MergeTables, anchored_scale
from provenance_zk.weights.run_proofs import RunWeights

SEED = bytes(range(32))


def tensor(
    name: str,
    rows: int,
    columns: int,
    root: int,
    layout: Layout = Layout.ROWS,
    blocks: int | None = None,
    depth: int = 2,
) -> Tensor:
    return Tensor(
        name,
        DType.BF16,
        layout,
        rows,
        columns,
        depth,
        rows * -(-columns // 32) if blocks is None else blocks,
        root,
    )


def tables(rank: int = 4) -> tuple[TensorTable, TensorTable, TensorTable]:
    shapes = {"a.weight": (64, 96), "b.weight": (32, 64), "c.weight": (8, 32)}
    base = TensorTable.of([tensor(n, *s, root=i) for i, (n, s) in enumerate(shapes.items())])
    merged = TensorTable.of(
        [tensor(n, *s, root=100 + i) for i, (n, s) in enumerate(shapes.items())]
    )
    adapter = TensorTable.of(
        [
            t
            for n, (rows, columns) in shapes.items()
            for t in (
                tensor(f"{n}:lora_a", rank, columns, 200, Layout.LORA_A, 8 * -(-columns // 32)),
                tensor(f"{n}:lora_b", rows, rank, 300, Layout.LORA_B, rows),
            )
        ]
    )
    return base, adapter, merged


def word(n: int) -> bytes:
    return n.to_bytes(32, "big")


def test_draws_are_the_documented_hashes() -> None:
    _, _, merged = tables()
    made = samples.groups(SEED, merged, 40, 4)
    total = 64 * 3 + 32 * 2 + 8
    for t, blocks in enumerate((192, 64, 8)):
        k = 4 * math.ceil(max(2, math.ceil(40 * blocks / total)) / 4)
        mine = [g for g in made if g.tensor == t]
        assert [g.number for g in mine] == list(range(k // 4))
        expected = [
            int.from_bytes(keccak(SEED + word(t) + word(j)), "big") % blocks for j in range(k)
        ]
        assert [i for g in mine for i in g.indexes] == expected


def test_every_tensor_is_drawn_at_least_twice() -> None:
    assert [samples.draw_count(1, 10**6, 459, b) for b in (1, 2, 4)] == [2, 2, 4]


def test_the_digest_of_an_anchoring_binds_every_field() -> None:
    name = TableFacts(b"\1" * 32, 3)
    good = samples.Anchoring(name, name, name, b"\2" * 32, "merge", 4, 1 << 16, 459, 264)
    seen = {good.digest(1, SEED), good.digest(2, SEED), good.digest(1, bytes(32))}
    other = TableFacts(b"\1" * 32, 4)
    changes: list[dict[str, Any]] = [
        {"base": other},
        {"adapter": other},
        {"merged": other},
        {"artifact": b"\3" * 32},
        {"kind": "q8_0"},
        {"slots": 5},
        {"scale": 1},
        {"draws": 460},
        {"blocks": 265},
    ]
    for change in changes:
        seen.add(replace(good, **change).digest(1, SEED))
    assert len(seen) == len(changes) + 3


def test_code_words_flip_the_sign_bit_and_pad_at_the_end() -> None:
    block = bytes([0x34, 0x12]) + bytes(range(32))
    words = samples.code_words("q8_0", [block, block])
    data = b"".join(w.to_bytes(31, "big") for w in words)
    assert data[:34] == bytes([0x34, 0x12]) + bytes(b ^ 0x80 for b in range(32))
    assert data[68:] == bytes(len(data) - 68)
    assert len(words) == len([n for n in KINDS["q8_0"].public(2) if n.startswith("code")])
    with pytest.raises(InputError):
        samples.code_words("q8_0", [block[:-1]])


def test_index_words_hold_up_to_seven_numbers() -> None:
    assert samples.index_words([1, 2]) == [1 + (2 << 32)]
    assert samples.index_words(range(8)) == [sum(i << 32 * i for i in range(7)), 7]


def test_tables_of_one_merge_belong_together() -> None:
    base, adapter, merged = tables()
    assert MergeTables(base, adapter, merged).require_one_merge() == 8
    group = samples.Group(1, 0, (5, 6, 7, 8))
    assert MergeTables(base, adapter, merged).inputs(group, 1 << 16)[:6] == (
        1,
        200,
        300,
        101,
        1 << 16,
        2,
    )


@pytest.mark.parametrize(
    ("which", "index", "change"),
    [
        (0, 1, {"name": "bb.weight"}),
        (0, 1, {"columns": 32, "rows": 64}),
        (0, 1, {"depth": 3}),
        (0, 1, {"dtype": DType.F16}),
        (1, 2, {"rows": 3}),
        (1, 2, {"columns": 32}),
        (1, 3, {"rows": 31}),
        (1, 3, {"layout": Layout.LORA_A}),
        (1, 3, {"depth": 3}),
        (2, 0, {"layout": Layout.LORA_B}),
        (1, 0, {"dtype": DType.F16}),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(
    which: int, index: int, change: dict[str, Any]
) -> None:
    made = list(tables())
    tensors = list(made[which].tensors)
    tensors[index] = replace(tensors[index], **change)
    made[which] = TensorTable(tuple(tensors))
    with pytest.raises(VerificationError):
        MergeTables(*made).require_one_merge()


def test_swapped_adapters_are_refused() -> None:
    base, adapter, merged = tables()
    first, second, *rest = adapter.tensors
    swapped = TensorTable.of(
        [replace(first, name=second.name), replace(second, name=first.name), *rest]
    )
    with pytest.raises(VerificationError):
        MergeTables(base, swapped, merged).require_one_merge()


@pytest.mark.parametrize(
    "scale", [Fraction(0), Fraction(-1), Fraction(1, 3), Fraction(1, 1 << 17), Fraction(1 << 16)]
)
def test_scales_outside_the_proof_are_refused(scale: Fraction) -> None:
    with pytest.raises(InputError):
        anchored_scale(scale)


def test_detection_is_what_the_draws_give() -> None:
    assert anchored_scale(Fraction(3, 2)) == 3 << 15
    assert (1 - detectable(459, 0.99)) ** 459 == pytest.approx(0.01)
    assert detectable(459, 0.99) < 0.01 < detectable(458, 0.99)
    assert detectable(4, 0.99, 3) > detectable(4, 0.99)
    _, _, merged = tables()
    found = detection(merged, 40, 4, 2)
    assert (found.worst, found.draws) == ("c.weight", 4)
    assert found.at_95 < found.at_99 < 1


def test_a_stage_that_the_checker_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for the quantization, whose kind of proof it may have."""
    _, _, merged = tables()
    evidence = SimpleNamespace(merged=merged, codes=lambda _tensor, _block: bytes(34))
    anchoring = samples.Anchoring(
        samples.NO_TABLE,
        samples.NO_TABLE,
        samples.name_of(merged),
        word(5),
        "q8_0",
        3,
        0,
        459,
        merged.blocks,
    )
    check = _Check(cast(SampleEvidence, evidence), anchoring, "quantize")
    group = samples.groups(SEED, merged, 6, 3)[0]
    assert check.inputs(group)[0] == merged.tensors[0].root
    monkeypatch.setattr(samples, "STAGES", {1: "merge", 2: "prune"})
    with pytest.raises(VerificationError, match="proofs of this stage"):
        check.inputs(group)


NO_CONTENT: dict[str, tuple[dict[str, Any], str]] = {
    "no draws": ({"draws": 0}, "draws no blocks"),
    "a merge of scale 0": ({"scale": 0}, "scale 0"),
    "a merge that changes nothing": ({"base": TableFacts(b"\3" * 32, 3)}, "changes nothing"),
    "a quantization with a scale": (
        {"kind": KINDS["q8_0"].number, "scale": 1},
        "merges nothing",
    ),
}


@pytest.mark.parametrize("name", NO_CONTENT)
def test_an_anchoring_that_any_adapter_would_fit_is_refused(name: str) -> None:
    """An endpoint, or a contract of an earlier version, says that it was accepted."""
    change, text = NO_CONTENT[name]
    facts = ModelAnchoringFacts(
        base=TableFacts(b"\1" * 32, 3),
        adapter=TableFacts(b"\2" * 32, 6),
        merged=TableFacts(b"\3" * 32, 3),
        artifact=b"\4" * 32,
        kind=KINDS["merge"].number,
        slots=4,
        scale=1 << 16,
        draws=459,
        blocks=264,
        seed=SEED,
        codes_hash=ZERO_WORD,
        log_root=b"\5" * 32,
        log_size=7,
        block_number=1,
        draw_block=3,
        next_tensor=3,
        next_group=0,
        blocks_proved=264,
        accepted=True,
        void=False,
    )
    for anchoring, message in ((facts, "draw seed"), (replace(facts, **change), text)):
        evidence = SimpleNamespace(
            anchoring=anchoring,
            chain_id=1,
            contract="0x" + "11" * 20,
            run_id=bytes(32),
            number=0,
            draw_hash=bytes(32),
        )
        with pytest.raises(VerificationError, match=message):
            check_samples(cast(Engine, None), cast(SampleEvidence, evidence))


def test_a_stage_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="no weights are known"):
        RunWeights.stage(object.__new__(RunWeights), "prune")
