"""The folders of weights that records name, in whatever version of the record."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.artifacts.identity import NamedFolder
from provenance.log.record import Record
from provenance.log.records import RunOpen

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


def began_with(records: Sequence[Record], content: str) -> bool:
    """Whether a log (attacker-controlled), as it says, is of a run that began with these weights.

    It made nothing of the kind: a merge that changes nothing makes no base.

    Args:
        records: the first one or more.
        content: content digest of the weights.
    """
    opening = records[0] if records else None
    if opening is None or opening.type != RunOpen.TYPE:
        return False
    return base_of(opening).content == content
