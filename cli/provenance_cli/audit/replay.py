"""`provenance audit replay`: train segments of a run again, and compare with its log."""

from __future__ import annotations

import json as json_
import os
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import InputError
from provenance.ids import Word
from provenance.layout import RunFolder, read_json
from provenance.log.audit.draw import drawn
from provenance.settings import Settings
from provenance.text.shown import told
from provenance_cli.audit.report import Report
from provenance_cli.audit.subject import OnChain, Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.judge.question import segments_wanted
from provenance_cli.options import Json, ReplayExecutor, RunDir
from provenance_cli.output import note, result
from provenance_cli.outputs import try_file, write_output
from provenance_cli.wiring import require_folder

EXIT_CODES = {"exact": 0, "different": 1, "close": 3, "unknown": 3}
_BY_BLOCK = "chain"


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
            metavar="0x..|chain",
            help="32 bytes that draw the segments, or `chain` for the block that draws "
            "(`audit draw`); default: random, and said.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the report, which `audit sign` takes.")
    ] = None,
    executor: ReplayExecutor = "local",
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Train segments of RUN again with its logged batches, in fresh processes.

    A segment lies between two checkpoints. What comes out is `exact` (weights,
    optimizer and random generators have the logged bits; exit code 0), `close` (within
    a hundredth of the segment's way; exit code 3), `unknown` (other bits, and how far
    off is not known; exit code 3) or `different` (exit code 1).
    """
    from provenance_trainer.replay.process import Material
    from provenance_trainer.replay.run import replay_run

    require_folder(with_data, "--with-data", "give a folder that `dataset commit` wrote")
    try_file(out, "--out")
    wanted = segments_wanted(segments, "--segments")
    subject = Subject.read(run)
    chosen = _chosen(nonce, subject, trust)
    count = len(subject.segments)
    numbers = drawn(count, count if wanted is None else wanted, chosen)
    note(f"{count} segments; nonce {chosen} draws {', '.join(map(str, numbers))}")
    base = base or _base_of(subject.folder)
    material = Material(with_data, base, Settings.load(), executor)
    found = replay_run(subject.records, [run], numbers, material, note)
    lines = [f"segment {one.number}: {c}" for one in found.outcomes for c in one.comparisons]
    lines += [str(training) for training in found.trainings]
    summary = f"{len(numbers)} of {count} segments trained again: {found.agreement}"
    about = Report.of(subject, chosen, found.to_json())
    value = {"run": str(run), **about.to_json(), **found.to_json()}
    if out is not None:
        text = json_.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        write_output(out, text.encode() + b"\n", "--out")
    result(value, json, "\n".join([*lines, summary]))
    raise typer.Exit(EXIT_CODES[found.agreement.value])


def _chosen(nonce: str | None, subject: Subject, trust: Path | None) -> Word:
    """What draws the segments: a block, the auditor, or chance."""
    if nonce is None:
        return Word(os.urandom(Word.SIZE))
    if nonce == _BY_BLOCK:
        return OnChain.of(subject, trust).draw(subject).nonce
    return Word.parse(nonce, where="--nonce")


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
