"""Audits of a dataset: real proofs of `sorted`, `member` and `absent`, held against the obvious
decision procedure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import InputError, RejectedError
from provenance_zk.field import R
from provenance_zk.groth16 import verifier
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.training.commitments import tree_root
from tests.support.zk.audited import COUNT, DEPTH, SLOTS, Dataset
from tests.support.zk.plain_statements import (
    SortedInputs,
    absent_holds,
    member_holds,
    sorted_holds,
)

FEW = settings(max_examples=10, deadline=None)  # each may be a proof


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(COUNT)


@pytest.fixture(scope="session")
def audit_keys(prover: ZkProver, key_cache: Path) -> dict[str, KeyFolder]:
    return {
        kind: ensure_keys(prover, key_cache, kind, slots, DEPTH)
        for kind, slots in (("sorted", SLOTS), ("member", 1), ("absent", 1))
    }


@pytest.fixture(scope="module")
def served(prover: ZkProver) -> Iterator[ZkProver]:
    """A prover that reads each key once."""
    with ChildServer(prover.binary) as server:
        yield ZkProver(prover.binary, server=server)


def require_verified(served: ZkProver, key: KeyFolder, proof: Any) -> None:
    """Both verifiers accept the proof.

    The prover refuses each change of a public input, the slow verifier the change of the last.
    """
    assert served.verify(key.words_file, [proof], 0)[0].ok
    assert verifier.is_valid_proof(key.words, proof, 0)
    for i, value in enumerate(proof.public):
        changed = replace(
            proof, public=(*proof.public[:i], (value + 1) % R, *proof.public[i + 1 :])
        )
        assert not served.verify(key.words_file, [changed], 0)[0].ok
    assert not verifier.is_valid_proof(key.words, changed, 0)


def test_a_sorted_set_is_proved_chunk_by_chunk(
    served: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset
) -> None:
    key = audit_keys["sorted"]
    proofs = served.prove_sorted(key.dir, dataset.digests, b"".join(dataset.salts), DEPTH, [0, 1])
    for k, proof in enumerate(proofs):
        assert sorted_holds(
            SortedInputs(*proof.public), dataset.leaves, DEPTH, SLOTS, *dataset.chunk(k)
        )
        assert proof.public_value("used") == (16, 4)[k]
    assert proofs[0].public_value("next") == proofs[1].public_value("first") == dataset.leaves[16]
    assert (proofs[1].public_value("more"), proofs[1].public_value("next")) == (0, 0)
    require_verified(served, key, proofs[1])


def test_a_member_and_an_absent_digest_are_proved(
    served: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset
) -> None:
    question = dataset.question(3, 4000)
    member = served.prove_member(audit_keys["member"].dir, question, dataset.salts[3])
    assert member.public == (dataset.root, COUNT, 4000, 7)
    require_verified(served, audit_keys["member"], member)
    absent = served.prove_absent(
        audit_keys["absent"].dir, dataset.question(3, 3999), dataset.pair(2), dataset.pair(3)
    )
    assert absent.public == (dataset.root, COUNT, 3999)
    require_verified(served, audit_keys["absent"], absent)


def test_a_proof_of_one_kind_is_none_of_another(
    served: ZkProver, audit_keys: dict[str, KeyFolder], dataset: Dataset
) -> None:
    question = dataset.question(3, 4000)
    proof = served.prove_member(audit_keys["member"].dir, question, dataset.salts[3])
    with pytest.raises(InputError, match="another key"):
        verifier.is_valid_proof(audit_keys["absent"].words, proof, 0)
    with pytest.raises(InputError):
        served.prove_sorted(
            audit_keys["member"].dir, dataset.digests, b"".join(dataset.salts), DEPTH, [0]
        )
    with pytest.raises(InputError, match="no chunks"):
        served.prove_sorted(
            audit_keys["sorted"].dir, dataset.digests, b"".join(dataset.salts), DEPTH, []
        )


# the prover proves what holds, and nothing else


@FEW
@given(st.integers(1, COUNT), st.integers(-1, COUNT), st.integers(-1, 1), st.integers(-1, 1))
def test_member_is_proved_exactly_where_it_holds(
    served: ZkProver,
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
            served.prove_member(*arguments)
        return
    proof = served.prove_member(*arguments)
    assert proof.public == (data.root, count, hi, 7)
    assert served.verify(audit_keys["member"].words_file, [proof], 0)[0].ok


@FEW
@given(
    st.integers(1, COUNT),
    st.integers(-1, COUNT + 1),
    st.sampled_from((0, 1, 500, 999, 1000, 1001)),
    st.sampled_from((-2, -1, -1, -1, 0)),
    st.sampled_from((0, 0, 0, 1)),
)
def test_absent_is_proved_exactly_where_it_holds(
    served: ZkProver,
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
            served.prove_absent(*arguments)
        return
    proof = served.prove_absent(*arguments)
    assert proof.public == (data.root, count, hi)
    assert served.verify(audit_keys["absent"].words_file, [proof], 0)[0].ok
    assert all(record.hi != hi for record in data.records)  # what the statement is for


@FEW
@given(
    st.integers(1, 2 * SLOTS + 1),
    st.integers(0, 3),
    st.integers(0, 2 * SLOTS),
    st.sampled_from((0, 1, 1000)),
)
def test_sorted_is_proved_exactly_where_it_holds(
    served: ZkProver, audit_keys: dict[str, KeyFolder], count: int, k: int, victim: int, back: int
) -> None:
    """Record `victim` moves back by `back`.

    At 1000 its first half equals that of the record before it; its second half is larger.
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
            served.prove_sorted(*arguments)
        return
    [proof] = served.prove_sorted(*arguments)
    assert SortedInputs(*proof.public) == public
    assert served.verify(audit_keys["sorted"].words_file, [proof], 0)[0].ok


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
