"""For whom a request acts: middleware that reads its token before anything else is done."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provenance.errors import ProvenanceError
from provenance_api.db import DEFAULT_TENANT, acting_for
from provenance_api.tenants.tokens import BadToken, Tokens

CHALLENGE = 'Bearer error="invalid_token"'


class TenantGate:
    """ASGI middleware that sets the scope of every request, whatever its route.

    Args:
        tokens: None for a service of one tenant: every request acts for it, and shows no token.
        refuse: the answer to a request whose token opens nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens | None,
        refuse: Callable[[Request, ProvenanceError], Response],
    ) -> None:
        self._app, self._tokens, self._refuse = app, tokens, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI: pass a request on, within the scope of whoever sent it."""
        if scope["type"] != "http" or self._tokens is None:
            with acting_for(DEFAULT_TENANT if self._tokens is None else None):
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.getlist("authorization")
        marked = _marked(send, bool(given))
        tenant = None
        if given:
            try:
                tenant = await run_in_threadpool(self._tokens.tenant_of, authorization_of(request))
            except ProvenanceError as error:
                response = self._refuse(request, error)
                if isinstance(error, BadToken):
                    response.headers["WWW-Authenticate"] = CHALLENGE
                await response(scope, receive, marked)
                return
        with acting_for(tenant):
            await self._app(scope, receive, marked)


def authorization_of(request: Request) -> str:
    """The one `Authorization` header of a request; empty if it has none, or several.

    Of several a proxy may have looked at another one than we would.
    """
    given = request.headers.getlist("authorization")
    return given[0] if len(given) == 1 else ""


def _marked(send: Send, private: bool) -> Send:
    """Say to caches that an answer depends on the token, and whether it is one client's alone."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.add_vary_header("Authorization")
            if private:
                kept = headers.get("cache-control", "no-cache").removeprefix("public, ")
                headers["Cache-Control"] = f"private, {kept}"
        await send(message)

    return with_headers
