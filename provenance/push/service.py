"""A service that takes pushes, as a client sees it: one request for each thing, sent again if lost.

Every request can be repeated. So what failed for want of a connection, of the chain or of a free
service is tried again a few times; what the service refuses is not.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from provenance.digest import sha256
from provenance.encoding import parse_json
from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
)
from provenance.http.bounded import bounded_session
from provenance.http.origin import http_parts, origin_of
from provenance.ids import RunId, from_hex
from provenance.push.copy import Received
from provenance.text.shown import quoted

TIMEOUT_S = 60.0
CHECK_S = 900.0
"""Seconds that a service may take to compare a run: about ten for 100,000 records on two cores."""
RETRIES = 4
"""Times that a request which got no answer is sent again; pauses double from `PAUSE_S`."""
PAUSE_S = 0.5
MAX_ANSWER_BYTES = 8 << 20
_KEPT = (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_MOST_SAID = 300
_ELSEWHERE, _BUSY = "urn:provenance:problem:offset", "urn:provenance:problem:conflict"
_TOKEN = re.compile(r"[!-~]{1,1000}")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_REFUSALS: dict[int, type[ProvenanceError]] = {
    HTTPStatus.BAD_REQUEST: InputError,
    HTTPStatus.UNAUTHORIZED: AuthError,
    HTTPStatus.FORBIDDEN: AuthError,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InputError,
    HTTPStatus.INSUFFICIENT_STORAGE: UnavailableError,
}
_LOST = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True)
class Held:
    """What the service has of a run (attacker-controlled)."""

    journal: Received
    files: Mapping[str, str]


@dataclass(frozen=True)
class Checked:
    """What the service says of a pushed run. It is no verdict.

    anchored: records under the run's newest final head on chain.
    """

    records: int
    heads: int
    anchored: int
    faults: tuple[str, ...]


class Elsewhere(Conflict):
    """A piece does not go on where the service's copy ends: perhaps it is there already."""


