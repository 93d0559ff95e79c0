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
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.verify.sources.evidence import FolderSource, run_id_of
from provenance_api.tenants.folders import require_apart, require_no_links, run_folders

log = logging.getLogger("provenance_api")


class Shelf:
    """The evidence of every tenant. Threads may share it.

    Args:
        evidence: absolute folders of each tenant.
        several: whether tenants do not trust each other. Where their folders lie is then fixed: a
            folder that becomes a link leads nowhere.
    """

    def __init__(self, evidence: Mapping[str, Sequence[Path]], several: bool) -> None:
        self._roots = {tenant: tuple(folders) for tenant, folders in evidence.items()}
        self._places = {root: root.resolve() for roots in self._roots.values() for root in roots}
        self._several = several
        self._lock = threading.Lock()
        self._released: dict[Path, RunId] = {}
        self._left_out: set[str] = set()

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
                folders = self._folders(roots)
            except UnavailableError as error:
                if not self._several or tenant == reader:
                    raise
                if tenant not in self._left_out:  # whoever asks for verdicts would fill the log
                    log.warning("evidence of tenant %s is left out: %s", tenant, error)
                self._left_out.add(tenant)
                continue
            self._left_out.discard(tenant)
            for folder in folders:
                yield tenant, folder

    def _folders(self, roots: Sequence[Path]) -> list[RunFolder]:
        if not self._several:
            return FolderSource(roots).runs()
        found = (folder for root in roots for folder in run_folders(root))
        return list({_place(folder.root): folder for folder in found}.values())

    def require_apart(self, tenant: str, folder: RunFolder) -> None:
        """Refuse a run folder (attacker-controlled) of which nothing may be looked at.

        Raises:
            InputError: it is a link, leads out of its tenant's folders, or has no name in UTF-8; or
                the tenant has no such folders here.
        """
        if not _is_text(folder.root):
            raise InputError(
                "name of a run folder is not UTF-8", where=str(folder.root), hint="rename it"
            )
        if self._several:
            roots = (r for r in self._roots.get(tenant, ()) if folder.root.is_relative_to(r))
            root = next(roots, None)
            if root is None:
                raise InputError("run folder is in no folder of its tenant", where=str(folder.root))
            require_apart(folder, self._places[root])

    def require_own(self, tenant: str, folder: RunFolder) -> None:
        """Refuse a run folder (attacker-controlled) that could show another tenant's files.

        Raises:
            InputError: as `require_apart`; or it holds a link.
        """
        self.require_apart(tenant, folder)
        if self._several:
            require_no_links(folder)

    def seen_by(self, tenant: str | None) -> list[tuple[str, RunFolder]]:
        """The run folders that a tenant may read, each with whose it is.

        They are its own, and those of released runs, one of a run and of each other tenant. Whoever
        reads more than a journal of one calls `require_own` before: that looks at every file.

        Args:
            tenant: None for nobody, who reads those of released runs.
        """
        with self._lock:
            released = dict(self._released)
        found = []
        for owner, folder in self.all(reader=tenant):
            if owner == tenant or folder.root in released:
                with suppress(InputError):
                    self.require_apart(owner, folder)
                    # Another run may be in its place by now.
                    if owner == tenant or run_id_of(folder) == released[folder.root]:
                        found.append((owner, folder))
        return found

    def note(self, folder: RunFolder, released: RunId | None) -> None:
        """Remember the run in a folder that has a release, by which everybody may read it.

        Args:
            released: None if nobody but its tenant may.
        """
        with self._lock:
            if released is None:
                self._released.pop(folder.root, None)
            else:
                self._released[folder.root] = released


def _place(path: Path) -> str:
    """Where a folder or link is, by whatever name: folders of one tenant may lie in each other."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _is_text(path: Path) -> bool:
    with suppress(UnicodeEncodeError):
        os.fspath(path).encode()
        return True
    return False
