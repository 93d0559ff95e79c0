"""`provenance fsck`: check everything that derives from a run's journal against the journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from provenance.ids import to_hex
from provenance.layout import RunFolder, read_json, write_json
from provenance.log.anchoring import read_heads
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.merkle import Tree
from provenance.settings import Settings
from provenance.verify.sources.agreement import head_faults, history_faults
from provenance_cli.database import refuse_password
from provenance_cli.judge.signed_by_others import (
    check_attestations,
    check_cosignatures,
    check_sent,
    run_id_in,
)
from provenance_cli.options import Json
from provenance_cli.output import note, result

app = typer.Typer(
    add_completion=False,
    help="Check files, database and chain against a run's journal.",
)


@app.command()
def fsck(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    database: Annotated[
        str | None,
        typer.Option(
            callback=refuse_password,
            help="URL of a database to check too (sqlite:///.. or postgresql+psycopg://..).",
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="Whose rows of the database are those of the folder.")
    ] = "default",
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the chain.")] = False,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Rewrite derived files and database rows from the journal."),
    ] = False,
    json: Json = False,
) -> None:
    """Check a run's files, the database and the chain against its journal.

    Exit code 0: all agree. 1: something contradicts the journal, or the journal itself. 3: the
    chain does not answer.
    """
    folder = RunFolder(run).require()
    records = read_records(folder.journal)
    problems = history_faults(records) + _check_files(folder, records, rebuild)
    wrong, strangers = check_cosignatures(folder, records)
    problems += wrong + check_attestations(folder, records)
    if not offline:
        problems += _check_chain(records) + check_sent(folder, records)
    if database is not None:
        problems += _check_database(folder, database, tenant, rebuild)
    value = {
        "format": "provenance-fsck/1",
        "records": len(records),
        "problems": problems,
        "unknown_witnesses": strangers,
        "ok": not problems,
    }
    result(
        value,
        json,
        "\n".join(
            [
                f"{len(records)} records, journal whole",
                *problems,
                *(f"cosignatures.jsonl: the trust file names no witness {w}" for w in strangers),
                "ok" if not problems else "NOT ok",
            ]
        ),
    )
    if problems:
        raise typer.Exit(1)


def _check_files(folder: RunFolder, records: Sequence[Record], rebuild: bool) -> list[str]:
    """Check that signed heads are prefixes of the journal, and that run.json has its run id."""
    problems = head_faults(read_heads(folder.heads), records)
    seeds = [r.fields.get("run_id") for r in records if r.type == "seed"]
    expected = seeds[0] if seeds else None
    actual = read_json(folder.info).get("run_id") if folder.info.is_file() else None
    if expected != actual:
        if rebuild and expected is not None:
            write_json(
                folder.info,
                (read_json(folder.info) if folder.info.is_file() else {}) | {"run_id": expected},
            )
        else:
            problems.append(
                f"run.json: run_id {actual}, the journal says {expected} (mend with --rebuild)"
            )
    return problems


def _check_chain(records: Sequence[Record]) -> list[str]:
    """Check that every head on chain is a prefix of the journal."""
    from provenance.chain.contracts import Reader
    from provenance.chain.session import connect, load_deployment

    run_id = run_id_in(records)
    if run_id is None:
        return []
    settings = Settings.load()
    rpc = connect(settings, note)
    snapshot = Reader(rpc, load_deployment(settings).addresses).latest()
    run = snapshot.run(run_id)
    if run is None:
        return [f"chain: registry does not know run {run_id}"]
    tree = Tree(r.entry for r in records)
    problems = []
    for seq in range(1, run.seq + 1):
        head = snapshot.head(run_id, seq)
        if head is None or head.size > len(records):
            problems.append(
                f"chain: head {seq} covers {head.size if head else '?'} records, journal has "
                f"{len(records)}"
            )
        elif tree.root(head.size) != head.root:
            problems.append(
                f"chain: head {seq} has root {to_hex(head.root)}, journal gives "
                f"{to_hex(tree.root(head.size))}"
            )
    return problems


def _check_database(folder: RunFolder, url: str, tenant: str, rebuild: bool) -> list[str]:
    from provenance_api.db import (
        Database,
        acting_for,
        compare_run,
        forget_run,
        index_run,
        parse_tenant,
    )

    database = Database(url)
    try:
        database.prepare()
        with acting_for(parse_tenant(tenant)), database.session() as session:
            problems = compare_run(session, folder)
            if problems and rebuild:
                forget_run(session, folder)
                index_run(session, folder)
                problems = compare_run(session, folder)
    finally:
        database.close()
    return [f"database: {line}" for line in problems]
