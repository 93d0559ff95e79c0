"""One release of another run, judged with one of the folders that hold the run's log.

A release is judged with each folder once in a walk, and false proofs count against one budget for
all: anybody can put copies of a public log beside it, with whatever proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from provenance.digest import Digest
from provenance.errors import ProvenanceError
from provenance.ids import RunId
from provenance.judgement.facts import ClaimFacts
from provenance.log.history import History
from provenance.verify.case import Artifact, Case, Options
from provenance.verify.claims import Notes, Report, Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log, check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import Lineage, check_lineage
from provenance.verify.s06_lineage.alone import signed_of
from provenance.verify.s06_lineage.found import Other
from provenance.verify.s06_lineage.makers import Maker
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s09_recomputation.audited import REPLAYED, word_against

MAX_FALSE = 64  # folders with false proofs in one walk
_SAMPLED = frozenset({"merge.proven", "quantize.proven"})  # about one release, not about its run


class Exhausted(Exception):
    """As many folders with false proofs were tried as are."""


@dataclass(frozen=True)
class Trial:
    """What a release is with one folder.

    other: None if the folder does not hold the log under the release's head.
    lineage: None if it is not proven; `other` says why.
    """

    other: Other | None
    lineage: Lineage | None = None

    @property
    def is_of_release(self) -> bool:
        """Whether what is wrong is about this release alone, and not about the folder."""
        failed = (
            {c.id for c in self.other.report.claims if c.holds is False} if self.other else set()
        )
        return self.other is None or (bool(failed) and failed <= _SAMPLED)


class Trials:
    """The trials of one walk."""

    def __init__(self, case: Case, chain: Chain) -> None:
        self._case, self._chain, self._left = case, chain, MAX_FALSE
        self._made = dict[tuple[RunId, int, Evidence], Trial]()
        self._folders = dict[RunId, list[Evidence]]()
        self._words = dict[tuple[RunId, int], ProvenanceError | None]()

    def of(self, maker: Maker, claims: Sequence[tuple[Digest, ClaimFacts]]) -> Iterator[Trial]:
        """Judge releases of a maker with each folder that holds its log, in the source's order.

        A folder in which something is wrong that is not about one release is tried with one.

        Raises:
            Exhausted: behind the last trial for which the budget was enough.
        """
        for evidence in maker.logs:
            for model, claim in claims:
                trial = self._one(maker, evidence, model, claim)
                yield trial
                if not trial.is_of_release:
                    break

    def _one(self, maker: Maker, evidence: Evidence, model: Digest, claim: ClaimFacts) -> Trial:
        key = (claim.run_id, claim.index, evidence)
        if key not in self._made:
            if not self._left:
                raise Exhausted
            trial = self._made[key] = self._judge(maker, evidence, model, claim)
            found = trial.other
            self._left -= found is not None and found.first_failed is not None
        return self._made[key]

    def _judge(self, maker: Maker, evidence: Evidence, model: Digest, claim: ClaimFacts) -> Trial:
        source = _One(evidence, [e for e in self._holding(maker) if e != evidence])
        verifier, report = replace(self._case.verifier, source=source), Report()
        options = Options(release=claim.run_id)
        case = Case(Artifact(model, str(model)), verifier, options, Notes(report))
        try:
            log = check_log(case, self._chain, claim, reads_on=Stopped)
        except Stopped:
            return Trial(None)
        other = Other(case, report, log)
        try:
            history = check_history(case, self._chain, log)
            self._check_word(case, log, history)
            lineage = check_lineage(case, log, history)
            check_proofs(Run(case, self._chain, log, lineage))
            other.require_proven()
        except Stopped:
            return Trial(other)
        return Trial(other, lineage)

    def _check_word(self, case: Case, log: Log, history: History) -> None:
        """No auditor says that the training ends elsewhere. All folders are asked once for a log.

        Raises:
            Stopped: one does, or not all that auditors are said to have signed was looked at.
        """
        key = (log.claim.run_id, log.head.size)
        if key not in self._words:
            self._words[key] = word_against(case, self._chain, log, history)
        with case.notes.guarded(REPLAYED):
            if (error := self._words[key]) is not None:
                raise error

    def _holding(self, maker: Maker) -> Sequence[Evidence]:
        """The evidence that calls itself the maker's, or has its log."""
        run_id = maker.facts.run_id
        if run_id not in self._folders:
            self._folders[run_id] = list(self._case.verifier.source.candidates(run_id))
        return [*maker.logs, *(e for e in self._folders[run_id] if e not in maker.logs)]


@dataclass(frozen=True)
class _One:
    """An `EvidenceSource` of one folder of a run, to which others lend what was signed."""

    evidence: Evidence
    others: Sequence[Evidence]

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        return [self.evidence, *map(signed_of, self.others)]

    def makers(self, artifact: str) -> Sequence[Evidence]:
        return []
