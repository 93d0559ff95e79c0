"""Which rows a transaction sees, in every query of the ORM and on every database.

A tenant sees its own rows, and of other tenants the runs that were released. Nobody's queries see
released runs alone. A run that a tenant has itself is shown from its own folder only, so a run's id
names one row. On PostgreSQL row security says the same again, whatever a query asks for.

A table is tenants' data if it has `tenant_id`. One that has not is refused here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, event, exists, false, func, not_, or_, select
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria

from provenance_api.db.models import Base, RunRow, TokenRow
from provenance_api.db.scope import Scope, current

_RUNS = Base.metadata.tables["runs"]


class ScopedSession(Session):
    """A session for the scope in which it was opened."""

    def __init__(self, bind: Any) -> None:
        super().__init__(bind, info={"scope": current()})


@event.listens_for(ScopedSession, "do_orm_execute")
def _narrow(state: ORMExecuteState) -> None:
    scope = state.session.info["scope"]
    if not state.is_orm_statement:
        return  # conditions of classes count for nothing in what names tables
    if state.is_select and not state.is_column_load:
        state.statement = state.statement.options(*_options(scope, write=False))
    elif state.is_update or state.is_delete:
        state.statement = state.statement.options(*_options(scope, write=True))


@event.listens_for(ScopedSession, "after_begin")
def _tell_database(session: Session, _: SessionTransaction, connection: Any) -> None:
    """Say to PostgreSQL who asks, for this transaction alone: a pooled connection keeps nothing."""
    if connection.dialect.name == "postgresql":
        scope = session.info["scope"]
        connection.execute(
            select(
                func.set_config("app.tenant_id", scope.tenant or "", True),
                func.set_config("app.token_id", scope.token_id or "", True),
            )
        )


@lru_cache(maxsize=256)
def _options(scope: Scope, write: bool) -> tuple[Any, ...]:
    """The condition of each table; made once for a scope, since each query takes them all."""
    judge = _own if write else _seen
    models = [mapper.class_ for mapper in Base.registry.mappers]
    return tuple(
        with_loader_criteria(model, judge(model, scope), include_aliases=True) for model in models
    )


def _own(model: Any, scope: Scope) -> ColumnElement[bool]:
    if scope.tenant is None:
        return false()
    # `model` is whichever class is mapped, so this comparison has no type of its own.
    return model.tenant_id == scope.tenant  # type: ignore[no-any-return]


def _seen(model: Any, scope: Scope) -> ColumnElement[bool]:
    own = _own(model, scope)
    if model is TokenRow:
        return own if scope.token_id is None else or_(own, TokenRow.token_id == scope.token_id)
    if model is RunRow:
        return or_(own, and_(RunRow.released, not_(_has_own(RunRow.run_id, model, scope))))
    shown = _RUNS.alias("shown")
    return or_(
        own,
        exists()
        .where(
            shown.c.run_id == model.run_id,
            shown.c.tenant_id == model.tenant_id,
            shown.c.released,
            not_(_has_own(shown.c.run_id, shown, scope)),
        )
        .correlate(model),
    )


def _has_own(run_id: Any, outer: Any, scope: Scope) -> ColumnElement[bool]:
    """Whether the tenant has the run itself."""
    if scope.tenant is None:
        return false()
    mine = _RUNS.alias("mine")
    return (
        exists().where(mine.c.run_id == run_id, mine.c.tenant_id == scope.tenant).correlate(outer)
    )
