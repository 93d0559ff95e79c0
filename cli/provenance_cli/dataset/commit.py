"""`provenance dataset commit`: fix the records of a source by salted leaves under one root."""

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
from provenance_cli.output import fields, note, result, working


def commit(
    source: Source,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write; it must not exist.")
    ],
    text_column: TextColumn = None,
    dedupe: Dedupe = False,
    limit: Limit = None,
    split: Split = "train",
    source_name: SourceName = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Commit a dataset: salt its records, and fix them as the leaves under one
    public root.

    Records and salts go into the folder DIR, which stays private. The key that
    encrypts the salts is made in PROVENANCE_HOME on first use. Keep a copy:
    without it no leaf can be opened again.
    """
    from provenance.settings import Settings
    from provenance_cli.actions.commit import Selection, commit_selection
    from provenance_cli.outputs import try_folder, try_home

    settings = Settings.load()
    try_folder(out, "--out")
    try_home(settings)
    selection = Selection(source, text_column, limit, split, dedupe, source_name, licence)
    with working("commit") as progress:
        done = commit_selection(selection, out, settings, progress)
        progress.clear()
        for sentence in done.sentences():
            note(sentence)
        progress.ended = f"{done.report.count} records"
    result(done.to_json(), as_json, fields(done.report.to_json()))
