"""What a publisher logs to hide a revoked run behind a base, and what strangers plant to revoke it.

Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import Digest, sha256
from provenance.errors import VerificationError
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Status
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.merkle import Tree
from tests.core.verify.test_ancestry import (
    FILES,
    FIRST,
    STEP,
    Generation,
    Several,
    claims,
    generations,
    judge,
    merged,
)
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import OWNER, TIME, MemoryEvidence


class Planted:
    """Evidence that is no run of its own."""

    def __init__(self, evidence: MemoryEvidence) -> None:
        self.evidence = evidence


class FirstReleased(Generation):
    """A run that released its first `release` record, whatever follows it."""

    def release(self) -> None:
        run = self.chain.latest().run(self.run_id)
        assert run is not None
        seq = self.commit() if run.size < len(self.evidence.log) else run.seq
        index = next(i for i, r in enumerate(self.evidence.log) if r.type == "release")
        record, tree = self.evidence.log[index], Tree(r.entry for r in self.evidence.log)
        model, manifest = (Digest.parse(record.fields[name]) for name in ("model", "manifest"))
        path = tree.inclusion_proof(index)
        self.chain.release(OWNER, self.run_id, seq, model, manifest, record.digest, index, path)


def merged_again(log: list[Record]) -> list[Record]:
    return [*log, next(r for r in log if r.type == "merge")]


def with_decoys(log: list[Record]) -> list[Record]:
    quantize, release = next(r for r in log if r.type == "quantize"), log[-1]
    more = []
    for number in range(64):
        file = str(sha256(b"decoy %d" % number))
        more.append(replace(quantize, fields={**quantize.fields, "file": file}))
        more.append(replace(release, fields={**release.fields, "model": file}))
    return [*log, *more]


def as_it_is(log: list[Record]) -> list[Record]:
    return log


@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("change", [as_it_is, merged_again, with_decoys])
def test_a_revoked_run_is_not_hidden_by_what_it_logged_besides(
    change: Callable[[list[Record]], list[Record]], trailing: bool
) -> None:
    chain = MemoryChain()
    mother = FirstReleased(FIRST, merged(0), chain, change)
    child = Generation(merged(0), merged(1), chain)
    chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    if trailing:  # behind the head on chain, where everybody can write
        mother.evidence.log.append(mother.evidence.log[0])
    assert judge([mother, child]).status is Status.REVOKED


def test_a_step_makes_nothing_that_a_merge_makes_too() -> None:
    """Else the step would stand for the merge, whose revocation nobody asked for."""
    tool = {"name": "recomputed", "version": "bit by bit", "digest": str(sha256(b"tool"))}
    names = {"kind": "other", "inputs": [FIRST.name], "outputs": [merged(0).name], "tool": tool}

    def change(log: list[Record]) -> list[Record]:
        at = next(i for i, r in enumerate(log) if r.type == "merge")
        return [*log[:at], Record.make("step", TIME, **{**STEP, **names}), *log[at:]]

    mother = Generation(FIRST, merged(0), MemoryChain(), change)
    with pytest.raises(VerificationError, match="what a step made before"):
        read_history(mother.evidence.log)


def forged(run: Generation, base: NamedFolder) -> Planted:
    """A run's log, edited by a stranger so that it made a base."""
    changes: dict[str, dict[str, Any]] = {
        "merge": {"merged": base.content, "merged_files": FILES},
        "quantize": {"source": base.name},
    }
    log = [replace(r, fields={**r.fields, **changes.get(r.type, {})}) for r in run.evidence.log]
    return Planted(MemoryEvidence(run.run_id, log))


def test_a_forged_log_revokes_no_base() -> None:
    """It names a run that was revoked, and has nothing to do with the base."""
    chain = MemoryChain()
    other = Generation(NamedFolder("base", str(sha256(b"other")), FILES), merged("z"), chain)
    child = Generation(FIRST, merged(1), chain)
    chain.revoke(OWNER, other.run_id, other.index("release"), "leaked")
    for at_hand in ([forged(other, FIRST), child], [forged(other, FIRST), other, child]):
        verdict = judge([child], at_hand)  # type: ignore[arg-type]  # only its evidence is asked
        assert verdict.status is Status.VERIFIED, verdict.reason


@pytest.mark.parametrize("revoked", [False, True])
@pytest.mark.parametrize("began_with", [merged(1), merged("z")], ids=["the child", "another"])
def test_a_later_run_made_no_base_of_an_earlier_one(began_with: NamedFolder, revoked: bool) -> None:
    """Its merge of something else is said to have given the base: a circle, or revoked."""
    chain = MemoryChain()
    child = Generation(FIRST, merged(1), chain)
    later = Generation(began_with, FIRST, chain)
    if revoked:
        chain.revoke(OWNER, later.run_id, later.index("merge"), "leaked")
    verdict = judge([child], [child, later])
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert claims(verdict, "base.traced") == []


def test_the_public_log_of_the_bases_run_alone_changes_nothing() -> None:
    mother, child = generations(2)
    bare = Planted(replace(mother.evidence, keys={}, registered=None))
    verdict = judge([child], [bare, child])  # type: ignore[list-item]  # only its evidence is asked
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [None]


def test_a_run_without_proofs_of_its_epochs_made_no_base() -> None:
    def unproven(log: list[Record]) -> list[Record]:
        return [r for r in log if r.type != "epoch" or "number" not in r.fields]

    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, unproven)
    child = Generation(merged(0), merged(1), chain)
    verdict = judge([mother, child])
    assert verdict.status is Status.VERIFIED
    assert [c.holds for c in claims(verdict, "base.traced")] == [None]
    child.source = Several([mother, child])
    demanding = Policy(require=DEFAULT_REQUIRED | {"base.traced"})
    assert child.judge(demanding, str(child.model)).status is Status.INDETERMINATE
