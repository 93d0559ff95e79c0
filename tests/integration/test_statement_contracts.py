"""DatasetAudits and ModelLedger from Python.

What is written is read back, each write may be repeated, refusals of the contracts arrive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provenance.chain.abi import keccak
from provenance.chain.artifact import artifact
from provenance.chain.calls import SortedProof
from provenance.chain.contracts import Reader
from provenance.chain.deploy import DeployedKey, deploy_key, deploy_pinning
from provenance.chain.session import Session
from provenance.chain.writer import Writer
from provenance.digest import sha256, tagged
from provenance.encoding import u8, u64
from provenance.errors import RejectedError
from provenance.judgement.facts import ZERO_WORD, Contract, TableFacts
from provenance.merkle import leaf_hash, node_hash
from provenance_zk.kinds import KINDS
from provenance_zk.weights.ledger import Sample, TablePath
from provenance_zk.weights.samples import NO_TABLE, Anchoring, draw_count
from tests.support.chain import Lab
from tests.support.simulated_keys import SimulatedKey, prove
from tests.support.spine import Data, Run

SORTED, MEMBER, ABSENT = (
    SimulatedKey("sorted", 16, 5),
    SimulatedKey("member", 1, 5),
    SimulatedKey("absent", 1, 5),
)
Q8_0, MERGE = SimulatedKey("q8_0", 4, 1), SimulatedKey("merge", 4, 1 + 16 * 8)
DIGEST = keccak(b"a record")
NAME, ROWS, COLUMNS, BLOCKS, RANK = "a.weight", 10, 64, 20, 6
ROOTS = {"base": 11, "a": 12, "b": 13, "merged": 14}
SCALE = 2 << 16


def vk_id(key: SimulatedKey) -> bytes:
    return keccak(key.words)


@pytest.fixture(scope="module")
def session(lab: Lab) -> Session:
    """A session whose audits and models are contracts with simulated keys, beside the laboratory's
    ledger and registry.
    """
    session = Session(lab.settings)

    def pinning(name: str, parent: str, *keys: SimulatedKey) -> str:
        deployed = [
            DeployedKey(
                "0x" + vk_id(k).hex(),
                deploy_key(session.manager, k.words),
                k.kind,
                k.slots,
                k.depth,
            )
            for k in keys
        ]
        return deploy_pinning(session.manager, name, parent, deployed)

    audits = pinning("DatasetAudits", lab.deployment.ledger, SORTED, MEMBER, ABSENT)
    models = pinning("ModelLedger", lab.deployment.registry, Q8_0, MERGE)
    placed = {"audits": Contract(audits, "0x"), "models": Contract(models, "0x")}
    session.deployment = replace(lab.deployment, contracts={**lab.deployment.contracts, **placed})
    session.writer = Writer(
        session.rpc, session.deployment.addresses, session.manager, session.mine
    )
    session.reader = Reader(session.rpc, session.deployment.addresses)
    return session


def test_audits_are_accepted_once_and_read_back(session: Session, data: Data) -> None:
    """Absence is refused before the sorted set is complete; each submission may be repeated."""
    registration = data.registered.dataset_id
    facts = session.latest().dataset(registration)
    assert facts is not None
    root, count = facts.root, facts.count
    first = [101, 102, 103]
    absent = prove([root, count, int.from_bytes(DIGEST[:16], "big")])
    with pytest.raises(RejectedError, match="NotSorted"):
        session.prove_absent(registration, vk_id(ABSENT), DIGEST, absent)
    for k in range(3):
        more, following = (1, first[k + 1]) if k < 2 else (0, 0)
        assert not session.latest().sorted_complete(registration, vk_id(SORTED))
        proof = prove([root, k, min(16, count - 16 * k), more, first[k], following])
        receipts = {
            session.prove_sorted(
                registration, vk_id(SORTED), SortedProof(k, first[k], following, proof)
            ).tx_hash
            for _ in range(2)
        }
        assert len(receipts) == 1
    assert session.latest().sorted_complete(registration, vk_id(SORTED))
    session.prove_absent(registration, vk_id(ABSENT), DIGEST, absent)
    halves = [int.from_bytes(DIGEST[:16], "big"), int.from_bytes(DIGEST[16:], "big")]
    session.prove_member(registration, vk_id(MEMBER), DIGEST, prove([root, count, *halves]))
    with pytest.raises(RejectedError, match="ProofInvalid"):
        session.prove_member(
            registration, vk_id(MEMBER), keccak(b"another"), prove([root, count, *halves])
        )


def leaf(name: str, layout: int, rows: int, columns: int, blocks: int, root: int) -> bytes:
    shape = u8(0) + u8(layout) + u64(rows) + u64(columns) + u8(1) + u64(blocks)
    return leaf_hash(tagged("tensor", sha256(name.encode()) + shape + root.to_bytes(32, "big")))


def tables() -> tuple[dict[str, TableFacts], dict[str, TablePath]]:
    """Tables of one tensor, and its openings."""
    plain = {
        label: leaf(NAME, 0, ROWS, COLUMNS, BLOCKS, ROOTS[label]) for label in ("base", "merged")
    }
    a = leaf(f"{NAME}:lora_a", 1, RANK, COLUMNS, 8 * 2, ROOTS["a"])
    b = leaf(f"{NAME}:lora_b", 2, ROWS, RANK, ROWS, ROOTS["b"])
    facts = {label: TableFacts(entry, 1) for label, entry in plain.items()} | {
        "adapter": TableFacts(node_hash(a, b), 2)
    }
    paths: dict[str, tuple[bytes, ...]] = {"base": (), "a": (b,), "b": (a,), "merged": ()}
    return facts, {label: TablePath(ROOTS[label], path) for label, path in paths.items()}


def anchoring(kind: str, artifact: bytes) -> Anchoring:
    facts, _ = tables()
    if kind == "merge":
        return Anchoring(
            facts["base"], facts["adapter"], facts["merged"], artifact, kind, 4, SCALE, 6, BLOCKS
        )
    return Anchoring(NO_TABLE, NO_TABLE, facts["merged"], artifact, kind, 4, 0, 6, BLOCKS)


def sample(kind: str, seed: bytes, group: int) -> Sample:
    _, openings = tables()
    words = [
        keccak(seed + bytes(32) + j.to_bytes(32, "big")) for j in range(4 * group, 4 * group + 4)
    ]
    index = sum((int.from_bytes(word, "big") % BLOCKS) << 32 * i for i, word in enumerate(words))
    if kind == "merge":
        opened = tuple(openings[label] for label in ("base", "a", "b", "merged"))
        public = [*ROOTS.values(), SCALE, 2, index]
        return Sample(0, group, vk_id(MERGE), NAME, ROWS, COLUMNS, opened, prove(public), rank=RANK)
    codes = tuple(1000 * group + i for i in range(5))
    return Sample(
        0,
        group,
        vk_id(Q8_0),
        NAME,
        ROWS,
        COLUMNS,
        (openings["merged"],),
        prove([ROOTS["merged"], index, *codes]),
        codes,
    )


@pytest.mark.parametrize("kind", ["merge", "q8_0"])
def test_a_model_is_anchored_drawn_proven_and_read_back(
    session: Session, honest: Run, kind: str
) -> None:
    """Every field comes back. The batch of both groups is accepted, and has no effect again."""
    wanted = anchoring(kind, keccak(b"artifact"))
    run, stage = honest.run_id, wanted.stage_number
    before = session.latest().model_anchoring_count(run, stage)
    number = session.anchor_model(run, stage, wanted.calldata())
    assert session.anchor_model(run, stage, wanted.calldata()) == number == before
    assert session.latest().model_anchoring_count(run, stage) == number + 1
    seed = session.draw_model(run, stage, number)
    assert session.draw_model(run, stage, number) == seed != ZERO_WORD
    items = [
        sample(kind, seed, group)
        for group in range(draw_count(BLOCKS, BLOCKS, wanted.draws, wanted.slots) // wanted.slots)
    ]
    assert len(items) == 2
    for _ in range(2):
        session.prove_samples(run, stage, number, [item.calldata() for item in items], "")
    facts = session.latest().model_anchoring(run, stage, number)
    assert facts is not None
    assert (facts.base, facts.adapter, facts.merged, facts.artifact) == (
        wanted.base,
        wanted.adapter,
        wanted.merged,
        wanted.artifact,
    )
    assert (facts.kind, facts.slots, facts.scale, facts.draws, facts.blocks) == (
        KINDS[kind].number,
        4,
        wanted.scale,
        6,
        BLOCKS,
    )
    run_facts = session.latest().run(run)
    assert run_facts is not None
    assert (facts.log_size, facts.log_root) == (run_facts.size, run_facts.root)
    assert (facts.seed, facts.accepted, facts.void, facts.blocks_proved) == (
        seed,
        True,
        False,
        BLOCKS,
    )
    expected = ZERO_WORD
    for item in items if kind == "q8_0" else ():
        expected = keccak(expected + b"".join(code.to_bytes(32, "big") for code in item.codes))
    assert facts.codes_hash == expected


def test_only_codes_of_the_draw_are_accepted(session: Session, honest: Run) -> None:
    wanted = anchoring("q8_0", keccak(b"attacked"))
    number = session.anchor_model(honest.run_id, 2, wanted.calldata())
    seed = session.draw_model(honest.run_id, 2, number)
    good = sample("q8_0", seed, 0)
    altered: list[Any] = [
        replace(good, codes=(*good.codes[:4], good.codes[4] + 1)),
        sample("q8_0", keccak(seed), 0),
    ]
    for item in altered:
        with pytest.raises(RejectedError, match="SampleInvalid"):
            session.prove_samples(honest.run_id, 2, number, [item.calldata()], "")
    with pytest.raises(RejectedError, match="OutOfOrder"):
        session.prove_samples(honest.run_id, 2, number, [sample("q8_0", seed, 1).calldata()], "")
    session.prove_samples(honest.run_id, 2, number, [good.calldata()], "")
    facts = session.latest().model_anchoring(honest.run_id, 2, number)
    assert facts is not None
    assert (facts.next_tensor, facts.next_group, facts.accepted) == (0, 1, False)


def test_contracts_that_a_trust_file_leaves_out_are_not_believed(
    session: Session, honest: Run
) -> None:
    """A reader whose trust file leaves both out does not believe what the chain holds."""
    addresses = session.deployment.addresses
    believed = {name: addresses[name] for name in ("registry", "ledger")}
    snapshot = Reader(session.rpc, believed).latest()
    assert not snapshot.sorted_complete(DIGEST, vk_id(SORTED))
    assert snapshot.model_anchoring(honest.run_id, 2, 0) is None
    assert snapshot.model_anchoring_count(honest.run_id, 2) == 0
    identity = session.reader.identity()
    assert identity.contracts["models"] == Contract(
        addresses["models"], "0x" + keccak(session.rpc.code(addresses["models"])).hex()
    )
    assert any(item.get("name") == "ModelAccepted" for item in artifact("ModelLedger")["abi"])