class _Bearer(AuthBase):
    """Puts the token into a request, whatever ~/.netrc says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class PushService:
    """The pushes of one run to a service at a URL.

    shown: scheme, host and port, which are all of the URL that people see.

    Args:
        token: opens the service; it never stands in an error.
        pause: waits so many seconds.

    Raises:
        InputError: not the URL of a service, or one at which the token would cross a network that
            anybody reads; or not a token.
    """

    def __init__(
        self, url: str, run_id: RunId, token: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        parts = http_parts(url)
        if parts is None or parts.query or parts.fragment or parts.username is not None:
            raise InputError(
                "not the URL of a service", where="--server", expected="https://HOST[:PORT][/PATH]"
            )
        self.shown = origin_of(parts)
        if parts.scheme != "https" and _host(self.shown) not in _LOOPBACK:
            raise InputError(
                "a token would cross the network where anybody can read it",
                where=self.shown,
                expected="https://, or a service on this machine",
                hint="put a proxy with TLS in front of the service",
            )
        if _TOKEN.fullmatch(token) is None:
            raise InputError(
                "not a token", expected="letters, digits and signs of ASCII, without blanks"
            )
        self.url = url.rstrip("/")
        self._at = f"{self.url}/push/{run_id}"
        self._auth, self._pause = _Bearer(token), pause
        self._session = bounded_session()
        # A proxy that the environment names would get the token of a service on this machine.
        self._session.trust_env = parts.scheme == "https"

    def held(self) -> Held:
        """What is there.

        Raises:
            ProvenanceError: the service refuses; the class says why (`_REFUSALS`).
            UnavailableError: it does not answer, or not in this form.
        """
        value = self._json("GET", "")
        with self._read():
            files = value["files"]
            if not isinstance(files, dict):
                raise TypeError("files are no object")
            return Held(_received(value["journal"]), files)

    def append(self, offset: int, piece: bytes) -> Received:
        """Send a piece of the journal. Errors as `held`; `Elsewhere` if it was there already."""
        headers = {"Upload-Offset": str(offset)}
        value = self._json("PATCH", "/journal", data=piece, headers=headers)
        with self._read():
            return _received(value)

    def put(self, name: str, data: bytes) -> None:
        """Send a file. Errors as `held`."""
        digest = base64.b64encode(sha256(data)).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:"}
        self._ask("PUT", f"/files/{quote(name)}", data=data, headers=headers)

    def check(self, records: int = 0) -> Checked:
        """Have the service compare what it has with itself and with the chain. Errors as `held`.

        Args:
            records: that it has been sent; UnavailableError if it tells of fewer.
        """
        value = self._json("POST", "/check", timeout_s=CHECK_S)
        with self._read():
            compared, heads, anchored = (
                _count(value[name]) for name in ("records", "heads", "anchored")
            )
            if compared < records:
                raise ValueError("fewer records than were sent")
            if not isinstance(value["faults"], list):
                raise TypeError("faults are no list")
            return Checked(compared, heads, anchored, tuple(map(str, value["faults"])))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _json(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        body = self._ask(method, path, **sent)
        with self._read():
            value = parse_json(body)
            if not isinstance(value, dict):
                raise TypeError("no object")
            return value

    def _ask(self, method: str, path: str, **sent: Any) -> bytes:
        """The body of the answer; `sent` as `_once` takes it."""
        for attempt in range(RETRIES + 1):
            try:
                status, body = self._once(method, path, **sent)
            except UnavailableError:
                if attempt == RETRIES:
                    raise
            else:
                if status in (_KEPT if method == "PUT" else (HTTPStatus.OK,)):
                    return body
                is_busy = status == HTTPStatus.CONFLICT and _problem(body).get("type") == _BUSY
                if (status not in _LOST and not is_busy) or attempt == RETRIES:
                    raise self._refusal(status, body)
            self._pause(PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        path: str,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, bytes]:
        kinds = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
        try:
            with self._session.request(
                method,
                self._at + path,
                data=data,
                headers=kinds | dict(headers or {}),
                auth=self._auth,
                timeout=timeout_s,
                stream=True,
                allow_redirects=False,
            ) as response:
                body = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=True)
                if len(body) > MAX_ANSWER_BYTES:
                    raise UnavailableError("service's answer is too large", where=self.shown)
                return response.status_code, body
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise UnavailableError(
                "service does not answer",
                where=self.shown,
                actual=type(error).__name__,
                hint="check the URL of --server, or push again later: what is there is kept",
            ) from error

    def _refusal(self, status: int, body: bytes) -> ProvenanceError:
        said = _problem(body)
        kind = _REFUSALS.get(status, UnavailableError)
        if status == HTTPStatus.CONFLICT and said.get("type") == _ELSEWHERE:
            kind = Elsewhere
        words = ", ".join(
            f"{name} {said[name]}" for name in ("where", "expected", "actual") if name in said
        )
        detail = said.get("detail")
        what = "service answers otherwise than one that takes pushes"
        if detail is not None:
            what = f"service refuses: {quoted(detail, _MOST_SAID)}"
        return kind(
            what,
            where=self.shown,
            actual=f"{status} {quoted(words, _MOST_SAID)}" if words else str(status),
            hint=quoted(said["hint"], _MOST_SAID) if "hint" in said else None,
        )

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Around reading an answer (attacker-controlled)."""
        try:
            yield
        except (ValueError, KeyError, TypeError, InputError) as error:
            raise UnavailableError(
                "service answers in another form than this release reads",
                where=self.shown,
                hint="check the URL of --server, and that both are of one release",
            ) from error


def _received(value: Any) -> Received:
    return Received(_count(value["bytes"]), _count(value["records"]), from_hex(value["last"], 32))


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("not a count")
    return value


def _problem(body: bytes) -> dict[str, str]:
    """The texts of a problem (RFC 9457); none if it is something else."""
    try:
        value = parse_json(body)
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _host(origin: str) -> str:
    host = origin.partition("://")[2]
    return host if host.endswith("]") else host.rsplit(":", 1)[0]
