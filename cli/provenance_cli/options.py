"""Options and arguments that several commands share, each with one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_zk.workers.names import local_workers

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
KeyName = Annotated[str, typer.Option("--key", help="Name of the signing key.")]
RunDir = Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")]
DatasetDir = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")
]
TrainingConfig = Annotated[
    Path, typer.Argument(help="Training configuration (YAML, Hugging Face and TRL names).")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Override keys of the configuration."),
]

Draws = Annotated[
    int,
    typer.Option(min=2, max=1 << 20, help="Blocks of the weights drawn for proofs, in all."),
]
# Any name of provenance_trainer/formats/registry.py, which is asked when the command runs.
Quantized = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Q8_0: a GGUF file; int8: a safetensors file, row-wise (LLM.int8).",
    ),
]
Source = Annotated[
    str, typer.Argument(metavar="PATH|NAME", help="File, folder, hub dataset, or attack-stix.")
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="C", help="Commit this column alone.")
]
Dedupe = Annotated[
    bool, typer.Option("--dedupe", help="Drop exact duplicates and record how many.")
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Commit the first N records only."),
]
Split = Annotated[
    str,
    typer.Option(
        "--split", metavar="S", help="Split of a folder, a hub dataset or a saved dataset."
    ),
]
SourceName = Annotated[
    str | None, typer.Option("--source", metavar="S", help="Name the source otherwise.")
]
Licence = Annotated[str | None, typer.Option("--licence", metavar="L", help="Licence of the data.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print the stages with transactions, gas and seconds; do nothing."
    ),
]


def _checked(name: str) -> str:
    local_workers(name)
    return name


ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        callback=_checked,
        help="Who makes the proofs: local, local:N (N at a time), ray:local, ray://HOST:PORT.",
    ),
]
