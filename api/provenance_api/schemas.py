"""Shapes of the answers, for OpenAPI.

The values come from `Verdict.to_json`. These classes only describe verdicts, and check none.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from provenance.judgement.verdict import Grade, Status


class Subject(BaseModel):
    """What was judged. `asked` is the id as it was sent, `asked_by` the kind that it has."""

    name: str
    digest: str
    file_seen: bool = Field(
        description="Whether the file itself was hashed. A service sees only its digest."
    )
    asked: str
    asked_by: Literal["digest", "name", "manifest"]


class ClaimModel(BaseModel):
    """One checked sentence."""

    id: str
    step: int
    status: Literal["holds", "fails", "not_checked"]
    text: str
    needs: str | None = None
    where: str | None = None
    expected: str | None = None
    actual: str | None = None
    evidence: dict[str, str] | None = None


class EdgeModel(BaseModel):
    """One step of the lineage: `child` came from `parent`."""

    kind: str
    parent: str
    child: str
    grade: Grade
    note: str | None = None


class AuditorModel(BaseModel):
    """How many segments came out in each class, by an auditor's signed word."""

    name: str
    classes: dict[str, int]


class StretchModel(BaseModel):
    """A segment of the training, or several in a row, and who trained them again."""

    first: int
    last: int
    batches: int
    count: int
    end: str
    here: dict[str, int]
    audited: int
    auditors: list[AuditorModel]


class TrainingModel(BaseModel):
    """The training from its first step to its last."""

    count: int
    needed: int | None
    drawn_by: int | None
    segments: list[StretchModel]


class VerdictModel(BaseModel):
    """The verdict, in the form that `verify`, `gate` and this service share."""

    format: Literal["provenance-verdict/2"]
    status: Status
    word: str
    exit_code: int
    reason: str
    subject: Subject
    claims: list[ClaimModel]
    not_checked: list[str]
    edges: list[EdgeModel]
    development: list[str]
    sibling_runs: list[str]
    release: dict[str, Any] | None
    interval: dict[str, Any] | None
    training: TrainingModel | None
    trust: str | None
    limits: list[str]


class FileModel(BaseModel):
    """A file of a folder: its path relative to it, with `/`, its bytes and their SHA-256."""

    path: str
    size: int = Field(ge=0)
    sha256: str = Field(description="sha256:.., 0x.. or 64 hex digits")


class ProblemModel(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class Part(BaseModel):
    """The state of one part that verdicts need."""

    status: Literal["ok", "unreachable", "problems"]
    detail: str | None = None


class Health(BaseModel):
    """`degraded` while any part is not ok. Verdicts then say what they could not check."""

    status: Literal["ok", "degraded"]
    chain: Part
    database: Part
    prover: Part
    evidence: Part


class Version(BaseModel):
    """Name and version of the service."""

    name: str
    version: str
    verdict_format: str
