"""Audits of a dataset: real proofs of `sorted`, `member` and `absent`, held against the obvious
decision procedure.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import InputError, RejectedError
from provenance_zk.field import R
from provenance_zk.groth16 import verifier
from provenance_zk.prover.client import Question, ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.training.commitments import tree_root
from tests.support.zk.plain_statements import (
    HALF,
    LeafPreimage,
    SortedInputs,
    absent_holds,
    member_holds,
    sorted_holds,
)

DEPTH, SLOTS, COUNT = 2, 16, 20
FEW = settings(max_examples=10, deadline=None)  # each may be a proof


def digest_bytes(hi: int, lo: int = 7) -> bytes:
    return hi.to_bytes(16, "big") + lo.to_bytes(16, "big")


class Dataset:
    """`count` records in the order of their digests; hi of record i is 1000 * (i + 1)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.salts = [hashlib.sha256(b"salt %d" % i).digest()[:31] for i in range(count)]
        self.records = [
            LeafPreimage(1000 * (i + 1), 7, int.from_bytes(self.salts[i], "big"))
            for i in range(count)
        ]
        self.leaves = [record.leaf for record in self.records]
        self.root = tree_root(self.leaves, DEPTH)

    @property
    def leaf_bytes(self) -> bytes:
        return b"".join(leaf.to_bytes(32, "big") for leaf in self.leaves)

    @property
    def digests(self) -> bytes:
        return b"".join(digest_bytes(record.hi, record.lo) for record in self.records)

    def pair(self, i: int) -> tuple[bytes, bytes] | None:
        """(digest, salt) of record i; None where there is none."""
        if not 0 <= i < self.count:
            return None
        return digest_bytes(self.records[i].hi, self.records[i].lo), self.salts[i]

    def question(self, position: int, hi: int) -> Question:
        """Whether a digest with this first half is at a position."""
        return Question(self.leaf_bytes, DEPTH, digest_bytes(hi), position)

    def record(self, i: int) -> LeafPreimage | None:
        return self.records[i] if 0 <= i < self.count else None

    def chunk(self, k: int) -> tuple[list[LeafPreimage], LeafPreimage | None]:
        """(records of chunk k, the first of the chunk behind)."""
        return self.records[k * SLOTS : (k + 1) * SLOTS], self.record((k + 1) * SLOTS)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(COUNT)


@pytest.fixture(scope="session")
def audit_keys(prover: ZkProver, key_cache: Path) -> dict[str, KeyFolder]:
    return {
        kind: ensure_keys(prover, key_cache, kind, slots, DEPTH)
        for kind, slots in (("sorted", SLOTS), ("member", 1), ("absent", 1))
    }


def require_verified(prover: ZkProver, key: KeyFolder, proof: Any) -> None:
    """Both verifiers accept the proof, and the slow one no other public input."""
    assert prover.verify(key.words_file, [proof], 0)[0].ok
    assert verifier.is_valid_proof(key.words, proof, 0)
    for i, value in enumerate(proof.public):
        changed = replace(
            proof, public=(*proof.public[:i], (value + 1) % R, *proof.public[i + 1 :])
        )
        assert not prover.verify(key.words_file, [changed], 0)[0].ok
    assert not verifier.is_valid_proof(key.words, changed, 0)


def test_a_sorted_set(prover: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset) -> None:
    key = audit_keys["sorted"]
    proofs = prover.prove_sorted(key.dir, dataset.digests, b"".join(dataset.salts), DEPTH, [0, 1])
    for k, proof in enumerate(proofs):
        assert sorted_holds(
            SortedInputs(*proof.public), dataset.leaves, DEPTH, SLOTS, *dataset.chunk(k)
        )
        assert proof.public_value("used") == (16, 4)[k]
    assert proofs[0].public_value("next") == proofs[1].public_value("first") == dataset.leaves[16]
    assert (proofs[1].public_value("more"), proofs[1].public_value("next")) == (0, 0)
    require_verified(prover, key, proofs[1])


