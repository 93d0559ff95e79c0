"""`provenance quantize`: write the merged model as one file to deploy."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance_cli.options import Json, Quantized, RunDir
from provenance_cli.output import result, working

quantize_app = typer.Typer(
    add_completion=False, help="Write the merged model as one Q8_0 or int8 file."
)


@quantize_app.command()
def quantize(
    run: RunDir,
    name: Annotated[
        str | None,
        typer.Option(help="File name without its ending (default: base model and format)."),
    ] = None,
    format_: Quantized = "Q8_0",
    json: Json = False,
) -> None:
    """Write RUN/merged as RUN/release/NAME.gguf (Q8_0) or NAME.safetensors (int8), and log it."""
    from provenance.layout import RunFolder
    from provenance.log.run_log import open_log
    from provenance_cli.outputs import try_run
    from provenance_trainer.run.derived import log_quantize

    try_run(RunFolder(run))
    with working("quantize") as progress, open_log(RunFolder(run)) as log:
        record, file = log_quantize(log, name, format_, progress)
    fields = record.fields
    result(
        {"format": "provenance-quantize/1", **fields, "path": str(file)},
        json,
        f"{file}\n{fields['quantization']} {fields['file']}, {fields['size'] / 1e6:.1f} MB, "
        f"{len(fields['tensors'])} tensors",
    )
