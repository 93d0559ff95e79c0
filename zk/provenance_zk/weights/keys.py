"""Which keys proofs about a model's weights need, told from the shapes of its tensors alone.

A key is made for one number of levels, and a merge key for one rank as well, so one model may need
several keys of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from provenance.artifacts.content import read_tensor_infos
from provenance.artifacts.tensors import BLOCK, PAGE_BLOCKS
from provenance.chain.deploy import Deployment, restore_hint
from provenance.digest import open_regular
from provenance.statements import ARITY, KINDS, RANK_UNIT, key_text
from provenance.verify.protocols import FormatInspector
from provenance_zk.prover.keys import find_keys
from provenance_zk.weights.samples import rank_of

KeyShape = tuple[str, int, int]
"""Kind, slots and depth word of a key."""


def levels_of(rows: int, columns: int, bits: int = 16) -> int:
    """Levels of a tensor's tree above its pages: the fewest that hold its blocks, at least one.

    Args:
        bits: of one value.
    """
    blocks = rows * -(-columns // BLOCK)
    levels = 1
    while PAGE_BLOCKS[bits] * ARITY**levels < blocks:
        levels += 1
    return levels


def wanted_keys(
    kinds: Iterable[str], shapes: Iterable[tuple[int, int]], rank: int
) -> list[KeyShape]:
    """The keys that proofs about adapted tensors need, each once, in order.

    Args:
        kinds: of statements about weights.
        shapes: (rows, columns) of each adapted tensor.
        rank: of the adapter; a merge key of the next higher one holds it.

    Raises:
        InputError: no key holds this rank.
    """
    levels = sorted({levels_of(*shape) for shape in shapes})
    return [
        (
            kind,
            KINDS[kind].blocks_per_proof,
            level + (RANK_UNIT * rank_of(rank) if KINDS[kind].ranked else 0),
        )
        for kind in kinds
        for level in levels
    ]


def adapter_keys(inspector: FormatInspector, adapter: Path, kinds: Iterable[str]) -> list[KeyShape]:
    """The keys that proofs about a run need, told from its adapter; see `wanted_keys`.

    Raises:
        InputError: no adapter lies there, or no key holds its rank.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in set(inspector.tensor_files(adapter).values()):
        with open_regular(file) as stream:
            shapes |= {info.name: info.shape for info in read_tensor_infos(stream, str(file))}
    # A is (rank, columns), B is (rows, rank).
    pairs = [(shapes[a], shapes[b]) for a, b in inspector.adapter_factors(adapter).values()]
    adapted = [(b[0], a[1]) for a, b in pairs]
    return wanted_keys(kinds, adapted, max(a[0] for a, _ in pairs))


def require_keys(deployment: Deployment, cache: Path, wanted: Sequence[KeyShape]) -> None:
    """Check that the contracts pin these keys, and that the cache has them.

    A deployment may pin keys that open another number of blocks than usual: those it pins count.

    Raises:
        ConfigError: the contracts pin none for some; it names all of them.
        NotFound: the cache lacks some; it names all of them.
    """
    slots = {key.kind: key.slots for key in reversed(deployment.keys)}
    shapes = [(kind, slots.get(kind, size), depth) for kind, size, depth in wanted]
    deployment.require_keys(shapes)
    pinned = {deployment.key(*shape).vk_id: key_text(*shape) for shape in shapes}
    find_keys(cache, pinned, f"contract {deployment.models}", restore_hint(deployment))
