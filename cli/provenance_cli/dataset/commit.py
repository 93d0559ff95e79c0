"""`provenance dataset commit`: salted leaves under one root."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from provenance import progress
from provenance_cli.options import Json
from provenance_cli.output import fields, note


def commit(
    source: Annotated[
        str, typer.Argument(metavar="PATH|NAME", help="File, folder, hub dataset, or attack-stix.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")
    ],
    text_column: Annotated[
        str | None, typer.Option(metavar="C", help="Commit this column alone.")
    ] = None,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Drop exact duplicates and record how many.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Commit the first N records only.")
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="S", help="Split of a hub or saved dataset.")
    ] = "train",
    source_name: Annotated[
        str | None, typer.Option("--source", metavar="S", help="Name the source otherwise.")
    ] = None,
    licence: Annotated[str | None, typer.Option(metavar="L", help="Licence of the data.")] = None,
    as_json: Json = False,
) -> None:
    """Commit a dataset: salted leaves under one root, records and salts in a private folder.

    The salt key is created on first use in PROVENANCE_HOME; without it nobody can open a leaf again, so keep a copy.
    """
    from itertools import islice

    from provenance.dataset.saltstore import load_or_create_key
    from provenance.dataset.writer import ManifestFacts
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver, find_binary
    from provenance_zk.training.commitments import DatasetCommitter
    from provenance_zk.training.sources import open_source

    settings = Settings.load()
    prover = ZkProver(find_binary(settings.zkprover))
    rows = open_source(source, text_column=text_column, split=split)
    facts = ManifestFacts(
        source=source_name or rows.source,
        licence=licence or rows.licence,
        text_column=rows.text_column,
        columns=rows.columns,
        files=rows.files,
        curation=[*rows.curation, *([f"first {limit} records"] if limit is not None else [])],
    )
    if not facts.licence:
        note("warning: no licence is recorded; name it with --licence")
    with _progress() as tell:
        key = load_or_create_key(settings.home / "salts.key")
        committer = DatasetCommitter(prover, key, dedupe, lambda i: rows.where, tell)
        report = committer.commit(islice(rows, limit), out, facts)
    if report.removed:
        note(f"dropped {report.removed} exact duplicates")
    fields(report.to_json(), as_json)


@contextmanager
def _progress() -> Iterator[progress.Progress]:
    """A bar on a TTY, a line per stage off it."""
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {
            stage: bar.add_task(stage, total=None, visible=False)
            for stage in ("read", "tree", "write")
        }

        def tell(stage: str, done: int = 0, total: int | None = None, /) -> None:
            bar.update(tasks[stage], completed=done, total=total, visible=True)

        yield tell


def _plain_progress() -> progress.Progress:
    def tell(stage: str, done: int = 0, total: int | None = None, /) -> None:
        if total is not None and done == total:
            note(f"{stage}: {done} records")

    return tell
