"""A trusted publisher whose runs say that they made somebody else's base, to deny what is made of
it. Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Verdict
from provenance.verify.s06_lineage import walk
from tests.core.verify.lineage.test_denied_bases import Foreign, twice_begun
from tests.core.verify.lineage.test_hidden_revocations import OTHER, REVOKED, VERIFIED
from tests.core.verify.test_ancestry import FIRST, Generation, claims, judge, merged
from tests.support.memory_chain import MemoryChain

BASE, DETOUR = merged("the base"), merged("a detour")
Rivals = Callable[[type[Generation], MemoryChain], list[Generation]]


def circle(of: type[Generation], chain: MemoryChain) -> list[Generation]:
    """Two runs: from the base to something else, and back."""
    return [of(BASE, DETOUR, chain), of(DETOUR, BASE, chain)]


def inconsistent(of: type[Generation], chain: MemoryChain) -> list[Generation]:
    return [of(DETOUR, BASE, chain, twice_begun)]


def long_way(of: type[Generation], chain: MemoryChain) -> list[Generation]:
    """More runs than a lineage may have, each with batches, an adapter and a model."""
    models = [NamedFolder("merged", merged(n).content, FIRST.files) for n in range(90)]
    ends = [*models, BASE]
    return [of(begin, end, chain) for begin, end in pairwise(ends)]


RIVALS: dict[str, Rivals] = {"circle": circle, "inconsistent": inconsistent, "long": long_way}
SAYS = {
    "circle": "lineage goes in a circle",
    "inconsistent": "the seed is logged once",
    "long": "lineage has too many nodes",
}


def judged(
    rivals: Rivals, *, first: bool = True, of: type[Generation] = Foreign, revoked: bool = False
) -> Verdict:
    """A model of a base that an honest run made, and that other runs say they made."""
    chain = MemoryChain()
    honest, others = Generation(FIRST, BASE, chain), rivals(of, chain)
    child = Generation(BASE, merged("child"), chain)
    other = Publisher(OTHER, "other")
    child.trust = replace(child.trust, publishers=(*child.trust.publishers, other))
    if revoked:
        chain.revoke(OTHER, others[-1].run_id, others[-1].index("merge"), "leaked")
    before = [*others, honest] if first else [honest, *others]
    return judge([*before, child])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", RIVALS)
def test_who_says_that_they_made_anothers_base_denies_nobody(name: str, first: bool) -> None:
    verdict = judged(RIVALS[name], first=first)
    assert verdict.status is VERIFIED, verdict.reason
    (claim,) = claims(verdict, "base.traced")
    assert (claim.holds, len(claim.evidence["runs"].split(", "))) == (True, 1)
    notes = {e.parent: str(e.note) for e in verdict.edges if e.kind == "finetuned_from"}
    assert notes.keys() == {FIRST.name, BASE.name}  # nothing of theirs is in the lineage
    assert "of other, which says that it made it (" in notes[BASE.name]
    assert SAYS[name] in notes[BASE.name]


@pytest.mark.parametrize("name", RIVALS)
def test_what_one_publisher_says_against_itself_fails(name: str) -> None:
    verdict = judged(RIVALS[name], of=Generation)
    (claim,) = claims(verdict, "base.traced")
    assert claim.holds is False
    assert SAYS[name] in claim.text


@pytest.mark.parametrize("name", RIVALS)
def test_what_is_revoked_of_a_run_that_is_left_out_counts(name: str) -> None:
    verdict = judged(RIVALS[name], revoked=True)
    assert verdict.status is REVOKED, verdict.reason


def test_few_runs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the walk begin anew."""
    monkeypatch.setattr(walk, "MAX_LEFT_OUT", 2)

    def many(of: type[Generation], chain: MemoryChain) -> list[Generation]:
        return [run for _ in range(3) for run in inconsistent(of, chain)]

    verdict = judged(many)
    assert [c.holds for c in claims(verdict, "base.traced")] == [False]
    monkeypatch.setattr(walk, "MAX_LEFT_OUT", 3)
    assert judged(many).status is VERIFIED
