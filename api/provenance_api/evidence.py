"""What the service needs about evidence: whether it changed, and texts without private paths."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from provenance.errors import ProvenanceError
from provenance.ids import RunId
from provenance.judgement.verdict import Claim, Verdict
from provenance.layout import RunFolder
from provenance.log.graph.folders import began_with
from provenance.text.shown import quoted
from provenance.verify.sources.evidence import FolderEvidence, FolderSource

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s,)\"]+", re.IGNORECASE)
_LONGEST = 1 << 14  # characters of a path, and more than any system allows
_PRIVATE = frozenset({"secrets", ".nodes"})


def _token(paths: Iterable[Path], end: str) -> re.Pattern[str]:
    """Finds one of these absolute paths, the longest that fits, where a path begins and ends."""
    written = {str(p) for p in paths} - {"/"}
    written |= {quoted(name, _LONGEST)[1:-1] for name in written}  # as sentences have them
    names = sorted(written, key=len, reverse=True)
    if not names:
        return re.compile(r"(?!)")  # matches nothing
    return re.compile(rf"(?<![\w./~-])(?:{'|'.join(map(re.escape, names))}){end}")


@dataclass(frozen=True)
class Stamp:
    """Fingerprint of a run's evidence: names, sizes and times of its files.

    Two equal stamps mean that the evidence did not change in between.

    folder: None for a verdict that read no evidence; such a stamp is always current.
    """

    folder: RunFolder | None
    digest: bytes

    @classmethod
    def of(cls, folder: RunFolder) -> Stamp:
        """The stamp of a run's evidence as it is now."""
        state = hashlib.sha256()
        for path, size, mtime_ns in _files(folder.evidence):
            state.update(f"{path}\0{size}\0{mtime_ns}\n".encode(errors="surrogateescape"))
        return cls(folder, state.digest())

    @property
    def is_current(self) -> bool:
        """Whether the evidence is unchanged since the stamp was made."""
        return self.folder is None or Stamp.of(self.folder) == self


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Files in a folder (attacker-controlled), however deep: no function calls itself."""
    waiting = [str(folder)]
    while waiting:
        for entry in entries_of(waiting.pop()):
            if entry.name in _PRIVATE:
                continue
            with suppress(OSError):  # what vanished meanwhile counts as not there
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    yield entry.path, stat.st_size, stat.st_mtime_ns


def entries_of(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder (attacker-controlled), by name; nothing if it cannot be listed.

    A folder that vanished counts as empty, so its stamp differs from before.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []


class StampedSource:
    """An `EvidenceSource` that stamps a run's evidence before any of it is read.

    stamp: None unless exactly one folder holds the run, because else no stamp can be relied on; and
        None if other runs made its base.
    """

    def __init__(self, source: FolderSource) -> None:
        self._source, self._led_elsewhere = source, False
        self._stamp: Stamp | None = Stamp(None, b"")

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of the one folder that was read; None if a verdict is not to be kept."""
        return None if self._led_elsewhere else self._stamp

    def makers(self, artifact: str) -> list[FolderEvidence]:
        """As `EvidenceSource`; a verdict that rests on runs found here is never kept.

        Runs that only began with the artifact, as the one in question did, are not rested on.
        """
        found = self._source.makers(artifact)
        self._led_elsewhere |= not all(_began_with(evidence, artifact) for evidence in found)
        return found

    def candidates(self, run_id: RunId) -> list[FolderEvidence]:
        """As `EvidenceSource`; sets `stamp`."""
        found = self._source.candidates(run_id)
        # With several folders we cannot tell which one a verdict will use, so it is never kept.
        self._stamp = Stamp.of(found[0].folder) if len(found) == 1 else None
        return found


def _began_with(evidence: FolderEvidence, artifact: str) -> bool:
    """Whether a run only began with an artifact; not so where its journal cannot be read."""
    with suppress(ProvenanceError):
        return began_with(evidence.records(1), artifact)
    return False


class Redaction:
    """Removes the operator's folders and endpoints from published texts.

    Which endpoints a service asks is its operator's business: of those that agreed, their number is
    left.

    Only whole absolute paths are removed: a folder may be named like a word, or a letter, that
    verdicts use. The URL of an endpoint may contain an access key.

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
        """A text without folders and endpoints."""
        text = self._inside.sub("evidence", text)
        return _URL.sub("(endpoint)", self._above.sub("(folder)", text))

    def _maybe(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def claim(self, claim: Claim) -> Claim:
        """A claim without folders and endpoints in its texts, those for programs among them."""
        return replace(
            claim,
            text=self.text(claim.text),
            needs=self._maybe(claim.needs),
            where=self._maybe(claim.where),
            expected=self._maybe(claim.expected),
            actual=self._maybe(claim.actual),
            evidence={name: self.text(value) for name, value in claim.evidence.items()},
        )

    def verdict(self, verdict: Verdict) -> Verdict:
        """A verdict without folders and endpoints in its texts."""
        return replace(
            verdict,
            reason=self.text(verdict.reason),
            claims=tuple(self.claim(c) for c in verdict.claims),
            edges=tuple(replace(e, note=self._maybe(e.note)) for e in verdict.edges),
            development=tuple(map(self.text, verdict.development)),
        )
