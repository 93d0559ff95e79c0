"""The closed table of verdicts that command line, API and gate share, and the verdict itself."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from provenance.judgement.training import Stretch, Training
from provenance.text.shown import visible


class Status(StrEnum):
    """The outcomes of a verification; there are no others."""

    VERIFIED = "verified"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"
    PENDING = "pending"
    NOT_FOUND = "not_found"
    POLICY_DENIED = "policy_denied"
    REVOKED = "revoked"


@dataclass(frozen=True)
class StatusRow:
    """How a status is shown: its word, the exit code of commands, and what it means."""

    word: str
    exit_code: int
    meaning: str


TABLE: dict[Status, StatusRow] = {
    Status.VERIFIED: StatusRow("Verified", 0, "every claim required by the policy holds"),
    Status.FAILED: StatusRow("Failed", 1, "evidence contradicts the file or itself"),
    Status.INDETERMINATE: StatusRow(
        "Undetermined", 3, "chain or evidence unreachable or incomplete, or sources disagree"
    ),
    Status.PENDING: StatusRow("Pending", 3, "anchored, but not final yet"),
    Status.NOT_FOUND: StatusRow(
        "Not found", 4, "no release by a trusted publisher names this artifact"
    ),
    Status.POLICY_DENIED: StatusRow("Denied by policy", 6, "evidence is sound, policy says no"),
    Status.REVOKED: StatusRow("Revoked", 7, "the model or an ancestor was revoked"),
}
EXIT_USAGE, EXIT_AUTH = 2, 5


class Grade(StrEnum):
    """How an edge of the lineage is known, weakest first (docs/formats/verdict.md)."""

    DECLARED = "declared"
    SIGNED = "signed"
    ANCHORED = "anchored"
    SAMPLED = "sampled"
    AUDITED = "audited"
    PROVEN = "proven"
    RECOMPUTED = "recomputed"

    @property
    def rank(self) -> int:
        """0 for the weakest."""
        return list(Grade).index(self)

    @staticmethod
    def least(*grades: Grade) -> Grade:
        """The weakest of one or more grades."""
        return min(grades, key=lambda grade: grade.rank)


@dataclass(frozen=True)
class Claim:
    """One sentence, checked or not.

    step: number of its subject (docs/formats/verdict.md).
    holds: None when the claim was not checked; `needs` then says what checking would take.
    evidence: names and values for programs.
    """

    id: str
    step: int
    text: str
    holds: bool | None
    needs: str | None = None
    expected: str | None = None
    actual: str | None = None
    where: str | None = None
    evidence: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The form in verdicts; keys without a value are left out."""
        status = "not_checked" if self.holds is None else ("holds" if self.holds else "fails")
        value: dict[str, Any] = {
            "id": self.id,
            "step": self.step,
            "status": status,
            "text": self.text,
        }
        for name in ("needs", "where", "expected", "actual"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        if self.evidence:
            value["evidence"] = dict(self.evidence)
        return value


@dataclass(frozen=True)
class Edge:
    """One step of the lineage: `child` came from `parent`; `grade` says how that is known."""

    kind: str
    parent: str
    child: str
    grade: Grade
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The form in verdicts."""
        value = {
            "kind": self.kind,
            "parent": self.parent,
            "child": self.child,
            "grade": self.grade.value,
        }
        return value | ({"note": self.note} if self.note else {})


_Part = TypeVar("_Part", Claim, Edge, Stretch)


@dataclass(frozen=True)
class Verdict:
    """The result that every surface prints (docs/formats/verdict.md).

    development: why this is not a production verdict; empty if it is one.
    siblings: other runs that the owner opened on this dataset, as `0x..`; a lower bound.
    training: how its segments stand; None if the verification did not come to them.
    """

    status: Status
    reason: str
    subject: dict[str, Any]
    claims: tuple[Claim, ...] = ()
    edges: tuple[Edge, ...] = ()
    development: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    release: dict[str, Any] | None = None
    interval: dict[str, Any] | None = None
    training: Training | None = None
    trust: str | None = None
    limits: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What people are shown."""
        word = TABLE[self.status].word
        return (
            f"{word} (development)" if self.development and self.status is Status.VERIFIED else word
        )

    @property
    def exit_code(self) -> int:
        """The exit code of `verify` and `gate`."""
        return TABLE[self.status].exit_code

    @property
    def not_checked(self) -> tuple[Claim, ...]:
        """Claims that nobody checked."""
        return tuple(c for c in self.claims if c.holds is None)

    def shown(self) -> Verdict:
        """The same for a terminal: no text in it can act on one. Templates do so by themselves."""
        return replace(
            self,
            reason=visible(self.reason),
            subject=_shown(self.subject),
            claims=tuple(_shown_fields(claim) for claim in self.claims),
            edges=tuple(_shown_fields(edge) for edge in self.edges),
            development=_shown(self.development),
            siblings=_shown(self.siblings),
            release=_shown(self.release),
            interval=_shown(self.interval),
            training=_shown_training(self.training),
            trust=_shown(self.trust),
            limits=_shown(self.limits),
        )

    def to_json(self) -> dict[str, Any]:
        """The form `provenance-verdict/2`."""
        return {
            "format": "provenance-verdict/2",
            "status": self.status.value,
            "word": self.word,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "subject": self.subject,
            "claims": [c.to_json() for c in self.claims],
            "not_checked": [c.id for c in self.not_checked],
            "edges": [e.to_json() for e in self.edges],
            "development": list(self.development),
            "sibling_runs": list(self.siblings),
            "release": self.release,
            "interval": self.interval,
            "training": None if self.training is None else self.training.to_json(),
            "trust": self.trust,
            "limits": list(self.limits),
        }


def _shown(value: Any) -> Any:
    """A value with every text in it made visible."""
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return visible(value)
    if isinstance(value, dict):
        return {visible(name): _shown(item) for name, item in value.items()}
    return tuple(map(_shown, value)) if isinstance(value, tuple) else value


def _shown_fields(part: _Part) -> _Part:
    return replace(part, **{f.name: _shown(getattr(part, f.name)) for f in fields(part)})


def _shown_training(training: Training | None) -> Training | None:
    if training is None:
        return None
    return replace(training, segments=tuple(map(_shown_fields, training.segments)))
