"""For whom a transaction reads and writes: a tenant, or nobody, who sees what was released.

The scope is that of the running request or task. Where none was set, it is that of nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from provenance.errors import InputError, InternalError

DEFAULT_TENANT = "default"
"""Whose evidence is in folders that were named without a tenant."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class Scope:
    """Who reads and writes.

    tenant: None for nobody.
    token_id: the token that is looked up, by whoever is nobody yet.
    """

    tenant: str | None = None
    token_id: str | None = None


NOBODY = Scope()
_current: ContextVar[Scope] = ContextVar("scope", default=NOBODY)


def current() -> Scope:
    """The scope of the running request or task."""
    return _current.get()


@contextmanager
def acting_for(tenant: str | None, token_id: str | None = None) -> Iterator[None]:
    """Read and write for a tenant, or for nobody, until the block ends."""
    before = _current.set(Scope(tenant, token_id))
    try:
        yield
    finally:
        _current.reset(before)


def writer() -> str:
    """The tenant whose rows are written.

    Raises:
        InternalError: nobody writes nothing.
    """
    tenant = current().tenant
    if tenant is None:
        raise InternalError("rows were about to be written for no tenant")
    return tenant


def is_tenant(text: str) -> bool:
    """Whether this is the form of a tenant's name."""
    return _NAME.fullmatch(text) is not None


def parse_tenant(text: str) -> str:
    """A tenant's name.

    Raises:
        InputError: it is none.
    """
    if not is_tenant(text):
        raise InputError(
            "not a tenant's name",
            expected="1 to 32 small letters, digits and hyphens, a letter first",
            actual=repr(text)[:60],
        )
    return text
