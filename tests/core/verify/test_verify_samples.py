"""Sampled blocks in a verification, on a chain in memory: what the claims rest on, what fails."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import NamedFolder
from provenance.artifacts.tensors import DType, Layout, Tensor, TensorTable
from provenance.errors import VerificationError
from provenance.ids import Address
from provenance.judgement.facts import ZERO_WORD, Contract, ModelAnchoringFacts, TableFacts
from provenance.judgement.policy import Policy, SampleBar
from provenance.judgement.verdict import Grade, Status, Verdict
from provenance.log.record import Record
from provenance.statements import STAGES
from provenance.verify import Artifact, Options, Verifier, verify, verify_artifact
from provenance.verify.protocols import NonceOpening
from provenance.verify.s08_proofs import stages
from provenance_cli.judge.verdict_text import render
from tests.support.memory_chain import IDENTITY
from tests.support.memory_run import BASE, MERGED, MODEL, OWNER, TIME, TRUST, MemoryRun

MODELS = Contract(Address("0x" + "cc" * 20), "0x" + "44" * 32)
NAMES = ["a.weight", "b.weight"]
NONE = TableFacts(ZERO_WORD, 0)


def table(*names: str, root: int = 1, layout: Layout = Layout.ROWS) -> TensorTable:
    return TensorTable.of(
        [Tensor(name, DType.BF16, layout, 4, 32, 1, 4, root + i) for i, name in enumerate(names)]
    )


TABLES = {
    "base": table(*NAMES),
    "adapter": table(
        *(f"{n}:{side}" for n in NAMES for side in ("lora_a", "lora_b")),
        root=20,
        layout=Layout.LORA_B,
    ),
    "merged": table(*NAMES, root=40),
}


def named(value: TensorTable) -> TableFacts:
    return TableFacts(value.root, value.size)


def facts(stage: str, **changes: Any) -> ModelAnchoringFacts:
    merge = stage == "merge"
    base, adapter = (named(TABLES["base"]), named(TABLES["adapter"])) if merge else (NONE, NONE)
    value = ModelAnchoringFacts(
        base=base,
        adapter=adapter,
        merged=named(TABLES["merged"]),
        artifact=bytes(MERGED if merge else MODEL),
        kind=8 if merge else 6,
        slots=3,
        scale=2 << 16 if merge else 0,
        draws=6,
        blocks=8,
        seed=ZERO_WORD,
        codes_hash=ZERO_WORD,
        log_root=ZERO_WORD,
        log_size=0,
        block_number=0,
        draw_block=0,
        next_tensor=0,
        next_group=0,
        blocks_proved=0,
        accepted=False,
        void=False,
    )
    return replace(value, **changes)


class File:
    """An inspector of a file whose blocks are all alike, and of weights in one file."""

    def deployed(self, path: Path) -> File:
        return self

    def tensor_files(self, folder: Path) -> dict[str, Path]:
        return dict.fromkeys(NAMES, folder / "model.safetensors")

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        return bytes(34)


@dataclass
class Sampled:
    """A released run with sampled merge and quantization.

    `merge` and `quantize` replace fields of what is anchored.
    """

    merge: dict[str, Any]
    quantize: dict[str, Any]
    accepted: bool = True
    anchorings: int = 1
    adapted: tuple[str, ...] = tuple(NAMES)
    ledger: str = MODELS.address
    scale: str = "2"
    base: str = str(BASE)
    opening: dict[str, Any] = field(default_factory=dict)

    def run(self) -> MemoryRun:
        run = MemoryRun(self._add, {"base": {"content": self.base}, **self.opening})
        run.trust = replace(TRUST, contracts={**TRUST.contracts, "models": MODELS})
        run.chain.answering = replace(IDENTITY, contracts=run.trust.contracts)
        run.evidence.tables = {
            "merge": {n: t.to_json() for n, t in TABLES.items()},
            "quantize": {"merged": TABLES["merged"].to_json()},
        }
        for number, stage in ((1, "merge"), (2, "quantize")):
            for i in range(self.anchorings):
                run.chain.anchor_model(
                    OWNER, run.run_id, number, facts(stage, **getattr(self, stage))
                )
                if self.accepted:
                    run.chain.draw_model(run.run_id, number, i)
                    run.chain.accept_model(run.run_id, number, i, ZERO_WORD)
        run.chain.mine(3)
        return run

    def _add(self, log: list[Record]) -> list[Record]:
        *before, merge, quantize, release = log
        merged = {"adapted": list(self.adapted), "scale": self.scale, "base": self.base}
        merge = replace(merge, fields=dict(merge.fields) | merged)
        samples = [
            Record.make(
                "sample",
                TIME,
                stage=stage,
                number=self.anchorings - 1,
                ledger=self.ledger,
                anchoring="0x" + "00" * 32,
            )
            for stage in ("merge", "quantize")
        ]
        return [*before, merge, quantize, *samples, release]


def judge(
    run: MemoryRun, *, file: bool = True, policy: Policy | None = None, base: Path | None = None
) -> Verdict:
    artifact = Artifact(MODEL, "model.gguf", path=Path("model.gguf") if file else None)
    verifier = Verifier(
        trust=run.trust,
        reader=run.chain,
        source=run.evidence,
        prover=run.believer,
        inspector=File(),  # type: ignore[arg-type]
        policy=policy or Policy(),
    )
    return verify_artifact(artifact, verifier, Options(base=base))


def claim(verdict: Verdict, id_: str) -> Any:
    return next(c for c in verdict.claims if c.id == id_)


def test_sampled_stages_without_ties_carry_no_grade() -> None:
    run = Sampled({}, {}).run()
    verdict = judge(run)
    assert verdict.status is Status.VERIFIED
    grades = {e.kind: e.grade for e in verdict.edges}
    assert grades["merged_from"] is grades["quantized_from"] is Grade.DECLARED
    assert all("not tied" in str(e.note) for e in verdict.edges if e.kind == "merged_from")
    ties = [e for e in verdict.edges if e.kind == "committed_as"]
    assert len(ties) == 3
    assert {e.grade for e in ties} == {Grade.DECLARED}
    assert "99 %" in claim(verdict, "merge.proven").text
    merge, quantize = run.believer.samples
    assert (merge.chain_id, merge.contract, merge.number, merge.codes) == (
        IDENTITY.chain_id,
        MODELS.address,
        0,
        None,
    )
    assert merge.draw_hash == run.chain.block(merge.anchoring.draw_block).hash
    assert quantize.codes is not None
    assert quantize.codes(TABLES["merged"].tensors[0], 1) == bytes(34)


def test_a_stage_that_no_verification_knows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [stage.name for stage in stages.all_stages()] == list(STAGES)
    with pytest.raises(VerificationError, match="unknown stage"):
        stages.stage_named("prune")
    monkeypatch.setattr(stages, "STAGES", {**STAGES, "prune": 3})
    assert judge(Sampled({}, {}).run()).status is Status.FAILED


def test_without_the_file_the_quantization_is_not_checked() -> None:
    verdict = judge(Sampled({}, {}).run(), file=False)
    assert claim(verdict, "quantize.proven").holds is None
    assert claim(verdict, "merge.proven").holds is True
    assert {e.kind: e.grade for e in verdict.edges}["quantized_from"] is Grade.DECLARED


def test_a_run_without_samples_says_what_they_would_take() -> None:
    verdict = MemoryRun().judge()
    assert claim(verdict, "merge.proven").holds is None
    assert "--weights" in str(claim(verdict, "merge.proven").needs)


def test_anchorings_are_counted() -> None:
    run = Sampled({}, {}, anchorings=3).run()
    assert "counting 3 anchorings as 3 tries" in claim(judge(run), "merge.proven").text
    assert [s.anchorings for s in run.believer.samples] == [3, 3]


def test_a_sampled_claim_carries_its_figures_as_evidence() -> None:
    evidence = claim(judge(Sampled({}, {}, anchorings=3).run()), "quantize.proven").to_json()[
        "evidence"
    ]
    assert (evidence["draws"], evidence["anchorings"], evidence["caught_99"]) == ("6", "3", "0.5")


BAR = Policy(samples=SampleBar(0.01, 0.5))


def detecting(draws: int, anchorings: int) -> Verdict:
    run = Sampled({}, {}, anchorings=anchorings).run()
    run.believer.draws = draws
    return judge(run, policy=BAR)


def test_a_policy_can_demand_that_samples_detect_enough() -> None:
    assert detecting(69, 1).status is Status.VERIFIED  # 1 - 0.99^69 = 0.5002
    verdict = detecting(68, 1)  # 0.4951
    assert (verdict.status, verdict.exit_code) == (Status.POLICY_DENIED, 6)
    assert [c.where for c in verdict.claims if c.id == "policy.satisfied"] == [
        "merge.proven",
        "quantize.proven",
    ]
    assert "49.51" in verdict.reason
    assert "50.0000%" in verdict.reason


def test_anchoring_again_and_again_falls_below_the_bar() -> None:
    assert detecting(459, 50).status is Status.VERIFIED
    assert detecting(459, 51).status is Status.POLICY_DENIED  # 51 * 0.99^459 = 0.506


def test_under_warn_a_weak_sample_is_shown_and_let_through() -> None:
    run = Sampled({}, {}).run()
    verdict = judge(run, policy=replace(BAR, mode="warn"))
    assert verdict.status is Status.VERIFIED
    assert claim(verdict, "policy.satisfied").holds is False


def test_a_bar_that_binds_nothing_denies() -> None:
    verdict = MemoryRun().judge(BAR)
    assert verdict.status is Status.POLICY_DENIED
    assert "no sampled claim holds" in verdict.reason


@pytest.mark.parametrize(
    ("kind", "grade", "status"),
    [
        ("trained_on", Grade.PROVEN, Status.VERIFIED),
        ("trained_on", Grade.RECOMPUTED, Status.POLICY_DENIED),
        ("adapter_from", Grade.ANCHORED, Status.VERIFIED),
        ("adapter_from", Grade.AUDITED, Status.POLICY_DENIED),
        ("merged_from", Grade.DECLARED, Status.VERIFIED),
        ("merged_from", Grade.SAMPLED, Status.POLICY_DENIED),
    ],
)
def test_a_policy_can_demand_a_grade_of_every_edge_of_a_kind(
    kind: str, grade: Grade, status: Status
) -> None:
    verdict = judge(Sampled({}, {}).run(), policy=Policy(edges={kind: grade}))
    assert verdict.status is status
    if status is Status.POLICY_DENIED:
        assert f"edge {kind}: expected {grade.value} or better" in verdict.reason


def test_a_demand_on_an_edge_that_is_not_there_denies() -> None:
    verdict = MemoryRun().judge(Policy(edges={"committed_as": Grade.DECLARED}))
    assert verdict.status is Status.POLICY_DENIED
    assert "no such edge" in verdict.reason


def test_what_warn_lets_through_is_said_first() -> None:
    policy = Policy(mode="warn", edges={"adapter_from": Grade.AUDITED})
    verdict = MemoryRun().judge(policy)
    assert verdict.status is Status.VERIFIED
    assert "the policy would deny it: edge adapter_from" in verdict.reason
    assert "the policy would deny it" in render(verdict).splitlines()[0]


def test_a_grade_is_capped_by_the_weakest_tie(tmp_path: Path) -> None:
    base = base_weights(tmp_path)
    sampled = Sampled({}, {}, base=str(content_digest(base)))
    verdict = judge(sampled.run(), file=False, base=base)
    ties = {e.grade for e in verdict.edges if e.kind == "committed_as"}
    assert ties == {Grade.RECOMPUTED, Grade.DECLARED}
    assert {e.grade for e in verdict.edges if e.kind == "merged_from"} == {Grade.DECLARED}


def test_openings_of_a_stage_without_samples_fail() -> None:
    run = MemoryRun()
    openings = {"merge": NonceOpening(bytes(32), 1, [])}
    verifier = Verifier(trust=run.trust, reader=run.chain, source=run.evidence, prover=run.believer)
    verdict = verify(str(MODEL), verifier, Options(openings=openings))
    assert verdict.status is Status.FAILED
    assert claim(verdict, "openings.proven").where == "merge"


OTHER = named(table(*NAMES, root=77))
FIRST = {"fed": None}  # a log of the first version, in which no rule compares the scale
ATTACKS: dict[str, tuple[Sampled, str]] = {
    "not every drawn block proven": (Sampled({}, {}, accepted=False), "merge.proven"),
    "an adapted tensor left out": (Sampled({}, {}, adapted=(*NAMES, "c.weight")), "merge.proven"),
    "a tensor that no adapter touched": (Sampled({}, {}, adapted=(NAMES[0],)), "merge.proven"),
    "another contract": (Sampled({}, {}, ledger="0x" + "dd" * 20), "merge.proven"),
    "another merge": (Sampled({"artifact": bytes(32)}, {}), "merge.proven"),
    "another file": (Sampled({}, {"artifact": bytes(32)}), "quantize.proven"),
    "another scale": (Sampled({"scale": 1 << 16}, {}), "merge.proven"),
    "scale 0": (Sampled({"scale": 0}, {}), "merge.proven"),
    "another base table": (Sampled({"base": OTHER}, {}), "merge.proven"),
    "another adapter table": (Sampled({"adapter": replace(OTHER, entries=4)}, {}), "merge.proven"),
    "merged table of another model": (Sampled({"merged": OTHER}, {}), "merge.proven"),
    "quantization of other merged weights": (Sampled({}, {"merged": OTHER}), "quantize.proven"),
    "proofs about another format": (Sampled({}, {"kind": 7}), "quantize.proven"),
    "scale that is no number": (Sampled({}, {}, scale="nan", opening=FIRST), "merge.proven"),
    "scale without end": (Sampled({}, {}, scale="1e999999999", opening=FIRST), "merge.proven"),
    "blocks understated": (Sampled({"blocks": 7}, {}), "merge.proven"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_anchoring_that_contradicts_log_file_or_tables_fails(name: str) -> None:
    sampled, id_ = ATTACKS[name]
    verdict = judge(sampled.run())
    assert verdict.status is Status.FAILED
    assert claim(verdict, id_).holds is False


def base_weights(folder: Path) -> Path:
    """A folder of weights without values: what matters is its content digest."""
    header = b"{}"
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def test_a_table_is_tied_to_weights_whose_roots_were_recomputed(tmp_path: Path) -> None:
    base = base_weights(tmp_path)
    sampled = Sampled({}, {}, base=str(content_digest(base)))
    verdict = judge(sampled.run(), file=False, base=base)
    name = NamedFolder("base", sampled.base, {}).name
    (tie,) = (e for e in verdict.edges if e.parent == name and e.kind == "committed_as")
    assert tie.grade is Grade.RECOMPUTED


def test_a_tie_says_which_roots_were_not_computed_now(tmp_path: Path) -> None:
    base = base_weights(tmp_path)
    run = Sampled({}, {}, base=str(content_digest(base))).run()
    run.believer.kept, run.believer.since = 1, datetime.date(2026, 11, 3)
    verdict = judge(run, file=False, base=base)
    (tie,) = (e for e in verdict.edges if e.grade is Grade.RECOMPUTED and e.kind == "committed_as")
    assert "1 of them on this machine earlier, since 2026-11-03" in str(tie.note)


def test_weights_with_other_roots_than_the_committed_ones_fail(tmp_path: Path) -> None:
    """`expected` is the root of the weights at hand, `actual` the prover's committed root."""
    base = base_weights(tmp_path)
    run = Sampled({}, {}, base=str(content_digest(base))).run()
    run.believer.roots = 0x77
    verdict = judge(run, file=False, base=base)
    failed = claim(verdict, "merge.proven")
    assert (failed.holds, failed.where) == (False, NAMES[0])
    assert failed.expected == f"0x{0x77:064x}"
    assert failed.actual == f"0x{TABLES['base'].tensors[0].root:064x}"


CHANGES: dict[str, Callable[[MemoryRun], None]] = {
    "a table missing": lambda run: run.evidence.tables.update(
        merge={"merged": TABLES["merged"].to_json()}
    ),
    "table malformed": lambda run: run.evidence.tables.update(merge={n: {} for n in TABLES}),
    "no pinned contract": lambda run: setattr(run, "trust", TRUST),
}


@pytest.mark.parametrize("name", CHANGES)
def test_malformed_evidence_fails_closed(name: str) -> None:
    run = Sampled({}, {}).run()
    CHANGES[name](run)
    verdict = judge(run)
    assert verdict.status is Status.FAILED
    assert claim(verdict, "merge.proven").holds is False


def test_a_missed_draw_is_no_proof() -> None:
    run = Sampled({}, {}, accepted=False).run()
    run.chain.miss_draw(run.run_id, 1, 0)
    run.chain.mine(3)
    assert "missed" in str(claim(judge(run), "merge.proven").actual)
