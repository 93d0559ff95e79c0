"""One JSON-RPC endpoint over HTTP: how it is asked, and how long is waited for it.

An endpoint that asks for patience (429, 503, an error about a limit) is asked again, as often and
for as long as `Patience` says. The same bytes are sent then: a transaction that is sent again has
the same hash, so it cannot be mined twice. Nothing else is ever repeated here: after a timeout
nobody knows whether the endpoint did what it was asked to.
"""

from __future__ import annotations

import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from provenance.chain.answers import Later, Reply, hostile, later, result_of
from provenance.errors import InputError, UnavailableError
from provenance.http.bounded import bounded_session
from provenance.http.origin import http_parts, origin_of
from provenance.judgement.facts import Agreement
from provenance.progress import Say, silent

MAX_ANSWER_BYTES = 32 << 20
_LEAST_SECRET = 6  # characters of a part of a URL that is taken out of texts
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Patience:
    """How long one request waits for an endpoint that answers "later".

    waits: how often it is sent again, at most.
    total_s: seconds of waiting in all; an endpoint that asks for more is not waited for.
    """

    waits: int = 8
    total_s: float = 120.0


PATIENT = Patience()
BRISK = Patience(1, 3.0)  # where somebody waits for the answer
_FIRST_S, _LONGEST_S = 1.0, 15.0  # waits that the endpoint does not name double between these
_JITTER = 0.25  # part of a wait that is added at random, so that clients do not come back at once


class Transport(Protocol):
    """Asks one endpoint, or several as one. `shown` is all of their URLs that people may see."""

    @property
    def shown(self) -> str:
        """Scheme, host and port of each."""
        ...

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The `result` of one call. Raises UnavailableError or RpcError."""
        ...

    def close(self) -> None:
        """Close connections; the next request opens others."""
        ...

    def agreement(self) -> Agreement | None:
        """How the endpoints agreed so far; None if there is only one."""
        ...


class Endpoint:
    """Asks one endpoint. Threads may share it.

    Args:
        url: `http(s)://..`; it may hold access keys. What it answers is attacker-controlled.
        timeout_s: seconds until a request counts as unanswered, and until its answer must be whole.
        say: told of each wait.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 30.0,
        patience: Patience = PATIENT,
        say: Say = silent,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is asked yet.

        Raises:
            InputError: not a URL of this kind.
        """
        parts = _parse(url)
        self.shown = origin_of(parts)
        self._url, self._secrets = url, _secrets(parts)
        self._is_loopback = parts.hostname in _LOOPBACK
        self._timeout_s, self._patience = timeout_s, patience
        self._say, self._sleep = say, sleep
        self._sessions = threading.local()
        self._ids = itertools.count(1)
        self._is_tired = False  # after patience ran out, until an answer comes

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The `result` of one call.

        Raises:
            UnavailableError: no answer, no JSON-RPC, or "later" for longer than is waited.
            RpcError: the endpoint answered with an error of JSON-RPC.
        """
        call = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        data, attempt, waited_s = json.dumps(call).encode(), 0, 0.0
        where = f"{self.shown} {method}"
        while True:
            with hostile(where):
                reply = self._post(data, where)
                asked = later(reply)
                if asked is None:
                    self._is_tired = False
                    return result_of(reply)
            pause_s = self._pause_s(asked, attempt)
            if pause_s is None or waited_s + pause_s > self._patience.total_s:
                self._is_tired = True
                raise _limited(reply, asked, attempt, waited_s)
            self._say(f"warning: {self.shown}: {asked.why}; waiting {pause_s:.0f} s")
            self._sleep(pause_s)
            attempt, waited_s = attempt + 1, waited_s + pause_s

    def close(self) -> None:
        """Close the calling thread's connection; the next request opens another."""
        self._session.close()

    def agreement(self) -> None:
        """Nobody to agree with."""

    def _pause_s(self, asked: Later, attempt: int) -> float | None:
        """Seconds until the next try; None if there is none."""
        if attempt >= self._patience.waits or self._is_tired:
            return None
        least_s = asked.after_s
        if least_s is None:
            least_s = min(_LONGEST_S, _FIRST_S * 2**attempt)
        return least_s * (1 + _JITTER * random.random())  # noqa: S311  spreads load, hides nothing

    def _post(self, data: bytes, where: str) -> Reply:
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._session.post(
                self._url,
                data=data,
                headers=_HEADERS,
                timeout=self._timeout_s,
                stream=True,
                allow_redirects=False,
            ) as response:
                body = self._read(response, deadline, where)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, body, where, self._secrets)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise self._silence(error, where) from error

    def _read(self, response: requests.Response, deadline: float, where: str) -> bytes:
        """The body, which may neither be endless nor take for ever."""
        body = bytearray()
        while part := response.raw.read1(1 << 16, decode_content=False):
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise UnavailableError(
                    "endpoint's answer is too large",
                    where=where,
                    expected=f"<= {MAX_ANSWER_BYTES} bytes",
                )
            if time.monotonic() > deadline:
                raise self._late(where)
        return bytes(body)

    @property
    def _session(self) -> requests.Session:
        """The calling thread's connection, which stays open between requests."""
        if not hasattr(self._sessions, "own"):
            self._sessions.own = bounded_session()
        session: requests.Session = self._sessions.own
        return session

    def _late(self, where: str) -> UnavailableError:
        return UnavailableError(
            "chain does not answer",
            where=where,
            actual=f"no whole answer within {self._timeout_s:g} s",
            hint="run the same command again later, or name another endpoint",
        )

    def _silence(self, error: Exception, where: str) -> UnavailableError:
        """No answer at all, with the reason that the layer below knows."""
        if isinstance(error, requests.Timeout | ReadTimeoutError | TimeoutError):
            return self._late(where)
        hint = "start it (provenance chain up)" if self._is_loopback else "check the endpoint"
        return UnavailableError("chain does not answer", where=where, actual=_why(error), hint=hint)