def test_a_member_and_an_absent_digest(
    prover: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset
) -> None:
    question = dataset.question(3, 4000)
    member = prover.prove_member(audit_keys["member"].dir, question, dataset.salts[3])
    assert member.public == (dataset.root, COUNT, 4000, 7)
    require_verified(prover, audit_keys["member"], member)
    absent = prover.prove_absent(
        audit_keys["absent"].dir, dataset.question(3, 3999), dataset.pair(2), dataset.pair(3)
    )
    assert absent.public == (dataset.root, COUNT, 3999)
    require_verified(prover, audit_keys["absent"], absent)


def test_a_proof_of_one_kind_is_none_of_another(
    prover: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset
) -> None:
    question = dataset.question(3, 4000)
    proof = prover.prove_member(audit_keys["member"].dir, question, dataset.salts[3])
    with pytest.raises(InputError, match="another key"):
        verifier.is_valid_proof(audit_keys["absent"].words, proof, 0)
    with pytest.raises(InputError):
        prover.prove_sorted(
            audit_keys["member"].dir, dataset.digests, b"".join(dataset.salts), DEPTH, [0]
        )
    with pytest.raises(InputError, match="no chunks"):
        prover.prove_sorted(
            audit_keys["sorted"].dir, dataset.digests, b"".join(dataset.salts), DEPTH, []
        )


# the prover proves what holds, and nothing else


@FEW
@given(st.integers(1, COUNT), st.integers(-1, COUNT), st.integers(-1, 1), st.integers(-1, 1))
def test_member_is_proved_exactly_where_it_holds(
    prover: ZkProver,
    audit_keys: dict[str, KeyFolder],
    count: int,
    position: int,
    off: int,
    salt_off: int,
) -> None:
    data = Dataset(count)
    i, j = (max(0, min(count - 1, position + step)) for step in (off, salt_off))
    hi, salt = data.records[i].hi, data.salts[j]
    holds = member_holds(
        data.root,
        count,
        hi,
        7,
        leaves=data.leaves,
        depth=DEPTH,
        position=position,
        salt=int.from_bytes(salt, "big"),
    )
    arguments = (audit_keys["member"].dir, data.question(position, hi), salt)
    if not holds:
        with pytest.raises((RejectedError, InputError)):
            prover.prove_member(*arguments)
        return
    proof = prover.prove_member(*arguments)
    assert proof.public == (data.root, count, hi, 7)
    assert prover.verify(audit_keys["member"].words_file, [proof], 0)[0].ok


@FEW
@given(
    st.integers(1, COUNT),
    st.integers(-1, COUNT + 1),
    st.sampled_from((0, 1, 500, 999, 1000, 1001)),
    st.sampled_from((-2, -1, -1, -1, 0)),
    st.sampled_from((0, 0, 0, 1)),
)
def test_absent_is_proved_exactly_where_it_holds(
    prover: ZkProver,
    audit_keys: dict[str, KeyFolder],
    count: int,
    position: int,
    shift: int,
    lower: int,
    upper: int,
) -> None:
    data = Dataset(count)
    hi = max(0, 1000 * position + shift)
    below, above = position + lower, position + upper
    holds = absent_holds(
        data.root,
        count,
        hi,
        leaves=data.leaves,
        depth=DEPTH,
        position=position,
        below=data.record(below),
        above=data.record(above),
    )
    question = data.question(position, hi)
    arguments = (audit_keys["absent"].dir, question, data.pair(below), data.pair(above))
    if not holds:
        with pytest.raises((RejectedError, InputError)):
            prover.prove_absent(*arguments)
        return
    proof = prover.prove_absent(*arguments)
    assert proof.public == (data.root, count, hi)
    assert prover.verify(audit_keys["absent"].words_file, [proof], 0)[0].ok
    assert all(record.hi != hi for record in data.records)  # what the statement is for


