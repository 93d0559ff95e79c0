"""Tokens: who made which for whom, and for whom a request acts that shows one.

A token is random and long, so its SHA-256 is as good as a slow hash. It is found by its id, which
is no secret, and its digest is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from provenance.errors import AuthError, NotFound
from provenance_api.db.engine import Database
from provenance_api.db.models import TokenRow
from provenance_api.db.scope import acting_for

_FORM = re.compile(r"pvt_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_SCHEME = "bearer"


class BadToken(AuthError):
    """A token that opens nothing: malformed, unknown, expired or revoked. It is not said which."""

    code = "bad-token"

    def __init__(self) -> None:
        super().__init__(
            "this token opens nothing here",
            expected="Authorization: Bearer TOKEN",
            hint="ask whoever runs the service for a token, or send none to see what was released",
        )


class MayNotPush(AuthError):
    """A token that opens its tenant's runs for reading only."""

    code = "may-not-push"

    def __init__(self) -> None:
        super().__init__(
            "this token may read, and not push",
            hint="ask whoever runs the service for one made with --may-push",
        )


@dataclass(frozen=True)
class Opened:
    """For whom a request acts that shows a token, and whether it may push."""

    tenant: str
    may_push: bool


@dataclass(frozen=True)
class Token:
    """A token as it is listed; times are in seconds since 1970."""

    token_id: str
    tenant: str
    name: str
    created: int
    expires: int | None
    revoked: int | None
    may_push: bool


class Tokens:
    """The tokens in a database. Threads may share it.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def create(self, tenant: str, name: str, expires: int | None, *, may_push: bool = False) -> str:
        """Make a token, and return its text, which is not kept.

        Args:
            may_push: whether it may write run folders of its tenant, besides reading.

        Raises:
            ConfigError: the database's role may not make tokens.
        """
        token_id = secrets.token_hex(8)
        text = f"pvt_{token_id}_{secrets.token_urlsafe(32)}"
        row = TokenRow(
            token_id=token_id,
            tenant_id=tenant,
            name=name,
            digest=_digest(text),
            created=int(self._clock()),
            expires=expires,
            revoked=None,
            may_push=may_push,
        )
        with acting_for(tenant), self._database.session() as session:
            session.add(row)
        return text

    def listed(self, tenant: str) -> list[Token]:
        """A tenant's tokens, the oldest first."""
        query = (
            select(TokenRow)
            .where(TokenRow.tenant_id == tenant)
            .order_by(TokenRow.created, TokenRow.token_id)
        )
        with acting_for(tenant), self._database.session() as session:
            return [_token(row) for row in session.scalars(query)]

    def revoke(self, tenant: str, token_id: str) -> Token:
        """Revoke a tenant's token, at once and for good. Repeatable.

        Raises:
            NotFound: the tenant has no such token.
            ConfigError: the database's role may not.
        """
        query = select(TokenRow).filter_by(tenant_id=tenant, token_id=token_id)
        with acting_for(tenant), self._database.session() as session:
            row = session.scalars(query).one_or_none()
            if row is None:
                raise NotFound(
                    "tenant has no such token",
                    where=tenant,
                    actual=token_id[:40],
                    hint="provenance service token list TENANT prints the ids",
                )
            if row.revoked is None:
                row.revoked = int(self._clock())
            return _token(row)

    def tenant_of(self, authorization: str) -> str:
        """The tenant for whom a request acts; arguments and errors as `opened`."""
        return self.opened(authorization).tenant

    def opened(self, authorization: str) -> Opened:
        """What a request's token opens.

        Args:
            authorization: the header's value (attacker-controlled).

        Raises:
            BadToken: it has no token that opens something now.
            UnavailableError: the database does not answer.
        """
        scheme, _, text = authorization.partition(" ")
        found = _FORM.fullmatch(text.strip())
        if scheme.lower() != _SCHEME or found is None:
            raise BadToken
        query = select(TokenRow).where(TokenRow.token_id == found[1])
        with acting_for(None, found[1]), self._database.session() as session:
            row = session.scalars(query).one_or_none()
            kept = bytes(32) if row is None else row.digest
            same = hmac.compare_digest(kept, _digest(text.strip()))
            if row is None or not same or not self._is_open(row):
                raise BadToken
            return Opened(row.tenant_id, row.may_push)

    def _is_open(self, row: TokenRow) -> bool:
        return row.revoked is None and (row.expires is None or self._clock() < row.expires)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _token(row: TokenRow) -> Token:
    times = row.created, row.expires, row.revoked
    return Token(row.token_id, row.tenant_id, row.name, *times, row.may_push)
