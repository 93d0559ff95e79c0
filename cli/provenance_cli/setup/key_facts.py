"""Options about the shape of a key, and a key's facts, for `keys` and `keys ceremony`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance_cli.output import note

if TYPE_CHECKING:
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver
    from provenance_zk.prover.keys import KeyFolder

Kind = Annotated[str, typer.Option(help="Kind of statement: epoch, tree, ..")]
Slots = Annotated[
    int, typer.Option(min=1, help="Slots of the circuit (docs/formats/statements.md).")
]
Depth = Annotated[int, typer.Option(min=0, help="Depth of the tree; 0 for epoch.")]


def prover_of(settings: Settings) -> ZkProver:
    """The prover, saying on stderr how far a setup is."""
    from provenance_zk.prover.client import ZkProver, find_binary

    return ZkProver(find_binary(settings.zkprover), progress=note)


def describe(key: KeyFolder) -> dict[str, Any]:
    """A key, as commands print it."""
    return {
        "format": "provenance-key-info/1",
        "vk_id": f"0x{key.vk_id.hex()}",
        "kind": key.kind,
        "slots": key.slots,
        "depth": key.depth,
        "class": key.klass,
        "constraints": key.constraints,
        "circuit": key.circuit,
        "transcript": key.transcript,
        "beacon": key.beacon,
        "path": str(key.dir),
    }