@FEW
@given(
    st.integers(1, 2 * SLOTS + 1),
    st.integers(0, 3),
    st.integers(0, 2 * SLOTS),
    st.sampled_from((0, 1, 1000)),
)
def test_sorted_is_proved_exactly_where_it_holds(
    prover: ZkProver, audit_keys: dict[str, KeyFolder], count: int, k: int, victim: int, back: int
) -> None:
    """Record `victim` moves back.

    By 1000 it has the first half of the one before it, and a larger second half.
    """
    data = Dataset(count)
    i = min(victim, count - 1)
    data.records[i] = replace(data.records[i], hi=data.records[i].hi - back, lo=8)
    data.leaves[i] = data.records[i].leaf
    data.root = tree_root(data.leaves, DEPTH)
    records, follower = data.chunk(k)
    public = SortedInputs(
        data.root,
        k,
        len(records),
        int(follower is not None),
        records[0].leaf if records else 0,
        follower.leaf if follower else 0,
    )
    holds = sorted_holds(public, data.leaves, DEPTH, SLOTS, records, follower)
    arguments = (audit_keys["sorted"].dir, data.digests, b"".join(data.salts), DEPTH, [k])
    if not holds:
        with pytest.raises((RejectedError, InputError)):
            prover.prove_sorted(*arguments)
        return
    [proof] = prover.prove_sorted(*arguments)
    assert SortedInputs(*proof.public) == public
    assert prover.verify(audit_keys["sorted"].words_file, [proof], 0)[0].ok


# the decision procedure refuses what must not hold


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
def test_another_public_input_of_sorted(dataset: Dataset, change: dict[str, int]) -> None:
    records, follower = dataset.chunk(0)
    public = SortedInputs(dataset.root, 0, 16, 1, dataset.leaves[0], dataset.leaves[16])
    assert sorted_holds(public, dataset.leaves, DEPTH, SLOTS, records, follower)
    assert not sorted_holds(
        replace(public, **change), dataset.leaves, DEPTH, SLOTS, records, follower
    )


@pytest.mark.parametrize(
    ("i", "hi"), [(3, 3000), (3, 2999), (15, 17000), (16, 16000), (0, -1), (15, HALF), (16, HALF)]
)
def test_records_that_are_not_sorted(i: int, hi: int) -> None:
    data = Dataset(COUNT)
    data.records[i] = replace(data.records[i], hi=hi % R)
    data.leaves[i] = data.records[i].leaf
    public = SortedInputs(tree_root(data.leaves, DEPTH), 0, 16, 1, data.leaves[0], data.leaves[16])
    assert not sorted_holds(public, data.leaves, DEPTH, SLOTS, *data.chunk(0))


def test_another_public_input_of_member_and_absent(dataset: Dataset) -> None:
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


# secrets


def test_positions_neighbours_and_salts_reach_the_child_in_private_ways_only(
    tmp_path: Path, dataset: Dataset
) -> None:
    report, binary = tmp_path / "report", tmp_path / "fake-prover"
    proof = {
        "format": "provenance-proof/1",
        "kind": "absent",
        "vkId": f"0x{0:064x}",
        "a": [f"0x{0:064x}"] * 2,
        "b": [f"0x{0:064x}"] * 4,
        "c": [f"0x{0:064x}"] * 2,
        "commitments": [],
        "poks": [],
        "public": [f"0x{0:064x}"] * 3,
    }
    binary.write_text(
        f"#!{sys.executable}\nimport json, os, stat, sys\nrequest = json.load(sys.stdin)\n"
        f"mode = lambda name: oct(stat.S_IMODE(os.stat(request[name]).st_mode))\n"
        "seen = [request, sys.argv[1:], mode('neighbours'), open(request['neighbours'], "
        "'rb').read().hex()]\n"
        f"json.dump(seen, open({str(report)!r}, 'w'))\nopen(request['out'], "
        f"'w').write({json.dumps(proof)!r})\n"
        "print('{}')\n"
    )
    binary.chmod(0o755)
    ZkProver(binary).prove_absent(
        tmp_path, dataset.question(3, 3500), dataset.pair(2), dataset.pair(3)
    )
    request, arguments, mode, neighbours = json.loads(report.read_text())
    expected = b"".join(part for i in (2, 3) for part in dataset.pair(i) or ())
    assert (arguments, mode, neighbours) == (["prove-absent"], "0o600", expected.hex())
    assert dataset.salts[2].hex() not in json.dumps(request)
    assert not Path(request["neighbours"]).exists()
