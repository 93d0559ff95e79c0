"""Asking a witness for its cosignature (c2sp.org/tlog-witness)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import requests
from urllib3.exceptions import HTTPError

from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.http.bounded import bounded_session
from provenance.http.origin import http_parts, origin_of
from provenance.log.c2sp import parse_checkpoint, parse_size
from provenance.log.witness.cosignature import Cosignature, WitnessKey
from provenance.log.witness.note import Note, SignatureLine
from provenance.log.witness.request import PATH, SIZE_TYPE, AddCheckpoint
from provenance.merkle import Tree
from provenance.text.shown import quoted

MAX_ANSWER_BYTES = 64 << 10
TIMEOUT_S = 30.0
_MOST_SAID = 200  # bytes of a refusal in the witness's own words
_REFUSALS: dict[int, tuple[type[ProvenanceError], str]] = {
    HTTPStatus.BAD_REQUEST: (InputError, "witness cannot read the request"),
    HTTPStatus.FORBIDDEN: (AuthError, "witness does not take the head's signature"),
    HTTPStatus.NOT_FOUND: (NotFound, "witness does not know this log"),
    HTTPStatus.CONFLICT: (Conflict, "witness signed another head of this log meanwhile"),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        VerificationError,
        "witness says that this head does not extend the one that it signed last",
    ),
}


@dataclass(frozen=True)
class Answer:
    """An answer: status, content type without parameters, and body (all attacker-controlled)."""

    status: int
    kind: str
    body: bytes


class WitnessEndpoint:
    """A witness at an URL, which is its submission prefix.

    shown: scheme, host and port, which are all of the URL that people see.

    Raises:
        InputError: not a URL of this kind.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = http_parts(url)
        if parts is None or parts.query or parts.fragment:
            raise InputError("not the URL of a witness", expected="http(s)://HOST[:PORT][/PATH]")
        self.shown = origin_of(parts)
        self._url, self._timeout_s = f"{url.rstrip('/')}/{PATH}", timeout_s

    def ask(self, request: AddCheckpoint) -> Answer:
        """Send a request once. Redirects are not followed.

        Raises:
            UnavailableError: no whole answer in time, or one that is too large.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            with (
                bounded_session() as session,
                session.post(
                    self._url,
                    data=request.to_bytes(),
                    headers={"Content-Type": "text/plain", "Accept-Encoding": "identity"},
                    timeout=self._timeout_s,
                    stream=True,
                    allow_redirects=False,
                ) as response,
            ):
                body = self._read(response, deadline)
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return Answer(response.status_code, kind, body)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise UnavailableError(
                "witness does not answer",
                where=self.shown,
                actual=type(error).__name__,
                hint="check its URL, or ask again later",
            ) from error

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        while part := response.raw.read1(1 << 14, decode_content=False):
            body += part
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise UnavailableError(
                    "witness's answer is too large or takes too long",
                    where=self.shown,
                    expected=f"<= {MAX_ANSWER_BYTES} bytes in {self._timeout_s:g} s",
                )
        return bytes(body)


def cosign(
    ask: Callable[[AddCheckpoint], Answer],
    note: Note,
    tree: Tree,
    keys: Sequence[WitnessKey],
    latest: int,
) -> list[Cosignature]:
    """The cosignatures by known keys that a witness gives for a signed checkpoint.

    It is asked as if it had never seen the log. If it has, it says how far, and is asked once more.

    Args:
        ask: sends a request; what it returns is attacker-controlled.
        note: the checkpoint of the log's head, as its owner signed it.
        tree: over the log's records, as many as the head has or more.
        keys: whose cosignatures are wanted; others are left out.
        latest: the newest time (seconds since the epoch) that counts.

    Raises:
        UnavailableError: no answer, or none that this protocol has.
        ProvenanceError: the witness refuses; the class says why (`_REFUSALS`).
        VerificationError: no signature in its answer is of this checkpoint by a known key.
    """
    size = parse_checkpoint(note.text)[1].size
    answer = ask(AddCheckpoint(0, (), note))
    if answer.status == HTTPStatus.CONFLICT and answer.kind == SIZE_TYPE:
        old = _told_size(answer.body)
        if old > size:
            raise Conflict(
                "witness has signed a later head of this log", expected=f"<= {size}", actual=old
            )
        answer = ask(AddCheckpoint(old, tuple(tree.consistency_proof(old, size)), note))
    if answer.status != HTTPStatus.OK:
        kind, what = _REFUSALS.get(answer.status, (UnavailableError, "witness does not sign"))
        said = answer.body[:_MOST_SAID].decode("utf-8", "replace").strip()
        raise kind(what, actual=f"{answer.status} {quoted(said, _MOST_SAID)}")
    return _read_signatures(answer.body, note.text, keys, latest)


def _told_size(body: bytes) -> int:
    try:
        return parse_size(body.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, InputError) as error:
        raise UnavailableError(
            "witness tells no size", expected="decimal digits", actual=repr(body[:40])
        ) from error


def _read_signatures(
    body: bytes, text: str, keys: Sequence[WitnessKey], latest: int
) -> list[Cosignature]:
    found: dict[WitnessKey, Cosignature] = {}
    for row in body.decode("utf-8", "replace").split("\n"):
        for key in keys:
            try:
                given = Cosignature.read(SignatureLine.parse(row), key)
            except InputError:
                continue
            if given is not None and given.time <= latest and given.is_of(text):
                found[key] = given
    if not found:
        raise VerificationError(
            "witness's answer has no cosignature of this head by a known key, at a time that is "
            "not ahead",
            expected=", ".join(key.name for key in keys),
            hint="name its key with --vkey, or in the trust file",
        )
    return list(found.values())
