"""`provenance merge`: add the adapter to the base model, exactly rounded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import Json, RunDir
from provenance_cli.output import result, working

merge_app = typer.Typer(
    add_completion=False, help="Merge the adapter into the base model, exactly rounded."
)


@merge_app.command()
def merge(
    run: RunDir,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base", help="Base model folder (default: the one that the run was opened with)."
        ),
    ] = None,
    compare_to_peft: Annotated[
        bool,
        typer.Option("--compare-to-peft", help="Also measure how far PEFT's own merge differs."),
    ] = False,
    json: Json = False,
) -> None:
    """Merge RUN/adapter into its base model, write RUN/merged for transformers, and log it."""
    from provenance.layout import RunFolder
    from provenance.log.run_log import open_log
    from provenance.settings import Settings
    from provenance_cli.outputs import try_run
    from provenance_cli.wiring import base_folder
    from provenance_trainer.run.derived import log_merge

    try_run(RunFolder(run))
    # As it was trained on: without links, and in bfloat16.
    folder = None if base is None else base_folder(Settings.load(), str(base))
    with working("merge") as progress, open_log(RunFolder(run)) as log:
        record = log_merge(log, folder, compare_to_peft, progress)
    fields = record.fields
    distance = (
        f", at most {fields['max_ulp_to_peft']} ulp from PEFT's merge"
        if "max_ulp_to_peft" in fields
        else ""
    )
    result(
        {"format": "provenance-merge/1", **fields},
        json,
        f"merged {len(fields['adapted'])} tensors, scale {fields['scale']}, "
        f"{fields['merged']}{distance}",
    )
