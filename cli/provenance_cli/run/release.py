"""`provenance release`: claim the deployed file on chain under one's own key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import Conflict
from provenance.settings import Settings
from provenance_cli.options import Json, KeyName
from provenance_cli.output import note, result, stage

release_app = typer.Typer(add_completion=False, help="Release the quantized file under your key.")


@release_app.command()
def release(
    run: Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")],
    name: Annotated[
        str | None,
        typer.Option(help="Name of the release, as name or name:version (default: model)."),
    ] = None,
    key: KeyName = "default",
    json: Json = False,
) -> None:
    """Log a release of the quantized file, anchor it and claim it on chain."""
    from provenance.artifacts.manifest import manifest_of
    from provenance.chain.session import Session
    from provenance.digest import Digest
    from provenance.layout import RunFolder, write_atomically, write_json
    from provenance.log.record import Record
    from provenance.log.run_log import anchor, open_log, run_id_of
    from provenance.log.tree import RunLog

    folder = RunFolder(run)
    session = Session(Settings.load(), key, note)
    with stage("release") as progress, open_log(folder) as log:
        file = log.quantized_file()
        model, manifest = (
            Digest.parse(log.last("quantize").fields["file"]),
            manifest_of(folder.release),
        )
        write_atomically(folder.evidence / "release.manifest.json", manifest.to_bytes())
        write_json(
            folder.evidence / "release.oms.json", manifest.to_oms()
        )  # for OpenSSF tools; nothing here relies on it
        run_id = run_id_of(folder)
        index = next(
            (
                i
                for i, r in enumerate(log.records)
                if r.type == "release" and r.fields["model"] == str(model)
            ),
            None,
        )
        if index is None:
            record = Record.make(
                "release",
                run_id="0x" + run_id.hex(),
                model=str(model),
                manifest=str(manifest.root),
                name=name or "model",
                files=len(manifest.files),
            )
            index = log.append(record)
        record = log.records[index]
        if name not in (None, record.fields["name"]):
            raise Conflict(
                "file is released under another name already",
                where=f"record {index}",
                expected=record.fields["name"],
                actual=name,
                hint="a log is never rewritten; leave --name away to finish this release",
            )
        progress("anchoring")
        head = anchor(session, log)
        tree = RunLog(folder.journal)
        tree.refresh(head.size)
        progress("claiming")
        path = tree.tree.inclusion_proof(index, head.size)
        receipt = session.release(record, index, head.seq, path)
        progress("waiting for finality")
        session.final(receipt)
    value = {
        "format": "provenance-release/1",
        "model": str(model),
        "run_id": "0x" + run_id.hex(),
        "index": index,
        "seq": head.seq,
        "block": receipt.block_number,
        "tx": "0x" + receipt.tx_hash.hex(),
        "file": str(file),
        "name": record.fields["name"],
    }
    result(
        value,
        json,
        f"released {file.name} {model}\nblock {receipt.block_number}, tx 0x{receipt.tx_hash.hex()}",
    )
