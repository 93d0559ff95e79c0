"""The walk itself: the runs at hand that made an artifact, each judged, and so on back.

A run that made a base is judged like the one in question: by its own release on chain, log, history
and proofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provenance.artifacts.identity import NamedFolder
from provenance.digest import Digest
from provenance.errors import VerificationError
from provenance.ids import to_hex
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.facts import ClaimFacts
from provenance.judgement.verdict import Edge
from provenance.log.graph.folders import base_of, merged_of
from provenance.log.graph.way_back import WayBack, way_of
from provenance.log.history import Placed
from provenance.log.records import Merge, Step
from provenance.verify.case import MAX_ATTEMPTS, Artifact, Case, Options
from provenance.verify.claims import Notes, Report, Stopped
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import check_not_revoked, is_in_time
from provenance.verify.s04_log import Log, check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import Lineage, check_lineage
from provenance.verify.s06_lineage.alone import contradiction
from provenance.verify.s06_lineage.found import (
    SIGNED_HEADS,
    Ancestry,
    Other,
    Partly,
    called,
    differing,
)
from provenance.verify.s06_lineage.makers import Beside, Maker, Sought, makers_of, says_it_made
from provenance.verify.s07_revocation import check_own_revocations
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run

MAX_NODES = 256  # of the whole lineage
_FILE = "quantized_from"  # leads to a run's own file, of which the base is seldom made
_CALLED = {True: "the base", False: "the base's weights"}
(_STEP,) = (row for row in EDGE_TABLE if row.record == Step.TYPE)


class Walk:
    """A walk, depth first. Its work is bounded by `MAX_NODES`: each step adds nodes, or ends."""

    def __init__(self, case: Case, chain: Chain, edges: Sequence[Edge]) -> None:
        self._case, self._chain, self.found = case, chain, Ancestry()
        self._nodes = {node for edge in edges for node in (edge.parent, edge.child)}
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
        base, made = lineage.folder("base"), (*path, lineage.folder("merged").name)
        self._ask(base.name, made, opened)
        self._ask_weights(base, made, opened)

    def _ask(self, artifact: str, path: tuple[str, ...], opened: int) -> None:
        """Visit the runs at hand that made an artifact."""
        if artifact in path:
            raise VerificationError("lineage goes in a circle", where=artifact)
        if artifact in self._asked:
            return
        self._asked.add(artifact)
        self._visit_makers(Sought((*path, artifact), opened))

    def _ask_weights(self, base: NamedFolder, path: tuple[str, ...], opened: int) -> None:
        """Visit the runs at hand that made a base's weights beside other files.

        They made no such folder, so the walk does not go on into them. But one more file in a
        folder must not hide that its weights are those of a revoked run.
        """
        question = f"weights of {base.name}"  # no artifact has such a name
        if question in self._asked:
            return
        self._asked.add(question)
        self._visit_makers(Sought((*path, base.name), opened, weights=base))

    def _visit_makers(self, sought: Sought) -> None:
        """Visit the runs at hand that made what is sought, by each release of theirs."""
        for maker in makers_of(self._case.verifier, self._chain.snapshot, sought):
            released = [(model, claim) for model, claim in maker.claims.items() if claim]
            for model, claim in released:
                self._visit(maker, claim, model, sought)
            if not released:
                self._note_cut(maker, sought)

    def _visit(self, maker: Maker, claim: ClaimFacts, model: Digest, sought: Sought) -> None:
        """Judge one release of a run whose log names the last artifact of a path.

        Every folder that holds the run's log is tried, as for the run in question: one that proves
        it counts before one that contradicts it, and that before one that lacks something. Nothing
        counts, for or against the lineage, that the log under the release's head does not say.
        """
        artifact, options = Artifact(model, str(model)), Options(release=claim.run_id)
        verifier = replace(self._case.verifier, source=Beside(self._case.verifier.source, maker))
        stopped: list[Other] = []
        for attempt in range(MAX_ATTEMPTS):
            report = Report()
            case = Case(artifact, verifier, options, Notes(report), attempt)
            try:
                log = check_log(case, self._chain, claim, reads_on=Stopped)
            except Stopped:  # the release lies under a later head than what is at hand
                self._note_cut(maker, sought)
                return
            if log.head.block_number >= sought.opened or not says_it_made(log.records, sought):
                return
            other = Other(case, report, log)
            try:
                self._examine(other, sought)
                return
            except Stopped:
                stopped.append(other)
            if attempt + 1 >= report.logs:
                break
        self._note_failure(next((o for o in stopped if o.first_failed), stopped[0]), sought)

    def _examine(self, other: Other, sought: Sought) -> None:
        """Judge a run whose log says that it made what is sought, and go on behind it if it did.

        Raises:
            Stopped: something of it was revoked, contradicts itself, or was not checked.
        """
        case, log = other.case, other.log
        lineage = check_lineage(case, log, check_history(case, self._chain, log))
        if sought.weights is not None:
            self._compare_weights(other, lineage, sought.weights)
            return
        way = way_of(lineage.history, sought.artifact)
        if way is None or not _is_released(way, lineage):
            return
        self._check_revocations(case, log, lineage, way.records)
        if log.run.run_id in sought.proven:
            return
        check_proofs(Run(case, self._chain, log, lineage))
        other.require_proven()
        sought.proven.add(log.run.run_id)
        self._add(other, way, sought)
        for artifact in way.outside:
            self._ask(artifact, sought.path, log.run.draw_block)
        self.back(lineage, sought.path, log.run.draw_block)

    def _check_revocations(
        self, case: Case, log: Log, lineage: Lineage, records: Sequence[Placed]
    ) -> None:
        """Neither the release, nor what it descends from, nor these records were revoked."""
        check_not_revoked(case, self._chain, log.claim, log.claim.index, "release")
        check_own_revocations(case, self._chain, log, lineage)
        for placed in records:
            check_not_revoked(case, self._chain, log.claim, placed.index, placed.record.type)

    def _compare_weights(self, other: Other, lineage: Lineage, base: NamedFolder) -> None:
        """Say in what a base differs from the model of a run that made the same weights."""
        history = lineage.history
        merges = [m for m in history.merges if merged_of(m.record).content == base.content]
        made = [merged_of(merge.record) for merge in merges]
        if base_of(history.opening).content == base.content or base.name in {m.name for m in made}:
            return  # it changed nothing; or it made the very folder, and was judged for that
        if lineage.folder("merged").content != base.content:
            return  # the followed release is of another merge
        self._check_revocations(other.case, other.log, lineage, merges)
        needs = "a base folder as that run logged it"
        said = f"{other.called} made these weights; {differing(made[-1], base)}"
        self.found.partly.setdefault(base.name, Partly(said, needs))

    def _note_cut(self, maker: Maker, sought: Sought) -> None:
        """A publisher's log at hand has no release that counts, or ends before the head of one."""
        trust, run = self._case.verifier.trust, maker.facts
        if trust.publisher(run.owner, maker.block) is None:
            return
        what = "it" if sought.weights is None else "these weights"
        by = called(trust, run.run_id, run.owner, maker.block)
        said = (
            f"{by} made {what} by its anchored log, but no release of that is under what is at hand"
        )
        self._know(sought, said, "the log up to the head of that run's release")

    def _know(self, sought: Sought, said: str, needs: str) -> None:
        """Keep what is known of a run that cannot be followed; the first one counts."""
        self.found.partly.setdefault(sought.artifact, Partly(said, needs))

    def _note_failure(self, other: Other, sought: Sought) -> None:
        """A claim about the other run failed or was not checked: it was revoked, or is no help.

        Raises:
            VerificationError: a trusted publisher released it, and log or chain contradict it.
        """
        run, left, failed = other.called, other.first_open, other.first_failed
        against = None
        if sought.weights is None and (failed is None or failed.id != "not.revoked"):
            against = contradiction(other, self._chain)  # also of a log without its proofs
        failed = against or failed
        what = "it" if sought.weights is None else "these weights"
        made = f"{run} made {what} by its anchored log"
        if failed is None:
            if left is not None:
                said = f"{made}, which is not checked in full: {left.text}"
                self._know(sought, said, left.needs or SIGNED_HEADS)
            return
        self._know(sought, f"{made}, but {failed.text}", "a base of which nothing is said against")
        error = VerificationError(
            f"{run}, which made {_CALLED[sought.weights is None]} by its log: {failed.text}",
            where=failed.where,
            expected=failed.expected,
            actual=failed.actual,
        )
        if failed.id == "not.revoked":
            self.found.revoked.append(error)
        elif sought.weights is not None or not is_in_time(other.case, self._chain, other.log.claim):
            return
        elif against is not None:
            raise error
        else:
            self.found.doubted.setdefault(sought.artifact, error)

    def _add(self, other: Other, way: WayBack, sought: Sought) -> None:
        """Take the edges of a run into the lineage."""
        found, run_id = self.found, to_hex(other.log.claim.run_id)
        own = (e for e in other.report.edges if e.kind != _FILE or e.child in way.artifacts)
        steps = (_STEP.edge({"input": a, "output": b}, note) for a, b, note in way.links)
        edges = [*steps, *own]
        self._nodes |= {node for edge in edges for node in (edge.parent, edge.child)}
        if len(self._nodes) > MAX_NODES:
            raise VerificationError(
                "lineage has too many nodes",
                where=f"run {run_id}",
                expected=f"<= {MAX_NODES}",
                actual=len(self._nodes),
            )
        found.runs[run_id] = other.called
        if sought.is_base:
            found.makers.append(run_id)
        found.bases |= way.artifacts
        found.edges += [edge for edge in edges if edge not in found.edges]
        found.development += other.report.development


def _is_released(way: WayBack, lineage: Lineage) -> bool:
    """Whether the followed release is of what lies on the way.

    Where a merge lies there, only releases of its model count: it may have others.
    """
    merged = {merged_of(p.record).name for p in way.records if p.record.type == Merge.TYPE}
    return not merged or lineage.folder("merged").name in merged
