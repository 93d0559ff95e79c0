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
from provenance.log.graph.folders import merged_of
from provenance.log.graph.way_back import WayBack, way_of
from provenance.log.records import Merge, Release, Seed, Step
from provenance.verify.case import MAX_ATTEMPTS, Artifact, Case, Options
from provenance.verify.claims import Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import Pending, check_not_revoked, find_release
from provenance.verify.s04_log import Log, check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import Lineage, check_lineage
from provenance.verify.s07_revocation import check_own_revocations
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run

MAX_NODES = 256  # of the whole lineage
MAX_RELEASES = 1024  # the last ones of a log, each asked for on chain
MAX_BEFORE_SEED = 16  # records of a log among which its seed stands
_FILE = "quantized_from"  # leads to a run's own file, of which the base is seldom made
(_STEP,) = (row for row in EDGE_TABLE if row.record == Step.TYPE)
# Without these a run says nothing about the base.
_PROVEN = {"dataset.registered", "epoch.proven"}


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
        walk.back(lineage, (), case.report.draw_block or 0)
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


@dataclass(frozen=True)
class _Sought:
    """What is looked for.

    path: identities from the release back to the artifact that some run made.
    opened: the block for which the run was opened that began with it.
    proven: runs that were found to have made it, with their proofs.
    """

    path: tuple[str, ...]
    opened: int
    proven: set[RunId]

    @property
    def artifact(self) -> str:
        """The last of the path."""
        return self.path[-1]


class _Walk:
    """A walk, depth first. Its work is bounded by `MAX_NODES`: each step adds nodes, or ends."""

    def __init__(self, case: Case, chain: Chain) -> None:
        self._case, self._chain, self.found = case, chain, Ancestry()
        self._nodes = {node for edge in case.report.edges for node in (edge.parent, edge.child)}
        self._asked = set[str]()

    def back(self, lineage: Lineage, path: tuple[str, ...], opened: int) -> None:
        """Go on from a run to those that made its base.

        path: identities of what was made on the way from the release to this run.
        opened: the block that this run was opened for; what made its base was logged before it.

        Raises:
            VerificationError: the lineage goes in a circle, or has too many nodes.
        """
        if not lineage.binds_files:
            return
        self._ask(lineage.folder("base").name, (*path, lineage.folder("merged").name), opened)

    def _ask(self, artifact: str, path: tuple[str, ...], opened: int) -> None:
        """Visit the runs at hand that made an artifact."""
        if artifact in path:
            raise VerificationError("lineage goes in a circle", where=artifact)
        if artifact in self._asked:
            return
        self._asked.add(artifact)
        proven = set[RunId]()
        for run_id, model in self._releases(artifact):
            self._visit(run_id, model, _Sought((*path, artifact), opened, proven))

    def _releases(self, artifact: str) -> list[tuple[RunId, Digest]]:
        """The releases in logs at hand, not yet checked, of runs that name an artifact."""
        found: dict[tuple[RunId, Digest], None] = {}
        for evidence in self._case.verifier.source.makers(artifact):
            try:
                found |= dict.fromkeys(self._released(evidence))
            except UnavailableError:
                raise
            except ProvenanceError:
                continue  # bad evidence must not hide the good
        return list(found)

    def _released(self, evidence: Evidence) -> Iterator[tuple[RunId, Digest]]:
        """(run, model) of the last releases in a log (attacker-controlled), as it says.

        What stands behind the run's head on chain is nobody's log, and is not read.

        Raises:
            ProvenanceError: not a log, or one without these records.
        """
        seed = next((r for r in evidence.records(MAX_BEFORE_SEED) if r.type == Seed.TYPE), None)
        run_id = None if seed is None else seed.fields.get("run_id")
        facts = None if run_id is None else self._chain.snapshot.run(RunId.parse(run_id))
        if facts is None:
            return
        log = evidence.records(facts.size)
        models = [r.fields["model"] for r in log if r.type == Release.TYPE]
        for model in list(dict.fromkeys(reversed(models)))[:MAX_RELEASES]:
            yield facts.run_id, Digest.parse(model)

    def _visit(self, run_id: RunId, model: Digest, sought: _Sought) -> None:
        """Judge one release of a run whose log names the last artifact of a path.

        Every folder that holds the run's log is tried, as for the run in question. Nothing counts,
        for or against the lineage, before the log under the registry's head names the artifact.
        """
        artifact, options = Artifact(model, str(model)), Options(release=run_id)
        for attempt in range(MAX_ATTEMPTS):
            case = Case(artifact, self._case.verifier, options, attempt)
            try:
                log = check_log(case, self._chain, find_release(case, self._chain))
            except (NotFound, Pending, Stopped):
                return  # no trusted publisher released it, or its log is not at hand
            head = case.report.head
            if (
                not _names(log, sought.artifact)
                or head is None
                or head.block_number >= sought.opened
            ):
                return
            try:
                self._examine(case, log, sought)
            except Stopped:
                if attempt + 1 < min(case.report.logs, MAX_ATTEMPTS):
                    continue
                self._note_failure(case, run_id)
            return

    def _examine(self, case: Case, log: Log, sought: _Sought) -> None:
        lineage = check_lineage(case, log, check_history(case, self._chain, log))
        way = way_of(lineage.history, sought.artifact)
        if way is None or not _is_released(way, lineage):
            return
        check_not_revoked(case, self._chain, log.claim, log.claim.index, "release")
        check_own_revocations(case, self._chain, log, lineage)
        for placed in way.records:
            check_not_revoked(case, self._chain, log.claim, placed.index, placed.record.type)
        if log.run.run_id in sought.proven:
            return
        if log.evidence.registration() is None:
            raise Stopped  # the public log alone: none of its proofs is at hand here
        check_proofs(Run(case, self._chain, log, lineage))
        if any(claim.holds is False for claim in case.report.claims):
            raise Stopped  # a sampled claim that fails stops nothing by itself
        if not {claim.id for claim in case.report.claims if claim.holds} >= _PROVEN:
            raise Stopped  # not checked, for want of evidence
        sought.proven.add(log.run.run_id)
        self._add(case, log, way)
        for artifact in way.outside:
            self._ask(artifact, sought.path, log.run.draw_block)
        self.back(lineage, sought.path, log.run.draw_block)

    def _note_failure(self, case: Case, run_id: RunId) -> None:
        """A claim about the other run failed: it was revoked, it contradicts itself, or is no help.

        Raises:
            VerificationError: a trusted publisher released it, and it contradicts itself.
        """
        failed = next((c for c in case.report.claims if c.holds is False), None)
        if failed is None:
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


def _names(log: Log, artifact: str) -> bool:
    """Whether a record of a log names an artifact by its identity."""
    wanted = f'"{artifact}"'.encode()
    return any(wanted in record.to_bytes() for record in log.records)


def _is_released(way: WayBack, lineage: Lineage) -> bool:
    """Whether the followed release is of what lies on the way.

    Where a merge lies there, only releases of its model count: it may have others.
    """
    merged = {merged_of(p.record).name for p in way.records if p.record.type == Merge.TYPE}
    return not merged or lineage.folder("merged").name in merged
