"""`provenance service token`: tokens by which requests act for a tenant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.errors import InputError
from provenance.settings import Settings
from provenance_cli.database import DatabaseUrl, default_database
from provenance_cli.options import Json
from provenance_cli.output import result

if TYPE_CHECKING:
    from provenance_api.tenants.tokens import Token, Tokens

MOST_NAME = 80
Tenant = Annotated[str, typer.Argument(help="Name of a tenant, as `serve --evidence` has it.")]


def create(
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="Who or what will use it, for your list.")],
    database: DatabaseUrl = None,
    expires: Annotated[
        str | None, typer.Option(help="Day or time (ISO 8601, UTC) from which it opens nothing.")
    ] = None,
    may_push: Annotated[
        bool, typer.Option("--may-push", help="It also opens `provenance push` for the tenant.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a token for a tenant, and print it: this once, for only its SHA-256 is kept.

    Whoever sends it (`Authorization: Bearer TOKEN`) sees all that the tenant has. With --may-push
    they also write run folders of the tenant, in the service's inbox.
    """
    if not name.isprintable() or not 0 < len(name) <= MOST_NAME:
        raise InputError(
            "not a token's name", expected=f"1 to {MOST_NAME} characters", actual=repr(name)[:90]
        )
    until = None if expires is None else _seconds(expires)
    with _tokens(database) as tokens:
        text = tokens.create(_tenant(tenant), name, until, may_push=may_push)
    value = {"format": "provenance-service-token/1", "tenant": tenant, "name": name, "token": text}
    result(value | {"expires": _time(until), "may_push": may_push}, json, text)


def list_(tenant: Tenant, database: DatabaseUrl = None, json: Json = False) -> None:
    """List a tenant's tokens, without what opens anything."""
    with _tokens(database, at_hand=True) as tokens:
        rows = [_row(each) for each in tokens.listed(_tenant(tenant))]
    value = {"format": "provenance-service-tokens/1", "tenant": tenant, "tokens": rows}
    result(value, json, "\n".join(map(_line, rows)) or "no tokens")


def revoke(
    tenant: Tenant,
    token_id: Annotated[str, typer.Argument(help="Id that `token list` prints.")],
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Revoke a token, from the next request on and for good."""
    with _tokens(database, at_hand=True) as tokens:
        row = _row(tokens.revoke(_tenant(tenant), token_id))
    result({"format": "provenance-service-token-revoked/1", **row}, json, _line(row))


@contextmanager
def _tokens(database: str | None, at_hand: bool = False) -> Iterator[Tokens]:
    """The tokens of a database.

    Args:
        at_hand: refuse a file of SQLite that is not there, which would be made otherwise.
    """
    from provenance_api.db import Database
    from provenance_api.tenants.tokens import Tokens

    store = Database(database or default_database(Settings.load()))
    try:
        if at_hand:
            store.require_file()
        store.require_schema()
        yield Tokens(store)
    finally:
        store.close()


def _tenant(text: str) -> str:
    from provenance_api.db import parse_tenant

    return parse_tenant(text)


def _seconds(text: str) -> int:
    """A day or time to come, in seconds since 1970. Without a zone it is of UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            "not a day or time", where="--expires", expected="2027-01-31", actual=text[:40]
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise InputError("this time has passed", where="--expires", actual=text[:40])
    return math.floor(moment.timestamp())


def _time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(token: Token) -> dict[str, Any]:
    times = {n: _time(getattr(token, n)) for n in ("created", "expires", "revoked")}
    return {"id": token.token_id, "name": token.name, "may_push": token.may_push, **times}


def _line(row: dict[str, Any]) -> str:
    until = f", until {row['expires']}" if row["expires"] else ""
    ended = f", revoked {row['revoked']}" if row["revoked"] else ""
    may = ", may push" if row["may_push"] else ""
    return f"{row['id']}  {row['name']}{may}, since {row['created']}{until}{ended}"
