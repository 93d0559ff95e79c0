"""Folders of weights at hand, compared with those that a log names."""

from __future__ import annotations

from pathlib import Path

from provenance.artifacts.identity import FilesMissing, NamedFolder
from provenance.errors import MissingEvidence


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
