"""One base asked for at different times, in whatever order a step lists its inputs.

Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.judgement.verdict import Verdict
from provenance.log.record import Record
from tests.core.verify.lineage.test_hidden_revocations import REVOKED, VERIFIED
from tests.core.verify.test_ancestry import FIRST, STEP, Generation, claims, judge, merged
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import OWNER, TIME, Change

X, EARLY, LATE, BLEND = merged("X"), merged("early"), merged("late"), merged("blend")


def blending(inputs: list[str], made: NamedFolder) -> Change:
    """A step of these inputs, before the release."""
    tool: dict[str, Any] = {"name": "blender", "version": "1", "digest": str(sha256(b"tool"))}
    fields = {**STEP, "kind": "blend", "inputs": inputs, "outputs": [made.name], "tool": tool}
    return lambda log: [*log[:-1], Record.make("step", TIME, **fields), log[-1]]


def blended(*order: NamedFolder, revoked: Sequence[str]) -> tuple[Verdict, dict[str, Generation]]:
    """X is made behind the opening of the early run, and before that of the late run.

    A step of a third run takes what both made of X.
    """
    chain = MemoryChain()
    early = Generation(X, EARLY, chain)
    maker = Generation(FIRST, X, chain)
    late = Generation(X, LATE, chain)
    own = merged("own")
    inputs = [own.name, *(each.name for each in order)]
    mixer = Generation(merged("other"), own, chain, blending(inputs, BLEND))
    child = Generation(BLEND, merged("child"), chain)
    runs = {"early": early, "maker": maker, "late": late, "mixer": mixer, "child": child}
    for name in revoked:
        chain.revoke(OWNER, runs[name].run_id, runs[name].index("checkpoint"), "leaked")
    return judge([child], list(runs.values())), runs


ORDERS = [(EARLY, LATE), (LATE, EARLY)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_run_that_began_earlier_with_a_base_does_not_hide_who_made_it(order: Any) -> None:
    verdict, _ = blended(*order, revoked=["maker"])
    assert verdict.status is REVOKED, verdict.reason
    assert "which made what the base was made of by its log" in verdict.reason


@pytest.mark.parametrize("order", ORDERS)
def test_each_run_has_its_own_answer_about_the_same_base(order: Any) -> None:
    """The early run cannot have begun with what was logged behind its opening."""
    verdict, runs = blended(*order, revoked=[])
    assert verdict.status is VERIFIED, verdict.reason
    adapters = {name: run.evidence.log[run.index("merge")].fields for name, run in runs.items()}
    notes = {e.child: str(e.note) for e in verdict.edges if e.parent == X.name}
    by_run = {
        name: next(said for child, said in notes.items() if child == named(adapters[name]))
        for name in ("early", "late")
    }
    assert "no run at hand made it" in by_run["early"]
    assert "without a head of a publisher's run from before" in by_run["early"]
    assert "made by another run" in by_run["late"]


def named(merge: Any) -> str:
    return NamedFolder("adapter", merge["adapter"], merge["adapter_files"]).name


def test_the_order_of_a_steps_inputs_changes_nothing_but_the_order_of_the_edges() -> None:
    for revoked in ([], ["maker"], ["early", "late"]):
        one, other = (blended(*order, revoked=revoked)[0] for order in ORDERS)
        told = [(v.status, v.reason, {(e.kind, e.note) for e in v.edges}) for v in (one, other)]
        assert told[0] == told[1]


@pytest.mark.parametrize("is_revoked", [False, True])
def test_what_a_step_took_is_asked_for_as_of_its_head(is_revoked: bool) -> None:
    """The run was opened first of all, so that nothing it took was there before."""
    chain = MemoryChain()
    own, made = merged("own"), merged("maker")
    mixer = Generation(FIRST, own, chain, blending([own.name, made.name], BLEND))
    at = chain.heads.index(next(head for head in chain.heads if head[0] == mixer.run_id))
    maker = Generation(FIRST, made, chain)
    run_id, seq, head = chain.heads[at]
    chain.heads[at] = (run_id, seq, replace(head, block_number=chain.mine()))
    child = Generation(BLEND, merged("child"), chain)
    if is_revoked:
        chain.revoke(OWNER, maker.run_id, maker.index("merge"), "leaked")
    verdict = judge([maker, mixer, child])
    assert verdict.status is (REVOKED if is_revoked else VERIFIED), verdict.reason
    (claim,) = claims(verdict, "base.traced")
    assert is_revoked or maker.run_id.hex() in claim.text
