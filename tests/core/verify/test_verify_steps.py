"""Every step of a verification on a chain in memory: which claim fails, and the verdict then."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, get_type_hints

import pytest

import provenance.verify
from provenance.ids import Address
from provenance.judgement.policy import CLAIMS, DEFAULT_REQUIRED, Policy
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status
from provenance.log.record import Record
from provenance.verify.claims import Notes
from tests.support.memory_run import DATASET, TIME, MemoryRun
from tests.support.spine import failing

Records = list[Record]


def edited(index: int, **fields: Any) -> Callable[[Records], Records]:
    return lambda log: [
        *log[:index],
        replace(log[index], fields=dict(log[index].fields) | fields),
        *log[index + 1 :],
    ]


def test_an_honest_run_is_verified() -> None:
    run = MemoryRun()
    verdict = run.judge()
    assert (verdict.status, failing(verdict), verdict.exit_code) == (Status.VERIFIED, [], 0)
    assert len(run.believer.epochs) == len(run.believer.registrations) == 1


def test_the_prover_is_given_what_was_recomputed() -> None:
    run = MemoryRun()
    run.judge()
    (evidence,) = run.believer.epochs
    assert (evidence.run_id, evidence.seed, evidence.number, evidence.words) == (
        run.run_id,
        run.seed,
        0,
        b"epoch words",
    )
    assert len(evidence.leaves) == len(evidence.order) == 12


def test_every_default_claim_is_made_by_a_step() -> None:
    made = {c.id for c in MemoryRun().judge().claims}
    assert DEFAULT_REQUIRED <= made <= set(CLAIMS)


def test_there_are_ten_steps_and_claims_are_made_in_their_order() -> None:
    """A step is numbered by its turn, a claim by what it is about (docs/formats/verdict.md)."""
    names = [module.name for module in pkgutil.iter_modules(provenance.verify.__path__)]
    turns = [int(name[1:3]) for name in sorted(names) if re.match(r"s\d\d_", name)]
    assert turns == list(range(1, 11))
    subjects = [step for step, _ in groupby(c.step for c in MemoryRun().judge().claims)]
    assert subjects == [1, 4, 2, 3, 4, 5, 8, 6, 7, 9]


# log[0] is the seed, 1..3 the batches, 4 the end of the epoch, 5 the checkpoint, 6 the run.close,
# 7 the proof of the epoch, 8 the merge, 9 the quantization, 10 the release. Indices in records
# count the opening too.
LOG_EDITS: dict[str, tuple[Callable[[Records], Records], str]] = {
    "no seed": (lambda log: log[1:], "history.consistent"),
    "local seed": (edited(0, source="local"), "history.consistent"),
    "another seed": (edited(0, seed="0x" + "00" * 32), "run.preregistered"),
    "seed of another run": (edited(0, run_id="0x" + "cc" * 32), "history.consistent"),
    "seed of another block": (edited(0, draw_block=0), "run.preregistered"),
    "batch before the seed": (lambda log: [log[1], log[0], *log[2:]], "history.consistent"),
    "two seeds": (lambda log: [log[0], *log], "history.consistent"),
    "no checkpoint": (lambda log: [*log[:5], *log[6:]], "history.consistent"),
    "no merge": (lambda log: [*log[:8], *log[9:]], "history.consistent"),
    "no quantize": (lambda log: [*log[:9], *log[10:]], "history.consistent"),
    "merge after quantize": (lambda log: [*log[:8], log[9], log[8], log[10]], "history.consistent"),
    "checkpoint after merge": (
        lambda log: [*log[:5], *log[6:9], log[5], *log[9:]],
        "history.consistent",
    ),
    "checkpoint before the batches": (
        lambda log: [log[0], log[5], *log[1:5], *log[6:]],
        "history.consistent",
    ),
    "checkpoint consumed less": (edited(5, consumed=11), "history.consistent"),
    "checkpoint of another epoch": (edited(5, epoch=1), "history.consistent"),
    "unmatched tensors": (edited(2, unmatched=1), "history.consistent"),
    "abandons the future": (
        lambda log: [log[0], Record.make("resume", TIME, from_=0, abandons=[9], step=0), *log[1:]],
        "history.consistent",
    ),
    "abandons a batch": (
        lambda log: [
            *log[:4],
            Record.make("resume", TIME, from_=0, abandons=[3], step=0),
            *log[4:],
        ],
        "history.consistent",
    ),
    "batches exchanged": (lambda log: [log[0], log[2], log[1], *log[3:]], "history.consistent"),
    "position twice": (edited(2, positions=[3, 5, 6, 7]), "history.consistent"),
    "positions exchanged": (edited(2, positions=[5, 4, 6, 7]), "history.consistent"),
    "position beyond": (edited(3, positions=[8, 9, 10, 12]), "history.consistent"),
    "huge position": (edited(3, positions=[8, 9, 10, 2**53 - 1]), "history.consistent"),
    "fewer leaves": (edited(3, leaves=["0x" + "00" * 32]), "history.consistent"),
    "another epoch": (
        lambda log: [
            replace(r, fields=dict(r.fields) | {"epoch": 3}) if "epoch" in r.fields else r
            for r in log
        ],
        "history.consistent",
    ),
    "remainder invented": (edited(7, remainder=["0x" + "00" * 32]), "history.consistent"),
    "consumed less": (edited(7, consumed=11), "history.consistent"),
    "no end of the epoch": (lambda log: [*log[:4], *log[5:]], "history.consistent"),
    "not closed": (lambda log: [*log[:6], *log[7:]], "history.consistent"),
    "another anchoring": (edited(7, number=1), "epoch.proven"),
    "huge anchoring": (edited(7, number=2**53 - 1), "epoch.proven"),
    "another ledger": (edited(7, ledger="0x" + "cc" * 20), "epoch.proven"),
    "another dataset": (edited(7, dataset_id="0x" + "cc" * 32), "epoch.proven"),
    "another key": (edited(7, vk_id="0x" + "cc" * 32), "epoch.proven"),
    "another size of the anchored log": (edited(7, log_size=5), "epoch.proven"),
    "anchored log without the last batch": (edited(7, log_size=4), "history.consistent"),
    "no points": (
        lambda log: [
            *log[:7],
            Record("epoch", TIME, {k: v for k, v in log[7].fields.items() if k != "u_hash"}),
            *log[8:],
        ],
        "history.consistent",
    ),
    "a batch of an epoch that has not begun": (
        lambda log: [
            *log[:4],
            replace(log[1], fields=dict(log[1].fields) | {"epoch": 1, "step": 4}),
            *log[4:],
        ],
        "history.consistent",
    ),
}


@pytest.mark.parametrize(("change", "claim"), LOG_EDITS.values(), ids=LOG_EDITS.keys())
def test_a_log_that_contradicts_itself_fails_at_its_claim(
    change: Callable[[Records], Records], claim: str
) -> None:
    verdict = MemoryRun(change).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


@pytest.mark.parametrize(
    ("opening", "claim"),
    [
        ({"dataset": {}}, "history.consistent"),
        ({"dataset": {"root": 7, "count": 12}}, "dataset.registered"),
        (
            {"dataset": {"root": f"0x{7:064x}", "depth": 5, "count": 12, "dataset_id": "0x00"}},
            "dataset.registered",
        ),
        ({"base": {}}, "history.consistent"),
        ({"base": {"content": None, "name": ["x"]}}, "history.consistent"),
        ({"signer": "0x" + "00" * 20}, "run.preregistered"),
    ],
    ids=str,
)
def test_an_opening_record_that_lacks_what_is_needed_fails(
    opening: dict[str, Any], claim: str
) -> None:
    verdict = MemoryRun(opening=opening).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


def test_an_unproven_run_is_undetermined() -> None:
    verdict = MemoryRun(number=None).judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])


def test_an_anchoring_that_is_not_accepted_fails() -> None:
    run = MemoryRun()
    run.chain.anchored[0] = (
        *run.chain.anchored[0][:2],
        replace(run.chain.anchored[0][2], accepted=False),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


def test_an_anchoring_from_before_the_batches_fails() -> None:
    run = MemoryRun()
    run.chain.anchored[0] = (
        *run.chain.anchored[0][:2],
        replace(run.chain.anchored[0][2], log_size=3),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


@pytest.mark.parametrize(
    "registered",
    [
        {},
        {"points": 5},
        {"points": [[1, 2]]},
        {"points": [["0x1"]]},
        {"points": [["x", "y"]]},
    ],
    ids=str,
)
def test_a_malformed_registration_fails(registered: Any) -> None:
    run = MemoryRun()
    run.evidence.registered = registered
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_a_registration_that_is_not_finished_fails() -> None:
    run = MemoryRun()
    block, name, facts = run.chain.datasets[0]
    run.chain.datasets[0] = (block, name, replace(facts, finished=False))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_what_a_step_notes_cannot_be_read_by_another() -> None:
    """What a step needs, it is given. (`guarded` gives its block nothing, either.)"""
    public = {name: value for name, value in vars(Notes).items() if not name.startswith("_")}
    gives = {name: get_type_hints(function)["return"] for name, function in public.items()}
    assert set(gives.values()) == {type(None), Iterator[None]}
    assert {name for name, given in gives.items() if given is not type(None)} == {"guarded"}


# Policy


@pytest.mark.parametrize("claim", sorted(DEFAULT_REQUIRED))
def test_a_required_claim_that_was_not_made_leaves_the_run_undetermined(
    claim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = Notes.holds

    def all_but_one(notes: Notes, id_: str, text: str, **evidence: str) -> None:
        if id_ != claim:
            holds(notes, id_, text, **evidence)

    monkeypatch.setattr(Notes, "holds", all_but_one)
    verdict = MemoryRun().judge()
    assert verdict.status is Status.INDETERMINATE
    assert verdict.reason == f"required but not checked: {claim}"
    others = Policy(require=DEFAULT_REQUIRED - {claim})
    assert MemoryRun().judge(others).status is Status.VERIFIED


def test_a_seed_that_was_never_drawn_is_not_matched_by_zeros() -> None:
    """The contract answers zeros for a run without a seed; anyone could know the order of zeros."""
    run = MemoryRun(edited(0, seed="0x" + "00" * 32))
    run.chain.seeds.clear()
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])
    assert "never drawn" in verdict.reason


def test_a_log_signed_by_somebody_else_than_the_owner_fails() -> None:
    """An endpoint may lie about the owner of a run. The signature of its heads it cannot make."""
    stranger = "0x" + "99" * 20
    run = MemoryRun(opening={"signer": stranger})
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])
    assert "not the run's owner" in verdict.reason


def test_an_endpoint_cannot_lend_a_publishers_name_to_a_strangers_run() -> None:
    """The stranger's run is honest and signed by the stranger; only the owner is a lie."""
    run = MemoryRun()
    publisher = "0x" + "77" * 20
    run.trust = replace(run.trust, publishers=(Publisher(Address(publisher), "believed"),))
    assert run.judge().status is Status.NOT_FOUND
    chain = run.chain
    chain.opened[:] = [(block, replace(facts, owner=publisher)) for block, facts in chain.opened]
    chain.released[:] = [(model, replace(c, owner=publisher)) for model, c in chain.released]
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])
    assert "signs the log" in verdict.reason


def test_sibling_runs_of_every_address_of_the_publisher_are_listed() -> None:
    run = MemoryRun()
    second, other = "0x" + "55" * 20, "0x" + "66" * 20
    me = run.trust.publishers[0]
    run.trust = replace(
        run.trust,
        publishers=(me, replace(me, address=Address(second)), Publisher(Address(other), "other")),
    )
    opened = {a: run.chain.open_run(a, b"\x01" * 32, DATASET) for a in (second, other)}
    run.chain.mine(3)
    assert run.judge().siblings == (f"0x{opened[second].hex()}",)
