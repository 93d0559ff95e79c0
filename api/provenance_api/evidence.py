"""Evidence folders as the service sees them: changes in one, and texts without private paths."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from provenance.ids import RunId
from provenance.judgement.verdict import Claim, Verdict
from provenance.layout import RunFolder
from provenance.verify.evidence import FolderEvidence, FolderSource

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s,)]+", re.IGNORECASE)
_PRIVATE = frozenset({"secrets", ".nodes"})


def _token(paths: Iterable[Path], end: str) -> re.Pattern[str]:
    """Finds one of these absolute paths, the longest that fits, where a path begins and ends."""
    names = sorted({str(p) for p in paths} - {"/"}, key=len, reverse=True)
    if not names:
        return re.compile(r"(?!)")  # matches nothing
    return re.compile(rf"(?<![\w./~-])(?:{'|'.join(map(re.escape, names))}){end}")


@dataclass(frozen=True)
class Stamp:
    """Fingerprint of a run's evidence: names, sizes and times of its files.

    Equal stamps, unchanged evidence. Without a folder it is the stamp of a verdict that read no
    evidence, and is always current.
    """

    folder: RunFolder | None
    digest: bytes

    @classmethod
    def of(cls, folder: RunFolder) -> Stamp:
        """The stamp of a run's evidence as it lies now."""
        state = hashlib.sha256()
        for path, size, mtime_ns in _files(folder.evidence):
            state.update(f"{path}\0{size}\0{mtime_ns}\n".encode(errors="surrogateescape"))
        return cls(folder, state.digest())

    @property
    def is_current(self) -> bool:
        """Whether the evidence is still the one that was stamped."""
        return self.folder is None or Stamp.of(self.folder) == self


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return  # a folder that vanished has no files; its stamp differs from before
    for entry in entries:
        if entry.name in _PRIVATE:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            stat = entry.stat(follow_symlinks=False)
            yield entry.path, stat.st_size, stat.st_mtime_ns


class StampedSource:
    """An `EvidenceSource` that stamps the run it is asked for, before any of it is read.

    stamp: None when it must not be relied on.
    """

    def __init__(self, source: FolderSource) -> None:
        self._source = source
        self.stamp: Stamp | None = Stamp(None, b"")

    def candidates(self, run_id: RunId) -> list[FolderEvidence]:
        """Everything at hand that says it is this run's evidence."""
        found = self._source.candidates(run_id)
        # Which of several counts is not known here, so their verdicts are never kept.
        self.stamp = Stamp.of(found[0].folder) if len(found) == 1 else None
        return found


class Redaction:
    """Takes the operator's folders and endpoints out of what is published.

    Only whole absolute paths are taken out: a folder may be named like a word, or a letter, that
    verdicts use. The address of an endpoint may hold an access key.

    Args:
        folders: of evidence, as the service reads them (`AppState.folders` are absolute).
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        places = {p for folder in folders for p in (folder.absolute(), folder.resolve())}
        above = {parent for place in places for parent in place.parents}
        self._inside = _token(places, r"(?=/|[^\w.-]|\.(?!\w)|$)")
        # A folder above is hidden where a text ends with it; what else lies in it has other owners.
        self._above = _token(above - places, r"(?=[^\w./-]|\.(?!\w)|$)")

    def text(self, text: str) -> str:
        """A text without them."""
        text = self._inside.sub("evidence", text)
        return _URL.sub("(endpoint)", self._above.sub("(folder)", text))

    def claim(self, claim: Claim) -> Claim:
        """A claim whose texts are without them."""

        def clean(value: str | None) -> str | None:
            return None if value is None else self.text(value)

        return replace(
            claim,
            text=self.text(claim.text),
            needs=clean(claim.needs),
            where=clean(claim.where),
            expected=clean(claim.expected),
            actual=clean(claim.actual),
        )

    def verdict(self, verdict: Verdict) -> Verdict:
        """A verdict whose texts are without them."""
        return replace(
            verdict,
            reason=self.text(verdict.reason),
            claims=tuple(self.claim(c) for c in verdict.claims),
        )
