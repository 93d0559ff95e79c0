"""The walk into other runs: which run made the base, who released it, and what of it was revoked.

A run that made a base is judged like the one in question: by its own release on chain, log, history
and proofs. What is not at hand is not reached, and the edge to the base says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from provenance.digest import Digest
from provenance.errors import NotFound, ProvenanceError, UnavailableError, VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.verdict import Edge
from provenance.log.fold import read_history
from provenance.log.graph.folders import binds_files
from provenance.log.graph.way_back import WayBack, way_of
from provenance.log.records import Merge, Step
from provenance.verify.case import MAX_ATTEMPTS, Artifact, Case, Options
from provenance.verify.claims import Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import Pending, check_not_revoked, check_release
from provenance.verify.s04_log import Log, check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import Lineage, check_lineage
from provenance.verify.s07_revocation import check_own_revocations
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run

MAX_NODES = 256  # of the whole lineage
MAX_RELEASES = 64  # the last ones of a log, each asked for on chain
_FILE = "quantized_from"  # leads to a run's own file, of which the base is seldom made
(_STEP,) = (row for row in EDGE_TABLE if row.record == Step.TYPE)
# Without these a run says nothing about the base: it is not at hand, or nobody trusted released it.
_NOT_REACHED = {"release.named", "release.logged", "head.signed", "head.final"}


@dataclass
class Ancestry:
    """What other runs say about the base, and about the bases that they began with.

    edges: of the runs that made them, with the grades that the proofs at hand give.
    runs: these runs, nearest first, each with its publisher, for people.
    bases: what these runs made on the way.
    revoked: what of them was revoked.
    fault: what contradicts the lineage; None if nothing does.
    development: reasons why this is no production verdict.
    """

    edges: list[Edge] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)
    revoked: list[VerificationError] = field(default_factory=list)
    fault: ProvenanceError | None = None
    development: list[str] = field(default_factory=list)


def trace_base(case: Case, chain: Chain, lineage: Lineage) -> Ancestry:
    """Walk back from the run's base through the runs at hand that made it, and add what they say.

    Raises:
        UnavailableError: chain or prover cannot be reached.
    """
    walk = _Walk(case, chain)
    try:
        walk.back(lineage, ())
    except UnavailableError:
        raise
    except ProvenanceError as error:
        walk.found.fault = error
    found, report = walk.found, case.report
    report.ancestors = [_noted(edge, found) for edge in found.edges]
    report.development += found.development
    if lineage.binds_files:
        report.edges = [_noted(edge, found) for edge in report.edges]
    if found.fault is not None:
        report.fails("base.traced", found.fault)
    elif found.runs:
        report.holds("base.traced", _told(found), runs=", ".join(found.runs))
    return found


def _told(found: Ancestry) -> str:
    first, *others = found.runs.values()
    more = f", which goes back through {len(others)} more: {', '.join(others)}" if others else ""
    return f"the base was made by {first}{more}; release, log, history and proofs of each checked"


def _noted(edge: Edge, found: Ancestry) -> Edge:
    """An edge from a base says whether a run at hand made that base."""
    if edge.kind != "finetuned_from":
        return edge
    made = "made by another run" if edge.parent in found.bases else "no run at hand made it"
    return replace(edge, note=f"{edge.note}; {made}" if edge.note else made)


class _Walk:
    """A walk, depth first. Its work is bounded by `MAX_NODES`: each step adds nodes, or ends."""

    def __init__(self, case: Case, chain: Chain) -> None:
        self._case, self._chain, self.found = case, chain, Ancestry()
        self._nodes = {node for edge in case.report.edges for node in (edge.parent, edge.child)}
        self._asked = set[str]()

    def back(self, lineage: Lineage, path: tuple[str, ...]) -> None:
        """Go on from a run to those that made its base.

        path: identities of what was made on the way from the release to this run.

        Raises:
            VerificationError: the lineage goes in a circle, or has too many nodes.
        """
        if not lineage.binds_files:
            return
        self._ask(lineage.folder("base").name, (*path, lineage.folder("merged").name))

    def _ask(self, artifact: str, path: tuple[str, ...]) -> None:
        """Visit the runs at hand that made an artifact."""
        if artifact in path:
            raise VerificationError("lineage goes in a circle", where=artifact)
        if artifact in self._asked:
            return
        self._asked.add(artifact)
        proven = set[RunId]()
        for run_id, model in self._releases(artifact):
            self._visit(run_id, model, (*path, artifact), proven)

    def _releases(self, artifact: str) -> list[tuple[RunId, Digest]]:
        """The releases in logs at hand, not yet checked, of runs that say they made an artifact."""
        found: dict[tuple[RunId, Digest], None] = {}
        for evidence in self._case.verifier.source.makers(artifact):
            try:
                found |= dict.fromkeys(_released_with(evidence, artifact))
            except UnavailableError:
                raise
            except ProvenanceError:
                continue  # bad evidence must not hide the good
        return list(found)

    def _visit(
        self, run_id: RunId, model: Digest, path: tuple[str, ...], proven: set[RunId]
    ) -> None:
        """Judge one release of a run that says it made the last artifact of a path.

        Every folder that holds the run's log is tried, as for the run in question.
        """
        artifact, options = Artifact(model, str(model)), Options(release=run_id)
        for attempt in range(MAX_ATTEMPTS):
            case = Case(artifact, self._case.verifier, options, attempt)
            try:
                self._examine(case, run_id, path, proven)
            except (NotFound, Pending):
                return  # no trusted publisher released it
            except Stopped:
                if attempt + 1 < min(case.report.logs, MAX_ATTEMPTS):
                    continue
                self._note_failure(case, run_id)
            return

    def _examine(
        self, case: Case, run_id: RunId, path: tuple[str, ...], proven: set[RunId]
    ) -> None:
        log, lineage = self._judge(case)
        way = way_of(lineage.history, path[-1])
        if way is None:
            return
        check_own_revocations(case, self._chain, log, lineage)
        for placed in way.records:
            check_not_revoked(case, self._chain, log.claim, placed.index, placed.record.type)
        if run_id in proven:
            return
        check_proofs(Run(case, self._chain, log, lineage))
        if any(claim.holds is False for claim in case.report.claims):
            raise Stopped  # a sampled claim that fails stops nothing by itself
        proven.add(run_id)
        self._add(case, log, way)
        for artifact in way.outside:
            self._ask(artifact, path)
        self.back(lineage, path)

    def _judge(self, case: Case) -> tuple[Log, Lineage]:
        claim = check_release(case, self._chain)
        log = check_log(case, self._chain, claim)
        return log, check_lineage(case, log, check_history(case, self._chain, log))

    def _note_failure(self, case: Case, run_id: RunId) -> None:
        """A claim about the other run failed: it was revoked, it contradicts itself, or is no help.

        Raises:
            VerificationError: a trusted publisher released it, and it contradicts itself.
        """
        failed = next((c for c in case.report.claims if c.holds is False), None)
        if failed is None or failed.id in _NOT_REACHED:
            return
        error = VerificationError(
            f"run {to_hex(run_id)}, which made the base: {failed.text}",
            where=failed.where,
            expected=failed.expected,
            actual=failed.actual,
        )
        if failed.id != "not.revoked":
            raise error
        self.found.revoked.append(error)

    def _add(self, case: Case, log: Log, way: WayBack) -> None:
        """Take the edges of a run into the lineage."""
        found, claim = self.found, log.claim
        own = (e for e in case.report.edges if e.kind != _FILE or e.child in way.artifacts)
        steps = (_STEP.edge({"input": a, "output": b}, note) for a, b, note in way.links)
        edges = [*steps, *own]
        self._nodes |= {node for edge in edges for node in (edge.parent, edge.child)}
        if len(self._nodes) > MAX_NODES:
            raise VerificationError(
                "lineage has too many nodes",
                where=f"run {to_hex(claim.run_id)}",
                expected=f"<= {MAX_NODES}",
                actual=len(self._nodes),
            )
        publisher = case.verifier.trust.publisher(claim.owner, claim.block_number)
        name = claim.owner if publisher is None else publisher.name
        found.runs[to_hex(claim.run_id)] = f"run {to_hex(claim.run_id)} of {name}"
        found.bases |= way.artifacts
        found.edges += [edge for edge in edges if edge not in found.edges]
        found.development += case.report.development


def _released_with(evidence: Evidence, artifact: str) -> Iterator[tuple[RunId, Digest]]:
    """(run, model) of each release in a log (attacker-controlled) that made an artifact.

    Where a merge lies on the way, only releases of that merge count.

    Raises:
        ProvenanceError: not a log, or one that contradicts itself.
    """
    history = read_history(evidence.records())
    if not binds_files(history.opening) or history.seed is None:
        return
    way = way_of(history, artifact) if history.releases else None
    if way is None:
        return
    merges = {placed.index for placed in way.records if placed.record.type == Merge.TYPE}
    run_id = RunId.parse(history.seed.fields["run_id"])
    for release in history.releases[-MAX_RELEASES:]:
        if not merges or history.path(release.index).merge.index in merges:
            yield run_id, Digest.parse(release.fields["model"])
