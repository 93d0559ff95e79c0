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
