"""The walk itself: the runs at hand that made an artifact, each judged, and so on back.

A run that made a base is judged like the one in question: by its own release on chain, log, history
and proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from provenance.artifacts.identity import NamedFolder
from provenance.digest import Digest
from provenance.errors import (
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import RunId, to_hex
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.verdict import Edge
from provenance.log.graph.folders import adapter_of, base_of, began_with, merged_of
from provenance.log.graph.way_back import WayBack, way_of
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.log.records import Checkpoint, Merge, Quantize, Release, Seed, Step
from provenance.verify.case import MAX_ATTEMPTS, Artifact, Case, Options
from provenance.verify.claims import Notes, Report, Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import MAX_ASKED, Pending, check_not_revoked, find_release
from provenance.verify.s04_log import Log, check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import Lineage, check_lineage
from provenance.verify.s06_lineage.found import Ancestry, Other, Partly, differing
from provenance.verify.s07_revocation import check_own_revocations
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run
from provenance.verify.sources.evidence import MAX_BEFORE_SEED

MAX_NODES = 256  # of the whole lineage
_FILE = "quantized_from"  # leads to a run's own file, of which the base is seldom made
(_STEP,) = (row for row in EDGE_TABLE if row.record == Step.TYPE)


@dataclass(frozen=True)
class _Sought:
    """What is looked for.

    path: identities from the release back to the artifact that some run made.
    opened: the block for which the run was opened that began with it.
    proven: runs that were found to have made it, with their proofs.
    weights: a folder, if runs are looked for that made its weights beside other files.
    """

    path: tuple[str, ...]
    opened: int
    proven: set[RunId] = field(default_factory=set)
    weights: NamedFolder | None = None

    @property
    def artifact(self) -> str:
        """The last of the path."""
        return self.path[-1]

    @property
    def is_base(self) -> bool:
        """Whether it is the base of the run in question: only its own model stands before it."""
        return len(self.path) == 2

    @property
    def named(self) -> str:
        """What a log must name."""
        return self.artifact if self.weights is None else self.weights.content


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
        sought = _Sought((*path, artifact), opened)
        for run_id, model in self._releases(sought):
            self._visit(run_id, model, sought)

    def _ask_weights(self, base: NamedFolder, path: tuple[str, ...], opened: int) -> None:
        """Visit the runs at hand that made a base's weights beside other files.

        They made no such folder, so the walk does not go on into them. But one more file in a
        folder must not hide that its weights are those of a revoked run.
        """
        question = f"weights of {base.name}"  # no artifact has such a name
        if question in self._asked:
            return
        self._asked.add(question)
        sought = _Sought((*path, base.name), opened, weights=base)
        for run_id, model in self._releases(sought):
            self._visit(run_id, model, sought)

    def _releases(self, sought: _Sought) -> list[tuple[RunId, Digest]]:
        """The releases in logs at hand, not yet checked, of runs that name what is sought."""
        found: dict[tuple[RunId, Digest], None] = {}
        for evidence in self._case.verifier.source.makers(sought.named):
            try:
                found |= dict.fromkeys(self._released(evidence, sought))
            except UnavailableError:
                raise
            except ProvenanceError:
                continue  # bad evidence must not hide the good
        return list(found)

    def _released(self, evidence: Evidence, sought: _Sought) -> Iterator[tuple[RunId, Digest]]:
        """(run, model) of the last releases in a log (attacker-controlled), as it says.

        What stands behind the run's head on chain is nobody's log, and is not read.

        Raises:
            ProvenanceError: not a log, or one without these records.
        """
        first = evidence.records(MAX_BEFORE_SEED)
        if sought.weights is not None and began_with(first, sought.weights.content):
            return  # most runs that name these weights only began with them
        seed = next((r for r in first if r.type == Seed.TYPE), None)
        run_id = None if seed is None else seed.fields.get("run_id")
        facts = None if run_id is None else self._chain.snapshot.run(RunId.parse(run_id))
        if facts is None:
            return
        log = evidence.records(facts.size)
        models = [r.fields["model"] for r in log if r.type == Release.TYPE]
        for model in list(dict.fromkeys(reversed(models)))[:MAX_ASKED]:
            yield facts.run_id, Digest.parse(model)

    def _visit(self, run_id: RunId, model: Digest, sought: _Sought) -> None:
        """Judge one release of a run whose log names the last artifact of a path.

        Every folder that holds the run's log is tried, as for the run in question. Nothing counts,
        for or against the lineage, before the log under the registry's head says that it made it.
        """
        artifact, options = Artifact(model, str(model)), Options(release=run_id)
        for attempt in range(MAX_ATTEMPTS):
            report = Report()
            case = Case(artifact, self._case.verifier, options, Notes(report), attempt)
            try:
                log = check_log(case, self._chain, find_release(case, self._chain))
            except (NotFound, Pending, Stopped):
                return  # no trusted publisher released it, or its log is not at hand
            if log.head.block_number >= sought.opened or not _says_it_made(log, sought):
                return
            try:
                self._examine(Other(case, report, log), sought)
            except Stopped:
                if attempt + 1 < min(report.logs, MAX_ATTEMPTS):
                    continue
                self._note_failure(Other(case, report, log), sought)
            return

    def _examine(self, other: Other, sought: _Sought) -> None:
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

    def _note_failure(self, other: Other, sought: _Sought) -> None:
        """A claim about the other run failed or was not checked: it was revoked, or is no help.

        Raises:
            VerificationError: a trusted publisher released it, and it contradicts itself.
        """
        run, left, failed = other.called, other.first_open, other.first_failed
        if failed is None and left is not None:
            said = f"{run} made it by its anchored log, which is not checked in full: {left.text}"
            self.found.partly.setdefault(sought.artifact, Partly(said, str(left.needs)))
        if failed is None:
            return
        what = "the base" if sought.weights is None else "the base's weights"
        error = VerificationError(
            f"{run}, which made {what}: {failed.text}",
            where=failed.where,
            expected=failed.expected,
            actual=failed.actual,
        )
        if failed.id == "not.revoked":
            self.found.revoked.append(error)
        elif sought.weights is None:
            raise error

    def _add(self, other: Other, way: WayBack, sought: _Sought) -> None:
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


def _says_it_made(log: Log, sought: _Sought) -> bool:
    """Whether a record of a log says that what is sought was made, and not only taken."""
    return any(sought.named in _made_by(record, sought) for record in log.records)


def _made_by(record: Record, sought: _Sought) -> Sequence[str]:
    """What a record (attacker-controlled) says was made; of weights, by their content."""
    if record.type == Step.TYPE:
        return list(record.fields["outputs"])
    if record.type == Quantize.TYPE:
        return [record.fields["file"]]
    if record.type not in (Merge.TYPE, Checkpoint.TYPE):
        return []
    folder = merged_of(record) if record.type == Merge.TYPE else adapter_of(record)
    with suppress(InputError):  # of no form that names a folder
        return [folder.name if sought.weights is None else folder.content]
    return []


def _is_released(way: WayBack, lineage: Lineage) -> bool:
    """Whether the followed release is of what lies on the way.

    Where a merge lies there, only releases of its model count: it may have others.
    """
    merged = {merged_of(p.record).name for p in way.records if p.record.type == Merge.TYPE}
    return not merged or lineage.folder("merged").name in merged
