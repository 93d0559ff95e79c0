"""The vectors and products of an epoch's chunks, by their definitions.

D commits to the dataset's leaves, U to the leaves as they were fed. A verifier recomputes only some
products; the prover's are held against all.

Source: docs/formats/proofs.md, "Accumulators".
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance_zk.field import R
from provenance_zk.statements import product_from


def d_vector(leaves: Sequence[int], chunk: int, slots: int) -> list[int]:
    """What D commits to in a chunk: its leaves in the order of the dataset, then zeros."""
    window = list(leaves[chunk * slots : (chunk + 1) * slots])
    return window + [0] * (slots - len(window))


def u_vector(leaves: Sequence[int], order: Sequence[int], chunk: int, slots: int) -> list[int]:
    """What U commits to in a chunk: its leaves in the order they were fed, then zeros."""
    fed = [leaves[leaf] for leaf in order[chunk * slots : (chunk + 1) * slots]]
    return fed + [0] * (slots - len(fed))


def product_at(gamma: int, delta: int, values: Sequence[int], positions: Sequence[int]) -> int:
    """`prod_i(gamma + values[i] + delta*positions[i]) mod r`.

    It is a_c for what D commits to in chunk c and the positions of the drawn order.
    """
    product = 1
    for value, position in zip(values, positions, strict=True):
        product = product * (gamma + value + delta * position) % R
    return product


def tree_products(
    gamma: int, delta: int, leaves: Sequence[int], k: int, chunk_leaves: int
) -> tuple[int, int]:
    """(t_k, z_k) of tree chunk k: the product over its leaves, and over zeros in their place."""
    start = k * chunk_leaves
    used = leaves[start : start + chunk_leaves]
    t = product_from(gamma, delta, used, start)
    return t, product_from(gamma, delta, [0] * len(used), start)
