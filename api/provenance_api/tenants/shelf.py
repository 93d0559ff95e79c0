"""Run folders of each tenant, and which of them who may read.

The service reads every tenant's folders. So where there are several, a folder must lie within those
of its tenant, and none of its evidence may be a link: it could lead into another tenant's.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from provenance.errors import InputError, UnavailableError
from provenance.layout import RunFolder
from provenance.verify.sources.evidence import FolderSource

log = logging.getLogger("provenance_api")


class Shelf:
    """The evidence of every tenant. Threads may share it.

    Args:
        evidence: absolute folders of each tenant.
        several: whether tenants do not trust each other.
    """

    def __init__(self, evidence: Mapping[str, Sequence[Path]], several: bool) -> None:
        self._roots = {tenant: tuple(folders) for tenant, folders in evidence.items()}
        self._several = several
        self._lock = threading.Lock()
        self._released: set[Path] = set()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders of evidence, whosesoever they are."""
        return tuple(root for roots in self._roots.values() for root in roots)

    def all(self, reader: str | None = None) -> Iterator[tuple[str, RunFolder]]:
        """Each run folder with its tenant.

        A tenant with too many gets in nobody else's way: its folders are left out, and the log
        says so.

        Args:
            reader: the tenant that wants to know that it has too many.

        Raises:
            UnavailableError: the only tenant, or `reader`, has too many.
        """
        for tenant, roots in self._roots.items():
            try:
                folders = FolderSource(roots).runs()
            except UnavailableError as error:
                if not self._several or tenant == reader:
                    raise
                log.warning("evidence of tenant %s is left out: %s", tenant, error)
                continue
            for folder in folders:
                yield tenant, folder

    def require_own(self, tenant: str, folder: RunFolder) -> None:
        """Refuse a run folder (attacker-controlled) that could show another tenant's files.

        Raises:
            InputError: it leads out of its tenant's folders, or holds a link.
        """
        if not self._several:
            return
        roots = [root.resolve() for root in self._roots[tenant]]
        if not any(folder.root.resolve().is_relative_to(root) for root in roots):
            raise InputError(
                "run folder leads out of its tenant's folders",
                where=str(folder.root),
                hint="have the run folder itself there: links are not followed",
            )
        for link in _links(folder):
            raise InputError("evidence of a tenant is a link", where=link, hint="copy the file")

    def seen_by(self, tenant: str | None) -> list[RunFolder]:
        """The run folders that a tenant may read: its own, and those of released runs.

        Args:
            tenant: None for nobody, who reads those of released runs.
        """
        with self._lock:
            released = frozenset(self._released)
        found = []
        for owner, folder in self.all(reader=tenant):
            if owner == tenant or folder.root in released:
                with suppress(InputError):
                    self.require_own(owner, folder)
                    found.append(folder)
        return found

    def note(self, folder: RunFolder, released: bool) -> None:
        """Remember whether a run folder has a release, by which everybody may read it."""
        with self._lock:
            (self._released.add if released else self._released.discard)(folder.root)


class SeenSource(FolderSource):
    """Finds the evidence that a tenant, or nobody, may read."""

    def __init__(self, shelf: Shelf, tenant: str | None) -> None:
        super().__init__(())
        self._shelf, self._tenant = shelf, tenant

    def runs(self) -> list[RunFolder]:
        """Every run folder that may be read, each once."""
        return list({f.root.resolve(): f for f in self._shelf.seen_by(self._tenant)}.values())


def _links(folder: RunFolder) -> Iterator[str]:
    """Links within the evidence, and beside it in the run folder."""
    with suppress(OSError), os.scandir(folder.root) as entries:
        yield from (entry.path for entry in entries if entry.is_symlink())
    for place, folders, files in os.walk(folder.evidence):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                yield str(path)
