"""The commands `provenance dataset ...`. Results go to stdout, everything for people to stderr; errors propagate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from provenance.dataset.committed import CommittedDataset

dataset = typer.Typer(
    add_completion=False,
    name="dataset",
    help="Commit datasets and look at what was committed.",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")]


@dataset.command()
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
    as_json: _Json = False,
) -> None:
    """Commit a dataset: salted leaves under one root, records and salts in a private folder.

    The salt key is created on first use in PROVENANCE_HOME; without it nobody can open a leaf again, so keep a copy.
    """
    from itertools import islice

    from provenance.dataset.saltstore import load_or_create_key
    from provenance.dataset.writer import ManifestFacts
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver, find_binary
    from provenance_zk.training.commitments import commit_dataset
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
        _say("warning: no licence is recorded; name it with --licence")
    with _progress() as progress:
        report = commit_dataset(
            islice(rows, limit),
            out,
            load_or_create_key(settings.home / "salts.key"),
            prover,
            facts=facts,
            dedupe=dedupe,
            locate=lambda i: rows.where,
            progress=progress,
        )
    if report.removed:
        _say(f"dropped {report.removed} exact duplicates")
    _print(report.to_json(), as_json)


@dataset.command()
def info(folder: _Folder, as_json: _Json = False) -> None:
    """Show what is public about a committed dataset."""
    from provenance.dataset.committed import CommittedDataset

    with CommittedDataset.open(folder) as opened:
        manifest = dict(opened.manifest)
        root = manifest.pop("root")
        erased = (
            len(opened.erased()) if opened.records_file.exists() else None
        )  # a public copy has no records
        result = {
            **manifest,
            **root,
            "erased": erased,
            "manifest_digest": str(opened.manifest_digest),
        }
    if not as_json:
        size = sum(entry["size"] for entry in result["files"])
        result["files"] = f"{len(result['files'])} ({size} bytes; --json lists them)"
    _print(result, as_json)


@dataset.command()
def check(
    folder: _Folder,
    slow: Annotated[
        bool, typer.Option("--slow", help="In Python, without the prover: 0.8 ms a record.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Recompute digests, leaves and root of a committed dataset from its private records."""
    from provenance.dataset.committed import CommittedDataset, LeafFunction, RootFunction
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver, find_binary
    from provenance_zk.training import commitments

    settings = Settings.load()
    key = load_key(settings.home / "salts.key")
    leaf_function: LeafFunction = commitments.leaves_of
    root_function: RootFunction = commitments.root_of
    if not slow:
        prover = ZkProver(find_binary(settings.zkprover))
        leaf_function, root_function = commitments.fast_leaves(prover), prover.leaf_root
    with CommittedDataset.open(folder, key) as opened:
        report = opened.check(leaf_function, root_function)
        _print(
            {
                "format": "provenance-dataset-check/1",
                **opened.root.to_json(),
                "records": report.records,
                "erased": report.erased,
                "leaves_checked": report.leaves,
                "root_checked": report.root,
            },
            as_json,
        )


def record_of(opened: CommittedDataset, file: Path) -> dict[str, Any]:
    """`parse_record` for an open dataset."""
    return parse_record(file, opened.text_column)


def parse_record(file: Path, text_column: str | None) -> dict[str, Any]:
    """The row that a file holds: the text of the column, or a JSON object. Every byte counts, a trailing newline too.

    Raises:
        InputError: no such file, or it holds no row.
    """
    from provenance.digest import open_regular
    from provenance.encoding import parse_json
    from provenance.errors import InputError

    with open_regular(file) as stream:
        data = stream.read()
    try:
        row = {text_column: data.decode("utf-8")} if text_column is not None else parse_json(data)
    except ValueError as error:
        raise InputError(
            "file holds no record of this form", where=str(file), actual=error
        ) from error
    if not isinstance(row, dict):
        raise InputError("file holds no row", where=str(file), expected="a JSON object")
    return row


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    width = max(len(name) for name in result)
    for name, value in result.items():
        if isinstance(value, list | dict):
            value = json.dumps(value, ensure_ascii=False)
        typer.echo(f"{name.replace('_', ' '):{width}}  {value}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
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
        yield lambda stage, done, total: bar.update(
            tasks[stage], completed=done, total=total, visible=True
        )


def _plain_progress() -> Callable[[str, int, int | None], None]:
    def tell(stage: str, done: int, total: int | None) -> None:
        if total is not None and done == total:
            _say(f"{stage}: {done} records")

    return tell
