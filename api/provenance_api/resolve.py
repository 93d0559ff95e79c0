"""From a model id to a verdict: what kind of id it is, and which file it names.

The database only proposes a release. Its record must be one that a trusted publisher claimed on
chain, and name, manifest and file are read from that record. So neither an altered database nor a
folder that somebody planted can show a verdict under another name, or hide one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from provenance.digest import Digest
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.judgement.verdict import Status, Verdict
from provenance.verify.sources.names import is_called
from provenance_api.catalog import Catalog, Listed
from provenance_api.judge import Judge
from provenance_api.problems import AmbiguousModel, UnknownModel

FORMS = "sha256:<64 hex>, 64 hex digits, 0x<64 hex>, name or name:version"
_SEARCHED = ("release names", "release names with version", "digests (this id is none)")
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True)
class Answer:
    """A verdict, and the id that was asked for. `kind` is `digest`, `name` or `manifest`."""

    asked: str
    kind: str
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """The verdict's JSON, with `asked` and `asked_by` added to its subject."""
        value = self.verdict.to_json()
        value["subject"] = {**value["subject"], "asked": self.asked, "asked_by": self.kind}
        return value


def parse_model_id(text: str, id_chars: int) -> Digest | str:
    """A digest, or a name to look up (`text` is attacker-controlled).

    Raises:
        InputError: the id is empty, too long or a malformed digest, or it has control characters
            or is a path.
    """
    if len(text) > id_chars:
        raise InputError(
            "model id is too long", expected=f"at most {id_chars} characters", actual=len(text)
        )
    body = text.strip()
    if not body or not body.isprintable():
        raise InputError("not a model id", expected=FORMS, actual=repr(text)[:80])
    if body.startswith("/") or "\\" in body or ".." in body.split("/"):
        raise InputError("a model id is not a path", expected=FORMS, actual=body[:80])
    lower = body.lower()
    if lower.startswith(("sha256:", "0x")) or (len(body) == 64 and set(body) <= _HEX):
        return Digest.parse(lower)
    return body


class Resolver:
    """Finds the file that an id names, and has it judged."""

    def __init__(self, catalog: Catalog, judge: Judge, id_chars: int) -> None:
        self._catalog, self._judge, self._id_chars = catalog, judge, id_chars

    async def answer(self, asked: str) -> Answer:
        """The verdict on what `asked` names.

        Raises:
            InputError: the id is malformed.
            UnknownModel, AmbiguousModel: no release that a trusted publisher claimed on chain has
                this name, or several have.
            VerificationError: the record does not have the name or manifest of the database.
            UnavailableError: the database does not answer, or too many verifications wait.
        """
        target = parse_model_id(asked, self._id_chars)
        if isinstance(target, Digest):
            return await self._by_digest(asked, target)
        return await self._by_name(asked, target)

    async def folder(self, root: Digest) -> Answer:
        """The verdict on the release of a folder whose manifest has this root.

        Raises:
            As `answer`.
        """
        return await self._by_digest(str(root), root)

    async def _judged(self, digest: Digest) -> Verdict:
        verdict = self._judge.warm(digest)
        if verdict is not None:
            return verdict
        # Shielded: if this client disconnects, others may still wait for the verification.
        return await asyncio.shield(asyncio.wrap_future(self._judge.submit(digest)))

    async def _by_digest(self, asked: str, digest: Digest) -> Answer:
        verdict = await self._judged(digest)
        if verdict.status is not Status.NOT_FOUND:
            return Answer(asked, "digest", verdict)
        found = await run_in_threadpool(self._catalog.by_manifest, digest)
        found = await run_in_threadpool(self._anchored, found)
        if not found:
            return Answer(asked, "digest", verdict)
        release = _only(asked, found)
        if release.manifest != digest:
            raise _altered(f"manifest {digest}")
        return Answer(asked, "manifest", await self._judged(release.model))

    async def _by_name(self, asked: str, label: str) -> Answer:
        listed = await run_in_threadpool(self._catalog.by_name, label)
        found = await run_in_threadpool(self._anchored, listed)
        if not found:
            raise UnknownModel(label, _SEARCHED, unclaimed=len(listed))
        release = _only(asked, found)
        if not is_called(release.label, label):
            raise _altered(f"name {label}")
        return Answer(asked, "name", await self._judged(release.model))

    def _anchored(self, listed: list[Listed]) -> list[Listed]:
        """Those releases whose records trusted publishers claimed on chain, one per file.

        The folders that the database lists may be anybody's. If the chain does not answer, all
        stay: no verdict that is made now can then be in favour of one.
        """
        try:
            claims = {model: self._judge.claimed(model) for model in {r.model for r in listed}}
        except UnavailableError:
            found = listed
        else:
            found = [r for r in listed if r.record in claims[r.model]]
        return list({r.model: r for r in reversed(found)}.values())[::-1]


def _only(asked: str, found: list[Listed]) -> Listed:
    if len(found) > 1:
        raise AmbiguousModel(asked, tuple(r.to_json() for r in found))
    return found[0]


def _altered(what: str) -> VerificationError:
    return VerificationError(
        "database and evidence disagree about this id",
        where=what,
        hint="ask for the file's SHA-256; the operator should run: provenance fsck",
    )
