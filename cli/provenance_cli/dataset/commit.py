"""`provenance dataset commit`: salted leaves of a source's records under one root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import (
    Dedupe,
    Json,
    Licence,
    Limit,
    Source,
    SourceName,
    Split,
    TextColumn,
)
from provenance_cli.output import note, result, stage


def commit(
    source: Source,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")
    ],
    text_column: TextColumn = None,
    dedupe: Dedupe = False,
    limit: Limit = None,
    split: Split = "train",
    source_name: SourceName = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Commit a dataset: salted leaves under one root, records and salts in a private folder.

    The salt key is created on first use in the home folder. Without it nobody can open a leaf
    again, so keep a copy.
    """
    from provenance.settings import Settings
    from provenance_cli.actions.commit import Selection, commit_selection
    from provenance_cli.outputs import try_folder, try_home

    settings = Settings.load()
    try_folder(out, "--out")
    try_home(settings)
    selection = Selection(source, text_column, limit, split, dedupe, source_name, licence)
    with stage("commit") as progress:
        report = commit_selection(selection, out, settings, progress)
        progress.ended = f"{report.count} records"
    if report.removed:
        note(f"dropped {report.removed} exact duplicates")
    result(report.to_json(), as_json)
