"""What an endpoint's HTTP answer means: a result, a refusal with words of its own, or "later".

Everything in an answer is attacker-controlled. Of the endpoint only scheme, host and port are ever
shown: paths, queries and user names of URLs hold access keys, and answers may repeat them.

Source: JSON-RPC 2.0; EIP-1474 (error codes); RFC 9110, 10.2.3 (Retry-After) and 15 (status codes).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

from provenance.causes import content_cause
from provenance.encoding import parse_json
from provenance.errors import ProvenanceError, RejectedError, UnavailableError
from provenance.ids import HEX_PREFIX, bare_digits
from provenance.text.shown import quoted

BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_REVERTED, _REVERT_WORDS = 3, "execution reverted"  # as geth says that a contract refused
_SHOWN = 200  # characters of an endpoint's own words
_READ = 300  # characters of them that are looked at: an expression may take their square of time
_CODE_BITS = 63  # of an error's code; those that are given have five digits
# Limit exceeded (EIP-1474), and what providers answer in its place.
_LIMIT_CODES = frozenset({-32005, -32007, -32029, 429})
_LIMIT_WORDS = re.compile(
    r"rate.?limit|too many requests|request (?:limit|rate|count) (?:reached|exceeded)"
    r"|(?:compute units|throughput).*(?:exceeded|capacity|limit)",
    re.IGNORECASE,
)
_KNOWN_WORDS = re.compile(r"already known|known transaction|already imported|same hash", re.I)
_STATE_WORDS = re.compile(r"missing trie node|state.*not available|pruned|archive", re.I)
_CHECK_URL = "check PROVENANCE_RPC_URL, or rpc_url of the configuration file"

# status -> (what, hint)
_REFUSALS: Mapping[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("endpoint does not understand the request", _CHECK_URL),
    HTTPStatus.UNAUTHORIZED: (
        "endpoint wants a valid access key",
        "put the key into the URL as your provider says; " + _CHECK_URL,
    ),
    HTTPStatus.PAYMENT_REQUIRED: (
        "endpoint wants to be paid",
        "see your provider's account, or name another endpoint",
    ),
    HTTPStatus.FORBIDDEN: (
        "endpoint refuses access",
        "is the access key allowed to use this chain, from this machine? " + _CHECK_URL,
    ),
    HTTPStatus.NOT_FOUND: ("there is no JSON-RPC at this path of the endpoint", _CHECK_URL),
    HTTPStatus.METHOD_NOT_ALLOWED: ("there is no JSON-RPC at this path", _CHECK_URL),
    HTTPStatus.REQUEST_TIMEOUT: ("endpoint gave up the request", "run the same command again"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "request is too large for the endpoint",
        "name an endpoint that takes larger transactions",
    ),
}
_FAULT = ("endpoint is out of order", "run the same command again later, or name another endpoint")
_OTHER = ("endpoint answered with an HTTP error", _CHECK_URL)


_HASH_BYTES = 32
_DIGITS = re.compile(r"[0-9a-fA-F]+")
_NO_JSON = object()  # stands for the value of a body that is no JSON


@dataclass(frozen=True)
class Reply:
    """One HTTP answer. `headers` have lower-case names; `where` is host and method, for people.

    secrets: parts of the URL that are never shown.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    where: str
    secrets: tuple[str, ...] = ()

    @cached_property
    def value(self) -> Any:
        """What the body says as JSON; `_NO_JSON` if it is none. Bodies are large: read once."""
        try:
            return parse_json(self.body)
        except ValueError:
            return _NO_JSON

    def shown(self, text: object) -> str:
        """A text of the endpoint's, `quoted`, without what the URL keeps secret."""
        said = str(text)
        line = " ".join(said[:_READ].split())
        if len(said) > _READ:
            line = self._without_half_a_secret(line)
        for secret in self.secrets:
            line = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "(key)", line)
        return quoted(line, _SHOWN)

    def _without_half_a_secret(self, line: str) -> str:
        """A text that was cut, without the beginning of a secret at its end."""
        halves = (s[:n] for s in self.secrets for n in range(len(s), 0, -1))
        half = max((h for h in halves if line.endswith(h)), key=len, default="")
        return line.removesuffix(half)

    @property
    def status_text(self) -> str:
        """`HTTP 429 Too Many Requests`."""
        known = self.status in HTTPStatus.__members__.values()
        return f"HTTP {self.status}" + (f" {HTTPStatus(self.status).phrase}" if known else "")


