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
from provenance_cli.output import fields, note, result, stage


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

    selection = Selection(source, text_column, limit, split, dedupe, source_name, licence)
    with stage("commit") as progress:
        done = commit_selection(selection, out, Settings.load(), progress)
        progress.clear()
        for sentence in done.sentences():
            note(sentence)
        progress.ended = f"{done.report.count} records"
    result(done.to_json(), as_json, fields(done.report.to_json()))
