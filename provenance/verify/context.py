"""The state of one verification: what was given, what the steps found, and the claims made so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from provenance.errors import ProvenanceError, UnavailableError, VerificationError
from provenance.judgement.facts import (
    ChainIdentity,
    ChainReader,
    ChainSnapshot,
    ClaimFacts,
    RunFacts,
)
from provenance.judgement.policy import CLAIMS, Policy
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Claim, Edge, Grade
from provenance.log.record import Record
from provenance.verify.artifact import Artifact
from provenance.verify.lineage import Lineage
from provenance.verify.protocols import (
    DataChecker,
    Evidence,
    EvidenceSource,
    FormatInspector,
    Opening,
    ProofVerifier,
    Sampling,
)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Options:
    """What the caller adds: the run a release is claimed to be from, and sources for the optional recomputations."""

    release: bytes | None = None
    base: Path | None = None
    data: DataChecker | None = None
    openings: Mapping[str, Opening] = field(default_factory=dict)  # by stage


@dataclass(frozen=True)
class Finding:
    """What a check found: its sentence, and figures that a program would read."""

    text: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Context:
    artifact: Artifact
    trust: Trust
    policy: Policy
    reader: ChainReader
    source: EvidenceSource
    prover: ProofVerifier
    inspector: FormatInspector | None
    options: Options
    claims: list[Claim] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    development: list[str] = field(default_factory=list)
    siblings: list[str] = field(default_factory=list)
    samplings: list[tuple[str, Sampling]] = field(
        default_factory=list
    )  # what each sampled claim that holds detects
    # found by the steps, each set by the step that finds it
    snapshot: ChainSnapshot | None = None
    identity: ChainIdentity | None = None
    claim: ClaimFacts | None = None
    run: RunFacts | None = None
    evidence: Evidence | None = None
    records: Sequence[Record] = ()
    lineage: Lineage | None = None

    def holds(self, id_: str, text: str, **evidence: str) -> None:
        self._add(Claim(id_, CLAIMS[id_], text, True, evidence=evidence))

    def fails(
        self,
        id_: str,
        text: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        actual: str | None = None,
    ) -> None:
        self._add(
            Claim(id_, CLAIMS[id_], text, False, where=where, expected=expected, actual=actual)
        )

    def unchecked(self, id_: str, text: str, needs: str) -> None:
        self._add(Claim(id_, CLAIMS[id_], text, None, needs=needs))

    def _add(self, claim: Claim) -> None:
        self.claims.append(claim)

    def pinned_key(self, vk_id: bytes, kind: str) -> bytes:
        """A key's words, once the trust file pins it."""
        name = "0x" + vk_id.hex()
        key = self.trust.key(name)
        if key is None or key.kind != kind:
            raise VerificationError(
                "key is not pinned by the trust file",
                where=name,
                expected=f"a pinned {kind} key",
                actual=key.kind if key else "unknown",
            )
        if key.klass == "dev":
            self.development.append(f"{kind} key {name[:10]}..{name[-8:]} is a development key")
        words = need(self.evidence).key_words(name)
        if words is None:
            raise VerificationError(
                "evidence lacks the verifying key", where=f"keys/{name}/vk.words"
            )
        return words

    def upgrade(self, kind: str, grade: Grade, note: str | None = None) -> None:
        """Raise the grade of the edges of a kind; what is known better already stays."""
        self.edges = [
            replace(e, grade=grade, note=note or e.note)
            if e.kind == kind and e.grade.rank < grade.rank
            else e
            for e in self.edges
        ]

    def guarded(self, id_: str, check: Callable[[], str | Finding]) -> bool:
        """Run one check; what it found when it holds, its error's facts when it does not. UnavailableError passes through."""
        try:
            found = check()
        except UnavailableError:
            raise
        except ProvenanceError as error:
            self.fails(
                id_, error.what, where=error.where, expected=error.expected, actual=error.actual
            )
            return False
        finding = Finding(found) if isinstance(found, str) else found
        self.holds(id_, finding.text, **finding.evidence)
        return True


def need(value: _T | None) -> _T:
    """A value that an earlier step has set; steps run in order, so None here is a bug, not bad input."""
    if value is None:
        raise AssertionError("verification step ran out of order")
    return value
