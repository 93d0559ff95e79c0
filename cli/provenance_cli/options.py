"""Options and arguments that several commands share, each with one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_zk.workers.names import local_workers

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
KeyName = Annotated[str, typer.Option("--key", help="Name of the signing key.")]
ConfiguredKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Name of the signing key (default: the configuration's, else `default`).",
    ),
]
RunDir = Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")]
DatasetDir = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")
]
TrainingConfig = Annotated[
    Path,
    typer.Argument(help="Training configuration: YAML with the key names of Hugging Face and TRL."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Override keys of the configuration."),
]

TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="PROVENANCE_TOKEN_FILE",
        help="0600 file whose first line is a token made with --may-push (default: typed at a "
        "terminal).",
    ),
]
DEFAULT_DRAWS = 459  # 99 % detection of tampering with 1 % of all blocks
Draws = Annotated[
    int,
    typer.Option(
        min=2,
        max=1 << 20,
        help="Blocks of 32 weights to draw and prove: this many for the merge, "
        "and again for the quantization.",
    ),
]
# Any name of provenance_trainer/formats/registry.py. The command checks it, not this option:
# an import of the registry here would slow `--help` down.
Quantized = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Q8_0 writes a GGUF file, int8 a row-wise (LLM.int8) safetensors file.",
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="PATH|NAME",
        help="File, folder, name of a Hugging Face dataset, or `attack-stix` (demo data).",
    ),
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="C", help="Commit only this column.")
]
Dedupe = Annotated[
    bool,
    typer.Option(
        "--dedupe",
        help="Drop exact duplicates and record how many (default: a duplicate is an error).",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Commit only the first N records."),
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="S",
        help="Split to commit, if the source is a folder, or a Hugging Face or saved dataset.",
    ),
]
SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="S", help="Name of the source to record (default: as found)."),
]
Licence = Annotated[
    str | None, typer.Option("--licence", metavar="L", help="Licence of the data to record.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print each task with its transactions, gas and seconds; do nothing."
    ),
]


AllowEmpty = Annotated[
    bool,
    typer.Option("--allow-empty", help="Let a run go on that learns nothing; its verdict says so."),
]


def _checked(name: str) -> str:
    local_workers(name)
    return name


ReplayExecutor = Annotated[
    str,
    typer.Option(
        "--executor",
        callback=_checked,
        help="Where segments are trained: local (those in a row as one training), or each by "
        "itself: local:N (N at a time), ray:local or ray://HOST:PORT.",
    ),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        callback=_checked,
        help="Where proofs are made: local, local:N (N at a time), ray:local or ray://HOST:PORT.",
    ),
]
