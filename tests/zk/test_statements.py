"""Seeds and challenges against preimages that are built by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from Crypto.Hash import keccak as other_keccak

from provenance.errors import InputError
from provenance.ids import to_word
from provenance_zk import statements
from provenance_zk.field import R
from provenance_zk.statements import EpochAnchor, Registration


def digest(data: bytes) -> bytes:
    """keccak-256 by another library than the one under test."""
    return other_keccak.new(digest_bits=256, data=data).digest()


def named(text: str) -> bytes:
    return digest(text.encode())


def preimage(tag: str, *values: int | bytes) -> bytes:
    """abi.encode of static types, by hand: a word for each value, an address aligned right."""
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
    found = {
        "link": REGISTRATION.link_seed,
        "dataset": REGISTRATION.dataset_id,
        "epoch": ANCHOR.seed,
    }
    for name, seed in found.items():
        assert f"0x{seed.hex()}" == file["seeds"][name]
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