def _parse(url: str) -> SplitResult:
    parts = http_parts(url)
    if parts is None:
        raise InputError(
            "RPC endpoint must be http or https",
            where=_scheme(url),
            expected="http(s)://HOST[:PORT][/PATH]",
            hint="check PROVENANCE_RPC_URL, or rpc_url of the configuration file; it has no blank, "
            "backslash or second @, and a name in another script is written as xn--..",
        )
    return parts


def _scheme(url: str) -> str:
    """As much of a URL that cannot be read as surely holds no key."""
    scheme, found, _ = url.partition("://")
    return f"{scheme[:20]}://.." if found else "a text without ://"


def _secrets(parts: SplitResult) -> tuple[str, ...]:
    """Parts of a URL that may be access keys, the longest first."""
    words = [parts.username, parts.password, *parts.path.split("/"), *parts.query.split("&")]
    words += [text.partition("=")[2] for text in parts.query.split("&")]
    found = {unquote(word) for word in words if word} | {word for word in words if word}
    return tuple(sorted((w for w in found if len(w) >= _LEAST_SECRET), key=len, reverse=True))


def _limited(reply: Reply, asked: Later, attempt: int, waited_s: float) -> UnavailableError:
    wish = "" if asked.after_s is None else f", asks for {asked.after_s:.0f} s more"
    return UnavailableError(
        "endpoint limits requests",
        where=reply.where,
        actual=f"{asked.why}, asked {attempt + 1} times in {waited_s:.0f} s{wish}",
        hint="run the same command again later: it goes on where it stopped; or name an endpoint "
        "with a higher limit",
    )


def _why(error: BaseException) -> str:
    """The innermost cause in words; URLs that libraries quote are left out."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, NameResolutionError | socket.gaierror):
            return "no host of this name is known"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens at this address"
        if isinstance(cause, requests.exceptions.SSLError):
            return "its TLS certificate is not accepted, or it speaks no TLS"
        if isinstance(cause, requests.exceptions.ProxyError):
            return "the proxy of HTTP_PROXY or HTTPS_PROXY does not lead there"
    for cause in chain:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return f"the connection broke ({type(error).__name__})"


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found
