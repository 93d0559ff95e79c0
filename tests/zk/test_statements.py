"""Challenges, vectors and products, each against a second, obvious computation; strict proof
files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Crypto.Hash import keccak as other_keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError
from provenance.order import epoch_order
from provenance_zk import statements
from provenance_zk.field import R, to_word
from provenance_zk.statements import EpochAnchor, ProofFile, Registration

# preimages


def digest(data: bytes) -> bytes:
    """keccak-256 by another library than the one under test."""
    return other_keccak.new(digest_bits=256, data=data).digest()


def named(text: str) -> bytes:
    return digest(text.encode())


def preimage(tag: str, *values: int | bytes) -> bytes:
    """abi.encode of static types, by hand: every value is one word, bytes right-aligned when they
    are an address.
    """
    words = [digest(b"provenance/v1/" + tag.encode())]
    words += [v.to_bytes(32, "big") if isinstance(v, int) else v.rjust(32, b"\0") for v in values]
    return b"".join(words)


CHAIN, LEDGER, REGISTRY, OWNER = (
    31337,
    named("ledger")[12:],
    named("registry")[12:],
    named("owner")[12:],
)
ALL_D = [named(f"D{c} x") + named(f"D{c} y") for c in range(3)]
ALL_U = [named("U0 x") + named("U0 y"), bytes(64), named("U2 x") + named("U2 y")]
ALL_P = [named(f"P{c} x") + named(f"P{c} y") for c in range(3)]
REGISTRATION = Registration(
    CHAIN,
    LEDGER,
    OWNER,
    named("epoch key"),
    named("tree key"),
    int.from_bytes(named("root"), "big") % R,
    5,
    600,
    256,
    statements.points_hash(ALL_D),
)
ANCHOR = EpochAnchor(
    CHAIN,
    LEDGER,
    REGISTRY,
    named("epoch key"),
    REGISTRATION.dataset_id,
    named("run"),
    named("run seed"),
    2,
    1,
    600,
    599,
    256,
    1234,
    named("log root"),
    statements.points_hash(ALL_D),
    statements.points_hash(ALL_U),
    statements.points_hash(ALL_P),
)


def build() -> dict[str, Any]:
    """The vector file, computed without the code under test."""
    r, a = REGISTRATION, ANCHOR
    d_hash, u_hash, p_hash = (digest(b"".join(points)) for points in (ALL_D, ALL_U, ALL_P))
    link = preimage(
        "link", CHAIN, LEDGER, OWNER, r.epoch_key, r.tree_key, r.root, 5, 600, 256, 3, d_hash
    )
    dataset = preimage("dataset", digest(link))
    run = preimage(
        "seed", CHAIN, REGISTRY, a.run_id, named("preregistration"), digest(dataset), named("block")
    )
    epoch = preimage(
        "epoch",
        CHAIN,
        LEDGER,
        REGISTRY,
        a.epoch_key,
        digest(dataset),
        a.run_id,
        a.run_seed,
        2,
        1,
        600,
        599,
        256,
        3,
        1234,
        a.log_root,
        d_hash,
        u_hash,
        p_hash,
    )
    seeds = {
        "link": digest(link),
        "dataset": digest(dataset),
        "run": digest(run),
        "epoch": digest(epoch),
    }

    def challenge(seed: bytes) -> dict[str, str]:
        gamma, delta = (
            int.from_bytes(digest(seed + i.to_bytes(32, "big")), "big") % R for i in (0, 1)
        )
        return {"seed": hexed(seed), "gamma": to_word(gamma), "delta": to_word(delta)}

    def hexed(data: bytes) -> str:
        return f"0x{data.hex()}"

    return {
        "inputs": {
            "chainId": CHAIN,
            "ledger": hexed(LEDGER),
            "registry": hexed(REGISTRY),
            "owner": hexed(OWNER),
            "epochKey": hexed(r.epoch_key),
            "treeKey": hexed(r.tree_key),
            "root": to_word(r.root),
            "depth": 5,
            "count": 600,
            "slots": 256,
            "chunks": 3,
            "allD": hexed(b"".join(ALL_D)),
            "allU": hexed(b"".join(ALL_U)),
            "allP": hexed(b"".join(ALL_P)),
            "dHash": hexed(d_hash),
            "uHash": hexed(u_hash),
            "pHash": hexed(p_hash),
            "runId": hexed(a.run_id),
            "preregistration": hexed(named("preregistration")),
            "blockHash": hexed(named("block")),
            "runSeed": hexed(a.run_seed),
            "epoch": 2,
            "number": 1,
            "consumed": 599,
            "logSize": 1234,
            "logRoot": hexed(a.log_root),
        },
        "tags": {
            name: hexed(digest(b"provenance/v1/" + name.encode()))
            for name in ("link", "dataset", "epoch", "seed", "draw")
        },
        "preimages": {
            "link": hexed(link),
            "dataset": hexed(dataset),
            "run": hexed(run),
            "epoch": hexed(epoch),
        },
        "seeds": {name: hexed(seed) for name, seed in seeds.items()},
        "challenges": [
            challenge(seeds["link"]),
            challenge(seeds["epoch"]),
            challenge(bytes(32)),
            challenge(b"\xff" * 32),
        ],
    }


def test_the_vector_file_is_current(vectors: Path) -> None:
    path = vectors / "preimages.json"
    text = json.dumps(build(), indent=1) + "\n"
    if os.environ.get("PROVENANCE_WRITE_VECTORS"):
        path.write_text(text)
    assert path.read_text() == text


def test_seeds_are_those_of_the_vectors(vectors: Path) -> None:
    file = json.loads((vectors / "preimages.json").read_bytes())
    run = statements.run_seed(
        CHAIN,
        REGISTRY,
        named("run"),
        named("preregistration"),
        REGISTRATION.dataset_id,
        named("block"),
    )
    found = {
        "link": REGISTRATION.link_seed,
        "dataset": REGISTRATION.dataset_id,
        "run": run,
        "epoch": ANCHOR.seed,
    }
    assert {name: f"0x{seed.hex()}" for name, seed in found.items()} == file["seeds"]
    for case in file["challenges"]:
        gamma, delta = statements.challenges(bytes.fromhex(case["seed"][2:]))
        assert (to_word(gamma), to_word(delta)) == (case["gamma"], case["delta"])
        assert gamma != delta
    assert {name: f"0x{statements.tag(name).hex()}" for name in file["tags"]} == file["tags"]


def changed(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("name", list(Registration.__dataclass_fields__))
def test_every_field_of_a_registration_enters_its_id(name: str) -> None:
    other = Registration(**{**vars(REGISTRATION), name: changed(getattr(REGISTRATION, name))})
    assert other.link_seed != REGISTRATION.link_seed
    assert other.dataset_id != REGISTRATION.dataset_id


@pytest.mark.parametrize("name", list(EpochAnchor.__dataclass_fields__))
def test_every_field_of_an_anchoring_enters_its_seed(name: str) -> None:
    assert EpochAnchor(**{**vars(ANCHOR), name: changed(getattr(ANCHOR, name))}).seed != ANCHOR.seed


def test_points_are_hashed_as_64_bytes() -> None:
    assert statements.points_hash(ALL_U) == digest(b"".join(ALL_U))
    assert statements.points_hash(ALL_D) != statements.points_hash(ALL_D[::-1])
    with pytest.raises(InputError):
        statements.points_hash([bytes(63)])


@pytest.mark.parametrize(("count", "slots"), [(0, 256), (16**6 + 1, 256), (5, 0)])
def test_impossible_shapes_are_refused(count: int, slots: int) -> None:
    with pytest.raises(InputError):
        statements.chunk_count(count, slots)


# order, vectors, products


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
            * statements.product_at(
                gamma,
                delta,
                statements.d_vector(leaves, c, slots),
                statements.p_vector(pi, c, slots),
            )
            % R
        )
        b = (
            b
            * statements.product_from(
                gamma, delta, statements.u_vector(leaves, order, c, slots), c * slots
            )
            % R
        )
    assert a == b


@settings(max_examples=60, deadline=None)
@given(epochs(), st.randoms(use_true_random=False))
def test_a_use_that_differs_has_another_product(
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
    """a_c * prod z_k = b_c * prod t_k for the link of each chunk (chunks hold whole tree
    chunks).
    """
    tree, slots = 4, 4 * trees
    for c in range(statements.chunk_count(len(leaves), slots)):
        left = statements.product_at(
            gamma, delta, statements.d_vector(leaves, c, slots), statements.p_vector([], c, slots)
        )
        right = statements.product_from(gamma, delta, [0] * slots, c * slots)
        for k in range(c * trees, (c + 1) * trees):
            t, z = statements.tree_products(gamma, delta, leaves, k, tree)
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
    assert statements.d_vector(leaves, 1, 2) == [12, 0]
    assert statements.u_vector(leaves, order, 0, 2) == [12, 10]
    assert statements.u_vector(leaves, order, 1, 2) == [11, 0]
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


# proof files


def proof() -> ProofFile:
    return ProofFile(
        "epoch",
        named("vk"),
        (1, 2),
        (3, 4, 5, 6),
        (7, 8),
        ((9, 10), (0, 0), (11, 12)),
        ((1, 1), (2, 2), (3, 3)),
        (1, 2, 3, 4, 2**256 - 1),
    )


def test_a_proof_file_round_trips() -> None:
    assert ProofFile.parse(proof().to_bytes()) == proof()
    assert proof().public_value("start") == 3
    with pytest.raises(InputError):
        proof().public_value("root")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "provenance-proof/2"},
        {"kind": "merge"},
        {"kind": ["epoch"]},
        {"kind": "tree"},
        {"vkId": "0x1"},
        {"a": ["0x" + "0" * 64]},
        {"a": "0x"},
        {"b": [to_word(1)] * 3},
        {"c": [1, 2]},
        {"commitments": []},
        {"commitments": [[to_word(1)] * 2] * 4},
        {"poks": [[to_word(1)]] * 3},
        {"public": [to_word(1)] * 4},
        {"public": [to_word(1)] * 6},
        {"public": {"0": to_word(1)}},
        {"public": ["0x" + "A" * 64] * 5},
        {"public": ["0x0" + "0" * 64] * 5},
        {"extra": 1},
        {"poks": None},
    ],
)
def test_a_proof_file_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ProofFile.from_json({**proof().to_json(), **change})


@pytest.mark.parametrize("name", ProofFile.parse(proof().to_bytes()).to_json())
def test_a_proof_file_lacking_a_field_is_refused(name: str) -> None:
    value = proof().to_json()
    del value[name]
    with pytest.raises(InputError):
        ProofFile.from_json(value)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"[" * 5000, b" " * 70_000])
def test_a_proof_file_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(InputError):
        ProofFile.parse(text)


def test_a_deeply_nested_text_does_not_end_the_process() -> None:
    """py_ecc and web3 raise the recursion limit to 100,000; json alone would then overflow the
    stack.
    """
    script = (
        "import py_ecc\nfrom provenance.errors import InputError\nfrom "
        "provenance_zk.statements import ProofFile\n"
        "try: ProofFile.parse(b'[' * 65_000)\nexcept InputError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_a_repeated_field_is_refused() -> None:
    text = proof().to_bytes().replace(b'"kind"', b'"kind":"tree","kind"', 1)
    with pytest.raises(InputError, match="twice"):
        ProofFile.parse(text)


@given(st.tuples(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1)))
def test_points_round_trip(point: tuple[int, int]) -> None:
    assert statements.point_ints(statements.point_bytes(point)) == point


def test_roots_of_the_zk_side_and_of_the_dataset_agree_on_r() -> None:
    DatasetRoot(R - 1, 5, 1)
    with pytest.raises(InputError):
        DatasetRoot(R, 5, 1)
