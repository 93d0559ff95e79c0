"""`provenance keys`: make development keys and inspect keys. `ceremony` has its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import Json
from provenance_cli.output import note, result, working
from provenance_cli.setup.ceremony import ceremony
from provenance_cli.setup.key_facts import Depth, Kind, Slots, describe, prover_of

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make, inspect and verify proving keys; run a ceremony.",
)
app.add_typer(ceremony, name="ceremony")


@app.command()
def setup(kind: Kind, slots: Slots, depth: Depth = 0, as_json: Json = False) -> None:
    """Make a development key, or find it in the cache. Whoever makes one can forge proofs."""
    from provenance.settings import Settings
    from provenance_cli.outputs import try_folder
    from provenance_zk.prover.keys import ensure_keys

    settings = Settings.load()
    try_folder(settings.cache, "PROVENANCE_CACHE")
    with working("setup"):
        key = ensure_keys(prover_of(settings), settings.cache / "keys", kind, slots, depth)
    note(
        "this is a development key, and verdicts that rest on it say so; for a key that nobody "
        "can forge with, run a ceremony (provenance keys ceremony)"
    )
    result(describe(key), as_json)


@app.command()
def inspect(
    key: Annotated[
        str,
        typer.Argument(metavar="PATH|VKID", help="Key folder, or id (0x..) of a key in the cache."),
    ],
    as_json: Json = False,
) -> None:
    """Check the verifying part of a key, and show its facts."""
    from provenance.errors import InputError
    from provenance.ids import HEX_PREFIX, KeyId
    from provenance.settings import Settings
    from provenance.statements import key_text
    from provenance_zk.groth16.key import parse_key
    from provenance_zk.prover.keys import find_key, load_key

    settings = Settings.load()
    if key.startswith(HEX_PREFIX):
        found = find_key(settings.cache / "keys", KeyId.parse(key, where="VKID"))
    else:
        found = load_key(Path(key))
    header = parse_key(found.words)  # refuses malformed and unsafe keys
    if (header.kind, header.slots, header.depth) != (found.kind, found.slots, found.depth):
        raise InputError(
            "key folder names another circuit than its verifying key",
            where=str(found.dir),
            expected=key_text(header.kind, header.slots, header.depth),
            actual=key_text(found.kind, found.slots, found.depth),
        )
    result(describe(found), as_json)
