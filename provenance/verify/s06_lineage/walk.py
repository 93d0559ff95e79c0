"""The walk itself: the runs at hand that made an artifact, each judged, and so on back.

What was revoked of a run counts by its log under the registry's head, with whatever proofs. To be
followed, a run that made a base is judged like the one in question: by its own release on chain,
log, history and proofs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import replace

from provenance.digest import Digest
from provenance.errors import ProvenanceError, UnavailableError, VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.facts import ClaimFacts
from provenance.judgement.verdict import Claim, Edge
from provenance.log.graph.way_back import way_of
from provenance.log.records import Step
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.claims import Notes, Report, Stopped
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import check_key, is_in_time
from provenance.verify.s06_lineage import Lineage
from provenance.verify.s06_lineage.alone import contradiction
from provenance.verify.s06_lineage.found import SIGNED_HEADS, Ancestry, Other, called
from provenance.verify.s06_lineage.logs import Logs, remembered
from provenance.verify.s06_lineage.makers import UNCONFIRMED, Asked, Maker, Sought, makers_of
from provenance.verify.s06_lineage.standing import Standing, Told, path_of, releases_of, told_by
from provenance.verify.s06_lineage.trials import Exhausted, Trials
from provenance.verify.s06_lineage.unfollowed import as_error, of_unreleased, of_weights
from provenance.verify.s07_revocation import check_dataset, check_records
from provenance.verify.s09_recomputation.audited import REPLAYED

MAX_NODES = 256  # of the whole lineage
MAX_LEFT_OUT = 16  # runs, each of which has the walk begin anew
_FILE = "quantized_from"  # leads to a run's own file, of which the base is seldom made
_BASE = "finetuned_from"
(_STEP,) = (row for row in EDGE_TABLE if row.record == Step.TYPE)
_Claimed = Sequence[tuple[Digest, ClaimFacts]]


class Walk:
    """A walk, depth first. Its work is bounded by `MAX_NODES`: each step adds nodes, or ends.

    An artifact is asked for once for each block, and the answers do not depend on the order.

    A run that cannot stand fails it, unless one of another publisher made the same and stands: then
    it is left out, but for what was revoked of it, and the walk begins anew.
    """

    def __init__(self, case: Case, chain: Chain, edges: Sequence[Edge], base: str) -> None:
        chain = replace(chain, snapshot=remembered(chain.snapshot))
        self._case, self._chain, self._base, self.found = case, chain, base, Ancestry()
        self._logs = Logs(case.verifier.source, case.verifier.trust, chain.snapshot)
        self._trials = Trials(case, chain)
        self._own = {node for edge in edges for node in (edge.parent, edge.child)}
        self._parents = defaultdict[str, set[str]](set)
        self._asked = set[tuple[Asked, str]]()
        self._left_out: dict[RunId, str] = {}  # runs that cannot stand, each with the reason

    def begin(self, lineage: Lineage, child: str, opened: int) -> Ancestry:
        """Walk; again where runs were left out. Arguments as of `back`.

        Raises:
            UnavailableError: chain or prover cannot be reached.
        """
        count = -1
        while count < len(self._left_out):
            count, self.found, self._nodes = len(self._left_out), Ancestry(), set(self._own)
            self._parents.clear()
            self._asked.clear()
            try:
                self.back(lineage, child, opened)
            except UnavailableError:
                raise
            except ProvenanceError as error:
                self.found.fault = error
        return self.found

    def back(self, lineage: Lineage, child: str, opened: int) -> None:
        """Go on from a run to those that made its base.

        child: what the run made of it; opened: the block that the run was opened for.

        Raises:
            VerificationError: the lineage goes in a circle, or has too many nodes.
        """
        if not lineage.binds_files:
            return
        base = lineage.folder("base")
        self._link(child, base.name)
        self._ask(Sought(base.name, opened, base))
        self._ask(Sought(base.name, opened, base, by_weights=True))

    def _link(self, child: str, parent: str) -> None:
        """What is made of something may not be what that was made of."""
        seen, todo = set[str](), [parent]
        while todo:
            name = todo.pop()
            if name == child:
                raise VerificationError("lineage goes in a circle", where=parent)
            todo += self._parents[name] - seen
            seen.add(name)
        self._parents[child].add(parent)

    def _ask(self, sought: Sought) -> None:
        """Visit the runs at hand that made an artifact, or its weights beside other files.

        The latter made no such folder, so the walk does not go on into them. But one more file in
        a folder must not hide that its weights are those of a revoked run.
        """
        question = (sought.asked, sought.what)
        if question in self._asked:
            return
        self._asked.add(question)
        trust, snapshot = self._case.verifier.trust, self._chain.snapshot
        makers = makers_of(self._logs, trust, snapshot, sought)
        visited, against = list[str](), list[tuple[Maker, VerificationError]]()
        for maker in makers.runs.values():
            nodes = set(self._nodes)
            try:
                visited += self._visit(maker, sought)
            except VerificationError as error:
                against.append((maker, error))
                self._nodes = nodes  # of which others need room
        for maker, fault in against:
            self._leave_out(maker, fault, sought)
        passed = self.found.passed.setdefault(sought.asked, [])
        for why, count in Counter([*makers.passed, *visited]).items():
            journals = f"{counted(count, 'journal')} {why}" if why in makers.passed else why
            passed += [] if journals in passed else [journals]

    def _leave_out(self, maker: Maker, error: VerificationError, sought: Sought) -> None:
        """Leave out a run that cannot stand, if one of another publisher does.

        Else whoever is trusted could deny all bases of others, by a run that says it made them.

        Raises:
            VerificationError: `error`; none does, or too many runs were left out already.
        """
        others = self.found.by.get(sought.asked, set()) - {self._team(maker)}
        if not others or len(self._left_out) >= MAX_LEFT_OUT:
            raise error
        self._left_out[maker.facts.run_id] = error.what

    def _visit(self, maker: Maker, sought: Sought) -> Sequence[str]:
        """Judge a run whose log says that it made what is sought.

        Returns:
            What more is to be said at the edge.
        """
        told = told_by(self._logs.folded(maker.facts, maker.records), sought)
        if told is None:
            return ()
        releases = releases_of(self._chain.snapshot, maker, told, sought)
        publisher = self._case.verifier.trust.publisher(maker.facts.owner, maker.block)
        if publisher is None and not releases.counting:
            return [f"{counted(len(maker.logs), 'journal')} {UNCONFIRMED}"]
        is_revoked = self._check_revoked(maker, told, releases.counting, sought)
        if sought.weights is not None:
            self.found.knows(sought.asked, *of_weights(self._called(maker), told, sought))
        elif not releases.counting:
            said, needs = of_unreleased(maker, releases, sought)
            self.found.knows(sought.asked, f"{self._made(maker, sought)}, but {said}", needs)
        elif why := self._left_out.get(maker.facts.run_id):
            return [f"{self._called(maker)}, which says that it made {sought.what} ({why})"]
        elif told.broken is not None or not is_revoked:
            self._follow(maker, releases.counting, sought)
        is_made = sought.asked in self.found.made
        return releases.passed(Standing.LATE, Standing.CUT) if is_made else ()

    def _check_revoked(self, maker: Maker, told: Told, claims: _Claimed, sought: Sought) -> bool:
        """Whether something was revoked of a run, or of one of its releases that count.

        One of them is enough, although another one may stand. Where the log breaks a rule, its
        releases are judged by that.
        """
        own = told.revocable(len(maker.records))
        failed = self._revoked(maker, own)
        if told.broken is None and told.history is not None:
            for _, claim in claims:
                more = path_of(told.history, claim) - own
                failed = failed or self._revoked(maker, more, claim)
        if failed is not None:
            self._note_revoked(maker, failed, sought)
        return failed is not None

    def _revoked(
        self, maker: Maker, way: Set[int], claim: ClaimFacts | None = None
    ) -> Claim | None:
        """What was revoked of these records, of the dataset, or of the key that released."""
        report = Report()
        case, run = replace(self._case, notes=Notes(report)), maker.facts
        try:
            check_records(case, self._chain, run, maker.records, way)
            if claim is None:
                check_dataset(case, self._chain, run)
            else:
                check_key(case, self._chain, claim)
        except Stopped:
            return report.claims[-1]
        return None

    def _follow(self, maker: Maker, claims: _Claimed, sought: Sought) -> None:
        """Go on behind a run, by the first of its releases that some folder proves."""
        failed: list[Other] = []
        try:
            for trial in self._trials.of(maker, claims):
                if trial.other is not None and trial.lineage is not None:
                    self._take(trial.other, trial.lineage, sought)
                    self.found.by.setdefault(sought.asked, set()).add(self._team(maker))
                    return
                failed += [trial.other] if trial.other else []
        except Exhausted:
            logs = counted(len(maker.logs), "folder")
            cut = f"{logs} hold the log of {self._called(maker)}, and not all of them were tried"
            self.found.cut.setdefault(sought.asked, cut)
        if failed:
            self._note_failure(next((o for o in failed if o.first_failed), failed[0]), sought)
        else:
            said = f"{self._made(maker, sought)}, which is not checked in full"
            self.found.knows(sought.asked, said, "that run's folder")

    def _take(self, other: Other, lineage: Lineage, sought: Sought) -> None:
        """Take the edges of a run into the lineage, and go on to what it took."""
        way = way_of(lineage.history, sought.artifact)
        if way is None:
            said = f"{other.called} logged it, and what it released was not made of it"
            self.found.knows(sought.asked, said, "a base that was released")
            return
        found, run_id, draw = self.found, to_hex(other.log.claim.run_id), other.log.run.draw_block
        own = (e for e in other.report.edges if e.kind != _FILE or e.child in way.artifacts)
        steps = (_STEP.edge({"input": a, "output": b}, note) for a, b, note in way.links)
        edges, taken = [*steps, *own], other.log.head.block_number
        self._nodes |= {node for edge in edges for node in (edge.parent, edge.child)}
        if len(self._nodes) > MAX_NODES:
            raise VerificationError(
                "lineage has too many nodes",
                where=f"run {run_id}",
                expected=f"<= {MAX_NODES}",
                actual=len(self._nodes),
            )
        found.runs[run_id] = other.called
        if sought.artifact == self._base and run_id not in found.makers:
            found.makers.append(run_id)
        found.made.add(sought.asked)
        found.adds(edges, {_BASE: draw, _STEP.kind: taken})
        found.development += other.report.development
        for artifact in way.outside:
            self._link(sought.artifact, artifact)
            self._ask(Sought(artifact, taken))
        self.back(lineage, sought.artifact, draw)

    def _team(self, maker: Maker) -> str:
        """Whose run it is: a publisher's name, else the account."""
        publisher = self._case.verifier.trust.publisher(maker.facts.owner, maker.block)
        return str(maker.facts.owner) if publisher is None else publisher.name

    def _called(self, maker: Maker) -> str:
        trust, run = self._case.verifier.trust, maker.facts
        return called(trust, run.run_id, run.owner, maker.block)

    def _made(self, maker: Maker, sought: Sought) -> str:
        return f"{self._called(maker)} made {sought.what} by its anchored log"

    def _note_revoked(self, maker: Maker, failed: Claim, sought: Sought) -> None:
        said = f"{self._made(maker, sought)}, but {failed.text}"
        self.found.knows(sought.asked, said, "a base of which nothing is said against")
        self.found.revoked.append(self._error(self._called(maker), failed, sought))

    def _note_failure(self, other: Other, sought: Sought) -> None:
        """A claim about the other run failed or was not checked: it is no help.

        Raises:
            VerificationError: a trusted publisher released it, and log or chain contradict it.
        """
        run, left, failed = other.called, other.first_open, other.first_failed
        against = None
        if sought.weights is None:
            against = contradiction(other, self._chain)  # also of a log without its proofs
        if failed is not None and failed.id == REPLAYED:
            against = against or failed  # a trusted auditor signed it: nobody else could plant it
        failed = against or failed
        made = f"{run} made {sought.what} by its anchored log"
        if failed is None:
            if left is not None:
                said = f"{made}, which is not checked in full: {left.text}"
                self.found.knows(sought.asked, said, left.needs or SIGNED_HEADS)
            if left is not None and left.id == REPLAYED:
                self.found.cut.setdefault(sought.asked, f"of {run}: {left.text}")
            return
        needs = "a base of which nothing is said against"
        self.found.knows(sought.asked, f"{made}, but {failed.text}", needs)
        if sought.weights is not None or not is_in_time(other.case, self._chain, other.log.claim):
            return
        error = self._error(run, failed, sought)
        if against is not None:
            raise error
        self.found.doubted.setdefault(sought.asked, error)

    def _error(self, run: str, failed: Claim, sought: Sought) -> VerificationError:
        return as_error(run, failed, sought, sought.artifact == self._base)
