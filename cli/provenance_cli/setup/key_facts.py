"""For `keys` and `keys ceremony`: options for the shape of a key, and how a key is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance_cli.output import note

if TYPE_CHECKING:
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver
    from provenance_zk.prover.keys import KeyFolder

Kind = Annotated[str, typer.Option(help="Kind of statement, such as epoch or tree.")]
Slots = Annotated[
    int, typer.Option(min=1, help="How much one proof takes (docs/formats/statements.md).")
]
Depth = Annotated[int, typer.Option(min=0, help="Depth of the tree; 0 for epoch.")]


def prover_of(settings: Settings) -> ZkProver:
    """The prover; it reports the progress of a setup on stderr."""
    from provenance_zk.prover.client import ZkProver, find_binary

    return ZkProver(find_binary(settings.zkprover), progress=note)


def describe(key: KeyFolder) -> dict[str, Any]:
    """The facts of a key, as commands print them."""
    return {
        "format": "provenance-key-info/1",
        "vk_id": str(key.vk_id),
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
