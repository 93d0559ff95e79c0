"""Folders of weights at hand, compared with those that a log names."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path

from provenance.artifacts.identity import FilesMissing, NamedFolder
from provenance.artifacts.listing import MAX_ENTRIES, WEIGHTS_SUFFIX
from provenance.errors import MissingEvidence
from provenance.verify.case import Case

MAX_WEIGHT_BYTES = 1 << 40
"""Of weights beside evidence, where the caller has neither the model's file nor its base."""
_WIDEST = 8
"""Bytes of such weights for each byte of the file or base that the caller has: float32 weights of a
file with half a byte for each."""
_SPARE = 64 << 20


def weights_beside(case: Case, folder: Path | None) -> Path | None:
    """A folder beside the evidence (attacker-controlled), which is small enough to be read.

    A sparse file of terabytes takes no room on a disk, and a day to hash.

    Raises:
        MissingEvidence: it is far larger than the model that the caller has, or holds too many
            files: nobody compared it with anything.
    """
    if folder is None:
        return None
    files = list(islice(folder.iterdir(), MAX_ENTRIES + 1))
    size = sum(_size(path) for path in files if path.name.endswith(WEIGHTS_SUFFIX))
    most = _most_bytes(case)
    if size > most or len(files) > MAX_ENTRIES:
        raise MissingEvidence(
            "weights beside the evidence are too large to be read",
            where=str(folder),
            expected=f"<= {most} bytes in <= {MAX_ENTRIES} files",
            actual=f"{size} bytes in {len(files)} files",
            hint="they cannot be of this model: remove them",
        )
    return folder


def logged_beside(case: Case, named: NamedFolder, folder: Path | None) -> Path | None:
    """A folder beside the evidence (attacker-controlled), if it is the one that a log names.

    None is also for one that is too large: it says nothing about this run.

    Raises:
        InputError: as `NamedFolder.require`.
    """
    with suppress(MissingEvidence):
        found = weights_beside(case, folder)
        return found if found is not None and named.is_at(found) else None
    return None


def _most_bytes(case: Case) -> int:
    """By what the caller has: nothing of it comes from evidence."""
    has = [path for path in (case.artifact.path, case.options.base) if path is not None]
    if not has:
        return MAX_WEIGHT_BYTES
    return _WIDEST * max(_tree_size(path) for path in has) + _SPARE


def _tree_size(path: Path) -> int:
    return sum(map(_size, path.glob(f"*{WEIGHTS_SUFFIX}"))) if path.is_dir() else _size(path)


def _size(path: Path) -> int:
    """Bytes of a file, or of what a link names; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def require_logged(named: NamedFolder, folder: Path) -> None:
    """Check that a folder (attacker-controlled) is the one that a log names.

    Raises:
        VerificationError: other weights, or another file.
        MissingEvidence: the folder lacks a file, and has nothing else in its place.
        InputError: as `NamedFolder.require`.
    """
    try:
        named.require(folder)
    except FilesMissing as error:
        raise MissingEvidence(
            f"{named.what} model at hand lacks a file of the logged one",
            where=error.where,
            hint="have the whole folder at hand",
        ) from error
