"""`provenance log`: a run's log for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import Conflict
from provenance.ids import Address
from provenance.layout import RunFolder, read_json, write_atomically
from provenance.log.anchoring import read_heads
from provenance.log.c2sp import origin, signed_checkpoint, tiles
from provenance.log.fold import read_history
from provenance.log.run_log import run_id_of
from provenance.log.tree import read_records, require_prefix
from provenance.merkle import Tree
from provenance.signing import Domain, verify_head
from provenance_cli.options import Json
from provenance_cli.output import result
from provenance_cli.outputs import try_folder

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Export a run's log for other tools."
)


@app.callback()
def _root() -> None:
    """Export a run's log for other tools."""


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for tiles and checkpoints; one may be there.")
    ],
    json: Json = False,
) -> None:
    """Write the log up to its last signed head as C2SP tiles, and each signed head as a checkpoint.

    Each head is checked first. Given again, it brings the folder up to the log; the file
    `checkpoint` is written last.
    """
    try_folder(out, "--out")
    folder = RunFolder(run).require()
    records, heads = read_records(folder.journal), read_heads(folder.heads)
    if not heads:
        raise Conflict(
            "run has no signed head",
            where=str(folder.heads),
            hint="train with --anchor, or provenance prove RUN",
        )
    run_id, domain = run_id_of(folder), _domain(folder)
    signer = str(read_history(records).opening.fields["signer"])
    entries = [record.entry for record in records]
    tree, notes = Tree(entries), {}
    for signed in heads:
        head = signed.head
        require_prefix(head, run_id, tree)
        verify_head(head, domain, signed.signature, signer)
        notes[head.size] = signed_checkpoint(head, domain, signer, signed.signature)
    last = max(notes)
    for name, data in tiles(entries[:last]):
        write_atomically(out / name, data)
    for size, text in notes.items():
        write_atomically(out / "checkpoints" / str(size), text.encode())
    write_atomically(out / "checkpoint", notes[last].encode())
    value = {
        "format": "provenance-log-export/1",
        "out": str(out),
        "origin": origin(heads[-1].head, domain),
        "size": last,
        "checkpoints": len(notes),
    }
    result(value, json)


def _domain(folder: RunFolder) -> Domain:
    info = read_json(folder.info)
    if "registry" not in info or "chain_id" not in info:
        raise Conflict(
            "run was never registered", where=str(folder.info), hint="train with --anchor"
        )
    return Domain(int(info["chain_id"]), Address(str(info["registry"]).lower()))
