"""Order, vectors and products of an epoch, each against a second, obvious computation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError
from provenance.order import epoch_order
from provenance_zk import statements
from provenance_zk.field import R
from tests.support.zk.products import d_vector, product_at, tree_products, u_vector


def test_the_order_is_that_of_the_vectors(vectors: Path) -> None:
    for case in json.loads((vectors / "order.json").read_bytes())["cases"]:
        if case["count"] > 100_000:
            continue
        order = epoch_order(bytes.fromhex(case["seed"][2:]), case["epoch"], case["count"])
        assert order[:300].tolist() == case["order"][:300], case["name"]
        assert hashlib.sha256(order.astype(">u8").tobytes()).hexdigest() == case["sha256"]


elements = st.integers(0, R - 1)


@st.composite
def epochs(draw: Any) -> tuple[list[int], list[int], int]:
    leaves = draw(st.lists(elements, min_size=1, max_size=12))
    return leaves, draw(st.permutations(range(len(leaves)))), draw(st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(epochs(), elements, elements)
def test_products_of_data_and_use_agree_over_an_epoch(
    epoch: tuple[list[int], list[int], int], gamma: int, delta: int
) -> None:
    leaves, order, slots = epoch
    pi, chunks = statements.inverse(order), statements.chunk_count(len(leaves), slots)
    a = b = 1
    for c in range(chunks):
        a = (
            a
            * product_at(
                gamma,
                delta,
                d_vector(leaves, c, slots),
                statements.p_vector(pi, c, slots),
            )
            % R
        )
        b = (
            b
            * statements.product_from(gamma, delta, u_vector(leaves, order, c, slots), c * slots)
            % R
        )
    assert a == b


@settings(max_examples=60, deadline=None)
@given(epochs(), st.randoms(use_true_random=False))
def test_other_fed_leaves_have_another_product(
    epoch: tuple[list[int], list[int], int], random: Any
) -> None:
    leaves, order, _ = epoch
    fed = [leaves[i] for i in order]
    h = random.randrange(len(fed))
    fed[h] = (fed[h] + 1) % R
    gamma, delta = random.randrange(R), random.randrange(R)
    honest = statements.product_from(gamma, delta, [leaves[i] for i in order], 0)
    assert statements.product_from(gamma, delta, fed, 0) != honest


@settings(max_examples=40, deadline=None)
@given(st.lists(elements, min_size=1, max_size=40), elements, elements, st.integers(1, 4))
def test_tree_and_link_products_balance(
    leaves: list[int], gamma: int, delta: int, trees: int
) -> None:
    """a_c * prod z_k = b_c * prod t_k for the link of chunk c, over all tree chunks k in it."""
    tree, slots = 4, 4 * trees
    for c in range(statements.chunk_count(len(leaves), slots)):
        left = product_at(
            gamma, delta, d_vector(leaves, c, slots), statements.p_vector([], c, slots)
        )
        right = statements.product_from(gamma, delta, [0] * slots, c * slots)
        for k in range(c * trees, (c + 1) * trees):
            t, z = tree_products(gamma, delta, leaves, k, tree)
            left, right = left * z % R, right * t % R
            assert (statements.used_leaves(len(leaves), k, tree) == 0) == (k * tree >= len(leaves))
        assert left == right


@pytest.mark.parametrize(
    ("count", "k", "used"),
    [
        (600, 0, 256),
        (600, 1, 256),
        (600, 2, 88),
        (600, 3, 0),
        (256, 0, 256),
        (256, 1, 0),
    ],
)
def test_used_leaves_are_clamped(count: int, k: int, used: int) -> None:
    assert statements.used_leaves(count, k, 256) == used


def test_padding_follows_the_definitions() -> None:
    leaves, order = [10, 11, 12], [2, 0, 1]
    assert d_vector(leaves, 1, 2) == [12, 0]
    assert u_vector(leaves, order, 0, 2) == [12, 10]
    assert u_vector(leaves, order, 1, 2) == [11, 0]
    assert statements.p_vector(statements.inverse(order), 0, 2) == [1, 2]
    assert statements.p_vector(statements.inverse(order), 1, 2) == [0, 3]


def test_leaves_become_integers() -> None:
    leaves = np.arange(96, dtype=np.uint8).reshape(3, 32)
    assert statements.leaves_to_ints(leaves) == [
        int.from_bytes(row.tobytes(), "big") for row in leaves
    ]
    assert statements.leaves_to_ints(leaves[::2]) == [
        statements.leaves_to_ints(leaves)[i] for i in (0, 2)
    ]


def test_roots_of_the_zk_side_and_of_the_dataset_agree_on_r() -> None:
    DatasetRoot(R - 1, 5, 1)
    with pytest.raises(InputError):
        DatasetRoot(R, 5, 1)
