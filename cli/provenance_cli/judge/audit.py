"""`provenance audit replay`: train segments of a run again, and compare with its log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import InputError
from provenance.ids import Word
from provenance.layout import RunFolder, read_json
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.tree import read_records
from provenance.settings import Settings
from provenance.text.shown import told
from provenance_cli.judge.question import segments_wanted
from provenance_cli.options import Json, RunDir
from provenance_cli.output import note, result
from provenance_cli.wiring import require_folder

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train segments of a run again, and compare with its log.",
)

EXIT_CODES = {"exact": 0, "different": 1, "close": 3, "unknown": 3}


@app.callback()
def _root() -> None:
    """Train segments of a run again, and compare with its log."""


@app.command()
def replay(
    run: RunDir,
    with_data: Annotated[Path, typer.Option(help="Committed dataset with its salts.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR", help="Base model (default: the one that the run was trained with)."
        ),
    ] = None,
    segments: Annotated[
        str, typer.Option(metavar="N|all", help="How many segments; which ones, the nonce says.")
    ] = "1",
    nonce: Annotated[
        str | None,
        typer.Option(
            metavar="0x..", help="32 bytes that draw the segments (default: random, and said)."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train segments of RUN again with its logged batches, in fresh processes.

    A segment lies between two checkpoints. What comes out is `exact` (weights,
    optimizer and random generators have the logged bits; exit code 0), `close` (within
    a hundredth of the segment's way; exit code 3), `unknown` (other bits, and how far
    off is not known; exit code 3) or `different` (exit code 1).
    """
    from provenance_trainer.replay.process import Material
    from provenance_trainer.replay.run import drawn, replay_run

    require_folder(with_data, "--with-data", "give a folder that `dataset commit` wrote")
    wanted = segments_wanted(segments, "--segments")
    chosen = Word(os.urandom(Word.SIZE)) if nonce is None else _nonce(nonce)
    folder = RunFolder(run)
    records = read_records(folder.journal)
    count = len(segments_of(read_history(records)))
    numbers = list(range(count)) if wanted is None else drawn(count, wanted, chosen)
    note(f"{count} segments; nonce {chosen} draws {', '.join(map(str, numbers))}")
    material = Material(with_data, base or _base_of(folder), Settings.load())
    found = replay_run(records, [run], numbers, material, note)
    lines = [f"segment {one.number}: {c}" for one in found.outcomes for c in one.comparisons]
    summary = f"{len(numbers)} of {count} segments trained again: {found.agreement}"
    value = {
        "format": "provenance-replay/1",
        "run": str(run),
        "opening": str(records[0].digest),
        "nonce": str(chosen),
        **found.to_json(),
    }
    result(value, json, "\n".join([*lines, summary]))
    raise typer.Exit(EXIT_CODES[found.agreement.value])


def _nonce(text: str) -> Word:
    try:
        return Word.parse(text)
    except InputError as error:
        error.where = "--nonce"
        raise


def _base_of(folder: RunFolder) -> str:
    """The base beside the run, as its folder says; it is compared with the log.

    Raises:
        InputError: the folder names none that is here. Nothing is fetched because it names it.
    """
    named = read_json(folder.info).get("base")
    if not isinstance(named, str) or not Path(named).is_dir():
        raise InputError(
            "the run's base model is not at hand",
            where=told(named),
            hint="name it with --base",
        )
    return named
