"""Run folders of tenants who do not trust each other, found without following a link.

A link could lead into another tenant's folder. Whether its target is there must not show either:
so a link counts as a run folder that is refused, wherever it leads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from provenance.errors import InputError, UnavailableError
from provenance.layout import RunFolder
from provenance.verify.sources import evidence
from provenance_api.evidence import entries_of

DEPTH = 2
"""Levels of folders below a tenant's in which its run folders lie, as `FolderSource` has it."""


def run_folders(root: Path) -> list[RunFolder]:
    """Run folders in a tenant's folder (attacker-controlled), and links that may stand for some.

    Raises:
        UnavailableError: there are too many.
    """
    found: list[RunFolder] = []
    for place in _places(root, DEPTH):
        found.append(RunFolder(place))
        if len(found) > evidence.MAX_RUN_FOLDERS:
            raise UnavailableError(
                "too many run folders and links",
                where=str(root),
                expected=f"<= {evidence.MAX_RUN_FOLDERS}",
                hint="remove some, or move some to another tenant",
            )
    return found


def _places(folder: Path, depth: int) -> Iterator[Path]:
    is_run = _looks_like_run(folder)
    if is_run:
        yield folder
    for entry in entries_of(folder) if depth else ():
        if entry.is_symlink():
            if not is_run:  # a link in a run folder is that folder's fault
                yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _places(Path(entry.path), depth - 1)


def _looks_like_run(folder: Path) -> bool:
    run = RunFolder(folder)
    return run.evidence.is_symlink() or os.path.lexists(run.journal)


def require_apart(folder: RunFolder, root: Path) -> None:
    """Refuse a run folder (attacker-controlled) whose evidence is not in its tenant's folder.

    Args:
        root: the tenant's folder, without links as it was when the service started.

    Raises:
        InputError: it, or where its evidence lies, is a link.
    """
    for path in (folder.root, folder.evidence):
        if path.is_symlink():
            raise _linked(path)
    if not Path(os.path.realpath(folder.evidence)).is_relative_to(root):
        raise InputError(
            "run folder leads out of its tenant's folders",
            where=str(folder.root),
            hint="have the run folder itself there: links are not followed",
        )


def require_no_links(folder: RunFolder) -> None:
    """Refuse a run folder (attacker-controlled) that holds a link beside or in its evidence.

    Raises:
        InputError: it does.
    """
    for entry in entries_of(folder.root):
        if entry.is_symlink():
            raise _linked(entry.path)
    waiting = [folder.evidence, folder.merged, folder.adapter]
    while waiting:
        for entry in entries_of(waiting.pop()):
            if entry.is_symlink():
                raise _linked(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


def _linked(path: Path | str) -> InputError:
    return InputError(
        "evidence of a tenant is a link", where=str(path), hint="copy what it leads to"
    )
