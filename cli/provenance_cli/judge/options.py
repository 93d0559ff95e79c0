"""Options that `verify` and `gate` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Subject = Annotated[
    str, typer.Argument(help="A model file, or its digest: sha256:<64 hex> or 64 hex digits.")
]
Evidence = Annotated[
    list[Path] | None,
    typer.Option("--evidence", help="Run folder, or a folder of run folders; repeatable."),
]
TrustFile = Annotated[
    Path | None,
    typer.Option("--trust", help="Trust file (default: PROVENANCE_TRUST, configuration folder)."),
]
Release = Annotated[
    str | None,
    typer.Option("--release", help="Id (0x..) of the run that is said to have released the file."),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="NAME|DIR", help="Base model: recompute merge and file from it too."
    ),
]
WithData = Annotated[
    Path | None,
    typer.Option(
        "--with-data", help="Committed dataset with its salts: recompute the batches too."
    ),
]
Replay = Annotated[
    str | None,
    typer.Option(
        "--replay",
        metavar="N|all",
        help="Train so many segments again, drawn at random; takes --with-data and --base.",
    ),
]
Openings = Annotated[
    Path | None,
    typer.Option(
        "--openings", metavar="DIR", help="Folder that `proof open` wrote for your --nonce."
    ),
]
Nonce = Annotated[
    str | None,
    typer.Option("--nonce", metavar="0x..", help="The 32 bytes that you chose for `proof open`."),
]
Slow = Annotated[
    bool, typer.Option("--slow", help="Check proofs in pure Python, about a second each.")
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Use no result that an earlier verification kept; compare them instead."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="Policy file (default: all claims of the main job are required)."
    ),
]
AllowRollback = Annotated[
    bool,
    typer.Option("--allow-rollback", help="Take a trust file that is older than one used before."),
]
