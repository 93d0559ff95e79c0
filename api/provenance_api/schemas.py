"""Shapes of the answers, for OpenAPI.

The values come from `Verdict.to_json` and are not validated twice.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from provenance.judgement.verdict import Grade, Status


class Subject(BaseModel):
    """What was judged. `asked` is the id as it came, `asked_by` how it was understood."""

    name: str
    digest: str
    file_seen: bool = Field(
        description="Whether the file itself was hashed; a service only ever sees a digest."
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


class VerdictModel(BaseModel):
    """The verdict that command line, service and gate share."""

    format: Literal["provenance-verdict/1"]
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
    trust: str | None
    limits: list[str]


class ProblemModel(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class Part(BaseModel):
    """One part a verdict needs."""

    status: Literal["ok", "unreachable", "problems"]
    detail: str | None = None


class Health(BaseModel):
    """`degraded` while any part is not ok; verdicts then say what they could not check."""

    status: Literal["ok", "degraded"]
    chain: Part
    database: Part
    prover: Part
    evidence: Part


class Version(BaseModel):
    """What runs here."""

    name: str
    version: str
    verdict_format: str
