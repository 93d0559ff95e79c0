"""Errors as RFC 9457 problem details: one table from error class to HTTP status.

A problem with a 5xx status leaves out `where`, `expected` and `actual`, because they may name the
operator's folders or endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from provenance.errors import (
    AuthError,
    ConfigError,
    Conflict,
    InputError,
    InternalError,
    MissingEvidence,
    NotFound,
    OutcomeUnknown,
    OutputError,
    ProvenanceError,
    RejectedError,
    UnavailableError,
    VerificationError,
)
from provenance.push.copy import OffsetConflict
from provenance_api.db.engine import RefusedValue, WrittenMeanwhile
from provenance_api.tenants.room import InboxFull
from provenance_api.tenants.tokens import MayNotPush

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:provenance:problem:"

STATUS: dict[type[ProvenanceError], HTTPStatus] = {
    InputError: HTTPStatus.BAD_REQUEST,
    ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    VerificationError: HTTPStatus.INTERNAL_SERVER_ERROR,  # the service's own data disagree
    MissingEvidence: HTTPStatus.INTERNAL_SERVER_ERROR,  # of the service's own folders
    RefusedValue: HTTPStatus.INTERNAL_SERVER_ERROR,
    WrittenMeanwhile: HTTPStatus.SERVICE_UNAVAILABLE,
    NotFound: HTTPStatus.NOT_FOUND,
    AuthError: HTTPStatus.UNAUTHORIZED,
    MayNotPush: HTTPStatus.FORBIDDEN,
    InboxFull: HTTPStatus.INSUFFICIENT_STORAGE,
    Conflict: HTTPStatus.CONFLICT,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RejectedError: HTTPStatus.BAD_GATEWAY,
    OutcomeUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
    InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
    OutputError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ProvenanceError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class UnknownModel(NotFound):
    """No release has this name. `searched` lists what the name was compared with.

    unclaimed: how many records in evidence folders have the name, though no trusted publisher
        claimed one of them on chain.
    """

    def __init__(self, model_id: str, searched: tuple[str, ...], unclaimed: int = 0) -> None:
        super().__init__(
            "no release has this name"
            if unclaimed == 0
            else f"{unclaimed} records in evidence folders have this name, and no trusted "
            "publisher claimed one of them on chain",
            actual=model_id,
            hint="ask for the file's SHA-256, which sha256sum FILE prints",
        )
        self.searched = searched


class UnknownHandle(NotFound):
    """Nothing in index, trust file or chain has this handle. `searched` lists what was searched."""

    def __init__(self, handle: str, searched: tuple[str, ...]) -> None:
        super().__init__(
            "nothing that this service looked through has this handle",
            actual=handle,
            hint="the chain may know a file's SHA-256 all the same: ask for its verdict at "
            "/verify/SHA-256",
        )
        self.searched = searched


class AmbiguousModel(Conflict):
    """Several releases match this id. `matches` lists them, newest first."""

    def __init__(self, model_id: str, matches: tuple[Mapping[str, str | None], ...]) -> None:
        super().__init__(
            "several releases match this id",
            actual=model_id,
            hint="ask for one of them by its digest",
        )
        self.matches = matches


@dataclass(frozen=True)
class Problem:
    """One problem. `members` are its extension members (RFC 9457, section 3.2)."""

    status: int
    code: str
    title: str
    detail: str
    members: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The problem as it is sent."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


def status_of(error: ProvenanceError) -> HTTPStatus:
    """The status of an error: that of its class, else of its nearest base class in the table."""
    return next(STATUS[c] for c in type(error).__mro__ if c in STATUS)


def problem_of(error: ProvenanceError) -> Problem:
    """The problem for an error."""
    status = status_of(error)
    facts = {
        k: v for k, v in error.to_json().items() if k not in ("code", "what") and v is not None
    }
    shown = facts.keys() if status < HTTPStatus.INTERNAL_SERVER_ERROR else {"hint"}
    members: dict[str, Any] = {k: v for k, v in facts.items() if k in shown}
    if isinstance(error, UnknownModel | UnknownHandle):
        members["searched"] = list(error.searched)
    if isinstance(error, AmbiguousModel):
        members["matches"] = [dict(m) for m in error.matches]
    if isinstance(error, OffsetConflict):
        members["received"] = error.received.size
    return Problem(status.value, error.code, status.phrase, error.what, members)


def http_problem(status: int, detail: str) -> Problem:
    """The problem for something else than a ProvenanceError: an unknown route, a bug."""
    phrase = HTTPStatus(status).phrase
    return Problem(status, phrase.lower().replace(" ", "-"), phrase, detail, {})
