"""`provenance fsck`: check everything that derives from a run's journal against the journal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import InputError, ProvenanceError, VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.trust_file import load_trust
from provenance.layout import RunFolder, read_json, write_json
from provenance.log.anchoring import read_heads
from provenance.log.c2sp import checkpoint
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.log.witness.cosignature import WitnessKey
from provenance.log.witness.kept import CosignedHead, read_cosigned
from provenance.merkle import Tree
from provenance.settings import Settings
from provenance.signing import Domain
from provenance.text.shown import visible
from provenance_cli.judge.log_export import domain_of_run
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
            help="URL of a database to check too (sqlite:///.. or postgresql+psycopg://..)."
        ),
    ] = None,
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
    problems = _check_history(records) + _check_files(folder, records, rebuild)
    wrong, strangers = _check_cosignatures(folder, records)
    problems += wrong
    if not offline:
        problems += _check_chain(records)
    if database is not None:
        problems += _check_database(folder, database, rebuild)
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


def _check_history(records: Sequence[Record]) -> list[str]:
    """Check that the records agree with each other: the first that does not is the problem."""
    try:
        read_history(records)
    except VerificationError as error:
        return [f"history: {error}"]
    return []


def _check_files(folder: RunFolder, records: Sequence[Record], rebuild: bool) -> list[str]:
    """Check that signed heads are prefixes of the journal, and that run.json has its run id."""
    tree = Tree(r.entry for r in records)
    problems = []
    for signed in read_heads(folder.heads):
        if signed.head.size > len(records):
            problems.append(
                f"heads.jsonl: a head covers {signed.head.size} records, the journal has "
                f"{len(records)}"
            )
        elif signed.head.root != tree.root(signed.head.size):
            problems.append(
                f"heads.jsonl: the head of {signed.head.size} records has another root than the "
                "journal"
            )
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


def _check_cosignatures(
    folder: RunFolder, records: Sequence[Record]
) -> tuple[list[str], list[str]]:
    """Check that each line is a witness's signature of a head of this log.

    Returns:
        (problems, the witnesses of the others whom the trust file does not name, as vkeys).
    """
    path = folder.cosignatures
    if not os.path.lexists(path):
        return [], []
    tree, run_id = Tree(r.entry for r in records), _run_id_in(records)
    problems, signed = list[str](), dict[WitnessKey, None]()
    try:
        domain = domain_of_run(folder)
        for number, line in read_cosigned(path):
            try:
                signed[_require_cosigned(line, run_id, tree, domain)] = None
            except ProvenanceError as error:
                problems.append(f"cosignatures.jsonl line {number}: {error}")
    except ProvenanceError as error:
        problems.append(f"cosignatures.jsonl cannot be checked: {error}")
    known = _known_witnesses() if signed else ()
    return problems, [visible(str(key)) for key in signed if key not in known]


def _require_cosigned(
    line: CosignedHead | InputError, run_id: RunId | None, tree: Tree, domain: Domain
) -> WitnessKey:
    """The witness whose cosignature a line is.

    Raises:
        InputError: it is no such line.
        VerificationError: of another run, of no prefix of the log, or a signature that its witness
            did not make for this chain and registry.
    """
    if isinstance(line, InputError):
        raise line
    head, given = line.head, line.cosignature
    is_prefix = head.size <= len(tree) and head.root == tree.root(head.size)
    if head.run_id != run_id or not is_prefix:
        raise VerificationError(
            "no head of this log",
            where=f"head of {head.size} records",
            expected=f"a prefix of the {len(tree)} records of run {run_id}",
            actual=f"root {to_hex(head.root)} of run {head.run_id}",
        )
    if not given.is_of(checkpoint(head, domain)):
        raise VerificationError(
            "not a cosignature of this head",
            where=f"witness {visible(given.witness.name)}",
            expected=f"a signature for chain {domain.chain_id}, registry {domain.registry}",
        )
    return given.witness


def _run_id_in(records: Sequence[Record]) -> RunId | None:
    """The run that the journal's seed names; None for one that was never registered."""
    seed = next((r for r in records if r.type == "seed" and "run_id" in r.fields), None)
    return None if seed is None else RunId.parse(seed.fields["run_id"])


def _known_witnesses() -> tuple[WitnessKey, ...]:
    """Those of the trust file, if there is one that names any."""
    path = Settings.load().trust
    witnesses = load_trust(path).witnesses if path is not None else None
    return () if witnesses is None else witnesses.keys


def _check_chain(records: Sequence[Record]) -> list[str]:
    """Check that every head on chain is a prefix of the journal."""
    from provenance.chain.contracts import Reader
    from provenance.chain.session import connect, load_deployment

    run_id = _run_id_in(records)
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


def _check_database(folder: RunFolder, url: str, rebuild: bool) -> list[str]:
    from provenance_api.db.engine import Database
    from provenance_api.db.projection import compare_run, forget_run, index_run

    database = Database(url)
    try:
        database.prepare()
        with database.session() as session:
            problems = compare_run(session, folder)
            if problems and rebuild:
                forget_run(session, folder)
                index_run(session, folder)
                problems = compare_run(session, folder)
    finally:
        database.close()
    return [f"database: {line}" for line in problems]