class RpcError(RejectedError):
    """The endpoint's own error answer; `data` holds revert bytes if it sent any.

    words: its message as people are shown it.
    is_revert: whether it says that the contract refused the call.
    """

    def __init__(self, where: str, detail: Mapping[str, Any], words: str | None = None) -> None:
        message = _message(detail)
        hint = None
        if _STATE_WORDS.search(message):
            hint = "this endpoint keeps no old state: name one that does (an archive node)"
        super().__init__(
            "chain refused the call", where=where, actual=words or quoted(message), hint=hint
        )
        self.is_revert = _is_revert(detail)
        data = detail.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        try:
            self.data = (
                bytes_of(data) if isinstance(data, str) and data.startswith(HEX_PREFIX) else b""
            )
        except ValueError:
            self.data = b""  # not hex, so no revert data: the message says what there is to say

    @property
    def is_known(self) -> bool:
        """Whether the endpoint refuses a transaction because it has this very one."""
        return _KNOWN_WORDS.search(self.actual or "") is not None


def bytes_of(text: str) -> bytes:
    """Bytes of an answer's `0x..`, which may have an odd number of digits.

    Raises:
        ValueError: not hex.
    """
    body = bare_digits(text)
    return bytes.fromhex(body if len(body) % 2 == 0 else "0" + body)


def number_of(value: object, bits: int = 64) -> int:
    """The number of an answer's `0x..` (attacker-controlled), below 2^bits.

    Signs, blanks, digits of other scripts and more digits than so many bits have are refused: what
    is read here is computed with, and printed. Source: EIP-1474, Quantity.

    Raises:
        ValueError: anything else.
    """
    text = value if isinstance(value, str) and value.startswith(HEX_PREFIX) else ""
    digits = bare_digits(text)
    if len(digits) > bits // 4 or not _DIGITS.fullmatch(digits):
        raise ValueError("not a number of JSON-RPC")
    return int(digits, 16)


def block_hash_of(value: object) -> bytes:
    """The hash of a block in an answer (attacker-controlled), 32 bytes.

    Raises:
        ValueError: anything else.
    """
    digest = bytes_of(value) if isinstance(value, str) else b""
    if len(digest) != _HASH_BYTES:
        raise ValueError("not a block's hash")
    return digest


@contextlib.contextmanager
def hostile(where: str) -> Iterator[None]:
    """Wraps the reading of an endpoint's answer, which is attacker-controlled.

    Whatever goes wrong there is the endpoint's doing: it becomes UnavailableError, so that no form
    of an answer ends a verification or counts as a contradiction.
    """
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:
        raise UnavailableError(
            "endpoint answered something else",
            where=where,
            actual=type(error).__name__,
            hint=_CHECK_URL,
        ) from error


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Wraps reads. The contracts' views never revert, so an error answer is the endpoint's own.

    Such errors (rate limit, pruned state) become UnavailableError.
    """
    try:
        yield
    except RejectedError as error:
        raise UnavailableError(
            "endpoint refused to answer", where=error.where, actual=error.actual, hint=error.hint
        ) from error


@dataclass(frozen=True)
class Later:
    """The endpoint did not do what was asked, and may later: `why` in words, seconds it asks for.

    `after_s` is None where it does not say.
    """

    why: str
    after_s: float | None


def later(reply: Reply) -> Later | None:
    """Whether an answer means "later": HTTP 429 or 503, or a JSON-RPC error about a limit."""
    detail = _error_of(reply)
    if reply.status in BUSY:
        return Later(reply.status_text, _retry_after_s(reply.headers) or _backoff_s(detail))
    if detail is None or not _is_limit(detail):
        return None
    why = f"error {_code(detail)}: {reply.shown(detail.get('message'))}"
    return Later(why, _retry_after_s(reply.headers) or _backoff_s(detail))


def _error_of(reply: Reply) -> Mapping[str, Any] | None:
    """The `error` object of a JSON-RPC answer, None where there is none."""
    problem = reply.value.get("error") if isinstance(reply.value, dict) else None
    return problem if isinstance(problem, dict) else None


def _is_limit(detail: Mapping[str, Any]) -> bool:
    """Whether an error is about how often was asked; what a contract says never is."""
    if _is_revert(detail):
        return False
    return _code(detail) in _LIMIT_CODES or _LIMIT_WORDS.search(_message(detail)) is not None


def _is_revert(detail: Mapping[str, Any]) -> bool:
    return _code(detail) == _REVERTED or _message(detail).startswith(_REVERT_WORDS)


def _message(detail: Mapping[str, Any]) -> str:
    """As much of an error's message as expressions are tried on."""
    return str(detail.get("message"))[:_READ]


