"""Another run that the walk comes to, and what the walk has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provenance.artifacts.identity import NamedFolder, first_difference
from provenance.errors import ProvenanceError, VerificationError
from provenance.ids import Address, RunId, to_hex
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Claim, Edge
from provenance.text.shown import quoted
from provenance.verify.case import Case
from provenance.verify.claims import Report, Stopped
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage.makers import Asked

# Without these a run says nothing about the base.
_PROVEN = ("dataset.registered", "epoch.proven")
_SIGNATURES = ("head.signed", "head.witnessed")
SIGNED_HEADS = "heads of that run that its key signed (provenance/heads.jsonl)"


@dataclass(frozen=True)
class Other:
    """Another run: its log, the question about it, and what the steps that were taken found."""

    case: Case
    report: Report
    log: Log

    @property
    def called(self) -> str:
        """The run with its publisher, for people."""
        claim = self.log.claim
        return called(self.case.verifier.trust, claim.run_id, claim.owner, claim.block_number)

    @property
    def first_failed(self) -> Claim | None:
        """The first claim that fails, but for those about signatures.

        Anyone can put bad signatures beside a log, and the registry's head confirms it without.
        """
        failed = (c for c in self.report.claims if c.holds is False)
        return next((c for c in failed if c.id not in _SIGNATURES), None)

    @property
    def first_open(self) -> Claim | None:
        """The first claim without which a run is not followed and that does not hold."""
        needed = {*_PROVEN, *_SIGNATURES, *self.report.lacking}
        return next((c for c in self.report.claims if c.id in needed and not c.holds), None)

    def require_proven(self) -> None:
        """No claim fails, and the run is proven.

        Raises:
            Stopped: a claim fails (a sampled one stops nothing by itself), or evidence is missing.
        """
        held = {claim.id for claim in self.report.claims if claim.holds}
        fails = any(claim.holds is False for claim in self.report.claims)
        if fails or self.report.lacking or not held.issuperset(_PROVEN):
            raise Stopped


@dataclass(frozen=True)
class Partly:
    """What is known of a run that made an artifact and cannot be followed.

    said: in one sentence; needs: what following it would take.
    """

    said: str
    needs: str


@dataclass
class Ancestry:
    """What other runs say about the base, and about what that was made of.

    What is known of an artifact belongs to the block for which it was asked (`Asked`): runs that
    began with the same one at different times have different answers.

    edges: of the runs that made them, with the grades that the proofs at hand give.
    asked: of such an edge (kind, parent, child) for which block its parent was asked.
    runs: these runs, in the order in which they were found, each with its publisher, for people.
    makers: ids of those of them that made the base itself, not what it was made of.
    made: what these runs made.
    by: of what was sought, the publishers of runs that made it and that nothing speaks against.
    partly: what is known of makers that cannot be followed; the first one counts.
    passed: journals at hand that name the artifact and are passed over, and releases of makers that
        do not count, each with the reason.
    doubted: false proofs at hand of makers.
    cut: makers of which some folders were not tried.
    revoked: what of all these runs was revoked.
    fault: what contradicts the lineage; None if nothing does.
    development: reasons why this is no production verdict.
    """

    edges: list[Edge] = field(default_factory=list)
    asked: dict[tuple[str, str, str], int] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    makers: list[str] = field(default_factory=list)
    made: set[Asked] = field(default_factory=set)
    by: dict[Asked, set[str]] = field(default_factory=dict)
    partly: dict[Asked, Partly] = field(default_factory=dict)
    passed: dict[Asked, list[str]] = field(default_factory=dict)
    doubted: dict[Asked, VerificationError] = field(default_factory=dict)
    cut: dict[Asked, str] = field(default_factory=dict)
    revoked: list[VerificationError] = field(default_factory=list)
    fault: ProvenanceError | None = None
    development: list[str] = field(default_factory=list)

    def adds(self, edges: Sequence[Edge], before: Mapping[str, int]) -> None:
        """Take in edges, each once. before: for which block parents are asked, by kind of edge."""
        for edge in edges:
            key = (edge.kind, edge.parent, edge.child)
            self.asked[key] = max(before.get(edge.kind, 0), self.asked.get(key, 0))
            if edge not in self.edges:
                self.edges.append(edge)

    def knows(self, asked: Asked, said: str, needs: str) -> None:
        """Keep what is known of a run that cannot be followed."""
        self.partly.setdefault(asked, Partly(said, needs))

    def said(self, asked: Asked) -> str | None:
        """What is known of whoever made an artifact; None if no log at hand says anything of it."""
        passed = ", ".join(self.passed.get(asked, ()))
        more = f"; passed over: {passed}" if passed else ""
        partly = self.partly.get(asked)
        if asked in self.made:
            return f"made by another run, by its log{more}"
        if partly is not None:
            return f"{partly.said}{more}"
        return f"no run at hand made it{more}" if more else None


def called(trust: Trust, run_id: RunId, owner: Address, block: int) -> str:
    """A run with its owner, for people: the publisher of that block, else the account."""
    publisher = trust.publisher(owner, block)
    return f"run {to_hex(run_id)} of {owner if publisher is None else publisher.name}"


def differing(made: NamedFolder, base: NamedFolder) -> str:
    """In what a base differs from the model of the same weights that a run logged."""
    if made.files is None:
        return "its log binds no files beside them"
    files = base.files or {}
    path = first_difference(made.files, files) or ""
    how = "is not the logged one"
    if path not in made.files:
        how = "was not logged there"
    elif path not in files:
        how = "is missing"
    return f"the folder differs from the one it logged: {quoted(path)} {how}"
