"""Vectors and products of an epoch's chunks, by their definitions.

A verifier recomputes only some of them; the prover's are held against all.

Source: docs/formats/proofs.md, "Accumulators".
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance_zk.field import R
from provenance_zk.statements import product_from


def d_vector(leaves: Sequence[int], chunk: int, slots: int) -> list[int]:
    """D_c: leaf g, 0 from N on."""
    window = list(leaves[chunk * slots : (chunk + 1) * slots])
    return window + [0] * (slots - len(window))


def u_vector(leaves: Sequence[int], order: Sequence[int], chunk: int, slots: int) -> list[int]:
    """U_c: the leaf fed at position h, 0 from N on."""
    fed = [leaves[leaf] for leaf in order[chunk * slots : (chunk + 1) * slots]]
    return fed + [0] * (slots - len(fed))


def product_at(gamma: int, delta: int, values: Sequence[int], positions: Sequence[int]) -> int:
    """`prod_i(gamma + values[i] + delta*positions[i]) mod r`: a_c of (D_c, P_c)."""
    product = 1
    for value, position in zip(values, positions, strict=True):
        product = product * (gamma + value + delta * position) % R
    return product


def tree_products(
    gamma: int, delta: int, leaves: Sequence[int], k: int, chunk_leaves: int
) -> tuple[int, int]:
    """(t_k, z_k) of tree chunk k."""
    start = k * chunk_leaves
    used = leaves[start : start + chunk_leaves]
    t = product_from(gamma, delta, used, start)
    return t, product_from(gamma, delta, [0] * len(used), start)