def _code(detail: Mapping[str, Any]) -> int | None:
    """An error's code; None where it has none, or one that is no such number."""
    code = detail.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    return code if abs(code) < 1 << _CODE_BITS else None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; a date is taken by the endpoint's own clock, if it tells it."""
    text = headers.get("retry-after", "")[:_READ].strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return float(text)
    until, now = _date(text), _date(headers.get("date", "")[:_READ])
    if until is None:
        return None
    return max(0.0, (until - (now or datetime.datetime.now(datetime.UTC))).total_seconds())


def _date(text: str) -> datetime.datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=datetime.UTC)


def _backoff_s(detail: Mapping[str, Any] | None) -> float | None:
    """`data.rate.backoff_seconds`, by which a large provider says how long to wait."""
    value: Any = detail or {}
    for name in ("data", "rate", "backoff_seconds"):
        value = value.get(name) if isinstance(value, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e9 else None


def result_of(reply: Reply) -> Any:
    """The `result` of an answer that is not "later".

    Raises:
        RpcError: the endpoint answered with an error of JSON-RPC.
        UnavailableError: anything but JSON-RPC.
    """
    if not 200 <= reply.status < 300:
        raise _refusal(reply)
    value = reply.value
    if value is _NO_JSON:
        raise _no_json(reply)
    if not isinstance(value, dict):
        raise UnavailableError(
            "endpoint does not speak JSON-RPC",
            where=reply.where,
            expected="a JSON object",
            actual=f"{_kind(value)} {reply.shown(json.dumps(value))}",
            hint=_CHECK_URL,
        )
    if value.get("error"):
        raise _rpc_error(reply, value["error"])
    if "result" not in value:
        members = reply.shown(", ".join(map(str, value)))
        raise UnavailableError(
            "endpoint does not speak JSON-RPC",
            where=reply.where,
            expected="`result` or `error`",
            actual="an object with " + (f"the members {members}" if value else "no member"),
            hint=_CHECK_URL,
        )
    return value["result"]


def _kind(value: object) -> str:
    names = {str: "the text", list: "the list", int: "the number", float: "the number"}
    return names.get(type(value), "the value")


def _rpc_error(reply: Reply, problem: Any) -> RpcError:
    detail = problem if isinstance(problem, dict) else {"message": str(problem)}
    if detail.get("code") is not None and _code(detail) is None:
        raise UnavailableError(
            "endpoint does not speak JSON-RPC",
            where=reply.where,
            expected="an integer as the code of an error",
            actual=reply.shown(json.dumps(detail["code"])),
            hint=_CHECK_URL,
        )
    return RpcError(reply.where, detail, reply.shown(detail.get("message")))


def _no_json(reply: Reply) -> UnavailableError:
    """An answer that is no JSON: empty, a web page, or something else."""
    is_page = reply.headers.get("content-type", "").startswith("text/html")
    cause = content_cause(reply.body)
    if not reply.body:
        what, cause = "endpoint sent an empty answer", None
    elif is_page or (cause or "").startswith("it is a web page"):
        what, cause = "endpoint sent a web page, not JSON-RPC", None
    else:
        what = "endpoint sent no JSON"
    return UnavailableError(
        what,
        where=reply.where,
        actual=f"{reply.status_text}, {len(reply.body)} bytes" + (f", {cause}" if cause else ""),
        hint=f"a sign-in page, a proxy, or another path? {_CHECK_URL}",
    )


def _refusal(reply: Reply) -> UnavailableError | RpcError:
    """An HTTP status that is no success.

    Some endpoints answer refused calls with 400 and a JSON-RPC error. One with a status from 500 on
    says nothing about the call.
    """
    detail = _error_of(reply)
    own_words = reply.status not in _REFUSALS or reply.status == HTTPStatus.BAD_REQUEST
    if detail is not None and 400 <= reply.status < 500 and own_words and "code" in detail:
        return _rpc_error(reply, detail)
    if 300 <= reply.status < 400:
        return UnavailableError(
            "endpoint redirects, which is not followed",
            where=reply.where,
            actual=reply.status_text,
            hint=f"name the place itself; {_CHECK_URL}",
        )
    what, hint = _REFUSALS.get(reply.status, _FAULT if reply.status >= 500 else _OTHER)
    words = _words(reply, detail)
    actual = reply.status_text + (f": {words}" if words else "")
    return UnavailableError(what, where=reply.where, actual=actual, hint=hint)


def _words(reply: Reply, detail: Mapping[str, Any] | None) -> str | None:
    """What a refusal says about itself, if it says it in JSON."""
    if detail is not None:
        return reply.shown(detail["message"]) if "message" in detail else None
    for name in ("error", "message"):
        if isinstance(reply.value, dict) and isinstance(reply.value.get(name), str):
            return reply.shown(reply.value[name])
    return None
