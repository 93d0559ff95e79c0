"""The plain functions that the prover is held against refuse what must not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance_zk.field import R
from provenance_zk.training.commitments import tree_root
from tests.support.zk.audited import COUNT, DEPTH, SLOTS, Dataset
from tests.support.zk.plain_statements import (
    HALF,
    SortedInputs,
    absent_holds,
    member_holds,
    sorted_holds,
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(COUNT)


@pytest.mark.parametrize(
    "change",
    [
        {"root": 1},
        {"k": 1},
        {"k": 16},
        {"k": -1},
        {"used": 15},
        {"used": 17},
        {"used": 0},
        {"more": 0},
        {"more": 2},
        {"first": 1},
        {"next": 0},
    ],
)
def test_sorted_does_not_hold_for_another_public_input(
    dataset: Dataset, change: dict[str, int]
) -> None:
    records, follower = dataset.chunk(0)
    public = SortedInputs(dataset.root, 0, 16, 1, dataset.leaves[0], dataset.leaves[16])
    assert sorted_holds(public, dataset.leaves, DEPTH, SLOTS, records, follower)
    assert not sorted_holds(
        replace(public, **change), dataset.leaves, DEPTH, SLOTS, records, follower
    )


@pytest.mark.parametrize(
    ("i", "hi"), [(3, 3000), (3, 2999), (15, 17000), (16, 16000), (0, -1), (15, HALF), (16, HALF)]
)
def test_sorted_does_not_hold_for_unsorted_records(i: int, hi: int) -> None:
    data = Dataset(COUNT)
    data.records[i] = replace(data.records[i], hi=hi % R)
    data.leaves[i] = data.records[i].leaf
    public = SortedInputs(tree_root(data.leaves, DEPTH), 0, 16, 1, data.leaves[0], data.leaves[16])
    assert not sorted_holds(public, data.leaves, DEPTH, SLOTS, *data.chunk(0))


def test_member_and_absent_do_not_hold_for_another_public_input(dataset: Dataset) -> None:
    def member(
        root: int = dataset.root, count: int = COUNT, hi: int = 4000, lo: int = 7, position: int = 3
    ) -> bool:
        return member_holds(
            root,
            count,
            hi,
            lo,
            leaves=dataset.leaves,
            depth=DEPTH,
            position=position,
            salt=dataset.records[3].salt,
        )

    def absent(
        root: int = dataset.root, count: int = COUNT, hi: int = 3500, position: int = 3
    ) -> bool:
        return absent_holds(
            root,
            count,
            hi,
            leaves=dataset.leaves,
            depth=DEPTH,
            position=position,
            below=dataset.record(position - 1),
            above=dataset.record(position),
        )

    assert member()
    assert absent()
    assert not any(
        (
            member(root=1),
            member(count=3),
            member(hi=4001),
            member(lo=8),
            member(position=4),
            member(position=-17),
        )
    )
    assert not any(
        (
            absent(root=1),
            absent(count=3),
            absent(count=0),
            absent(hi=3000),
            absent(hi=4000),
            absent(position=4),
            absent(position=0),
            absent(position=COUNT),
            absent(position=-1),
        )
    )
