"""The folders of weights that records name, in whatever version of the record."""

from __future__ import annotations

from provenance.artifacts.identity import NamedFolder
from provenance.log.record import Record

BINDS_FILES = 3
"""The version of `run.open` from which on a log binds the files beside the weights."""


def binds_files(opening: Record) -> bool:
    """Whether a run's log binds the files beside the weights, from its `run.open` on."""
    return opening.version >= BINDS_FILES


def base_of(opening: Record) -> NamedFolder:
    """The base model that a run was opened for."""
    base = opening.fields["base"]
    files = base.get("files") if binds_files(opening) else None
    return NamedFolder("base", str(base.get("content")), files)


def adapter_of(checkpoint: Record) -> NamedFolder:
    """The adapter that a checkpoint saved."""
    return NamedFolder("adapter", checkpoint.fields["weights"], checkpoint.fields.get("files"))


def folder_of(merge: Record, what: str) -> NamedFolder:
    """One of the folders of a `merge`: `base`, `adapter` or `merged`."""
    return NamedFolder(what, merge.fields[what], merge.fields.get(f"{what}_files"))


def merged_of(merge: Record) -> NamedFolder:
    """The model that a `merge` made."""
    return folder_of(merge, "merged")
