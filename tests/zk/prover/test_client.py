"""The prover's client: what the real program makes is what was asked for."""

from __future__ import annotations

import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError, RejectedError
from provenance.ids import to_hex, to_word
from provenance.order import epoch_order
from provenance_zk import statements
from provenance_zk.field import R
from provenance_zk.groth16 import verifier
from provenance_zk.proof_file import point_bytes
from provenance_zk.prover.client import Commitments, ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.request import (
    blindings_bytes,
    challenge_fields,
    leaf_bytes,
    order_bytes,
    private_folder,
    used_bytes,
)
from provenance_zk.training.jobs import (
    EpochWitness,
    RegisteredD,
    epoch_jobs,
    link_jobs,
    tree_jobs,
)
from tests.support.zk.products import d_vector, product_at, tree_products, u_vector
from tests.support.zk.proofs import prove

COUNT = 300  # one chunk of 256 and a part of the next
ROOT = DatasetRoot(1, 5, COUNT)  # enters the ids of statements only
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def leaves() -> np.ndarray:
    random = np.random.default_rng(7)
    values = random.integers(0, 256, (COUNT, 32), dtype=np.uint8)
    values[:, 0] %= 0x30  # below r
    return values


@pytest.fixture(scope="module")
def blindings() -> tuple[list[int], list[int]]:
    return (
        [secrets.randbelow(R - 1) + 1 for _ in range(2)],
        [secrets.randbelow(R - 1) + 1 for _ in range(2)],
    )


def test_the_order_is_that_of_the_core(prover: ZkProver) -> None:
    with private_folder() as folder:
        request = {"seed": to_hex(SEED), "epoch": 3, "count": COUNT, "out": folder.out("order")}
        prover.request("order", request)
        assert folder.read("order") == order_bytes(epoch_order(SEED, 3, COUNT))


def test_an_epoch_is_committed_proved_and_verified(
    prover: ZkProver,
    epoch_key: KeyFolder,
    tree_key: KeyFolder,
    leaves: np.ndarray,
    blindings: tuple[list[int], list[int]],
) -> None:
    order = epoch_order(SEED, 0, COUNT)
    d = prover.commit_values(epoch_key.dir, "D", leaves, blindings[0])
    u = prover.commit_values(epoch_key.dir, "U", leaves[order.astype(int)], blindings[1])
    p = prover.commit_order(epoch_key.dir, order)
    assert prover.recompute_order(epoch_key.words_file, epoch_key.bases_file, order) == Commitments(
        p.points, (), 256, p.vk_id
    )
    assert (d.slots, d.vk_id) == (256, epoch_key.vk_id)
    challenge = statements.challenges(statements.points_hash([*d.points, *u.points, *p.points]))

    epochs = prove(
        prover, epoch_jobs(epoch_key, EpochWitness(leaves, order, *blindings), challenge)
    )
    # Proofs carry the very points that were committed, and their knowledge.
    for c, proof in enumerate(epochs):
        assert [point_bytes(x) for x in proof.commitments] == [x.points[c] for x in (d, u, p)]
        assert [point_bytes(x) for x in proof.poks] == [x.poks[c] for x in (d, u, p)]
    links = prove(prover, link_jobs(epoch_key, leaves, blindings[0], challenge))
    trees = prove(prover, tree_jobs(tree_key, ROOT, leaves, challenge))
    assert all(a.ok for a in prover.verify(epoch_key.words_file, epochs, statements.EPOCH_MASK))
    assert all(a.ok for a in prover.verify(epoch_key.words_file, links, statements.D_MASK))
    assert all(a.ok for a in prover.verify(tree_key.words_file, trees, 0))
    assert verifier.is_valid_proof(epoch_key.words, epochs[1], statements.FULL_MASK)
    assert verifier.is_valid_proof(epoch_key.words, links[0], statements.D_MASK)
    assert verifier.is_valid_proof(tree_key.words, trees[1], 0)
    check_products(prover, leaves, order, challenge, epochs, trees)


def test_an_epoch_takes_the_commitments_of_the_registration(
    prover: ZkProver,
    epoch_key: KeyFolder,
    leaves: np.ndarray,
    blindings: tuple[list[int], list[int]],
) -> None:
    order, challenge = epoch_order(SEED, 0, COUNT), (5, 6)
    links = prove(prover, link_jobs(epoch_key, leaves, blindings[0], challenge))
    registered = [RegisteredD.of_link(proof) for proof in links]
    witness = EpochWitness(leaves, order, *blindings, registered)
    proofs = prove(prover, epoch_jobs(epoch_key, witness, challenge))
    assert [p.commitments[0] for p in proofs] == [p.commitments[0] for p in links]
    assert [p.poks[0] for p in proofs] == [p.poks[0] for p in links]
    assert all(a.ok for a in prover.verify(epoch_key.words_file, proofs, statements.FULL_MASK))

    foreign = replace(witness, registered=registered[::-1])
    with pytest.raises(RejectedError, match="not one to these leaves with this blinding"):
        prove(prover, epoch_jobs(epoch_key, foreign, challenge))


def check_products(
    prover: ZkProver,
    leaves: np.ndarray,
    order: np.ndarray,
    challenge: tuple[int, int],
    epochs: Any,
    trees: Any,
) -> None:
    """Public products of proofs, the prover's `products` and plain integers agree."""
    values, fed = statements.leaves_to_ints(leaves), [int(i) for i in order]
    pi, root = statements.inverse(fed), prover.leaf_root(leaves, 5)
    with private_folder() as folder:
        request = {
            "count": COUNT,
            "slots": 256,
            "treeSlots": 256,
            "leaves": folder.write("leaves", leaf_bytes(leaves)),
            "used": folder.write("used", used_bytes(leaves, order)),
            "order": folder.write("order", order_bytes(order)),
            **challenge_fields(challenge),
        }
        products = prover.request("products", request)
    for c in (0, 1):
        positions = statements.p_vector(pi, c, 256)
        a = product_at(*challenge, d_vector(values, c, 256), positions)
        b = statements.product_from(*challenge, u_vector(values, fed, c, 256), c * 256)
        t, z = tree_products(*challenge, values, c, 256)
        used = statements.used_leaves(COUNT, c, 256)
        assert epochs[c].public == (*challenge, 256 * c, a, b)
        assert trees[c].public == (root, c, used, c, *challenge, t, z)
        assert [products[name][c] for name in "abtz"] == [to_word(x) for x in (a, b, t, z)]


def test_a_proof_for_one_key_is_false_for_another(
    prover: ZkProver, epoch_key: KeyFolder, tree_key: KeyFolder, leaves: np.ndarray
) -> None:
    [proof] = prove(prover, tree_jobs(tree_key, ROOT, leaves, (5, 6))[:1])
    assert not prover.verify(epoch_key.words_file, [proof], 0)[0].ok
    with pytest.raises(InputError, match="another key"):
        verifier.is_valid_proof(epoch_key.words, proof, 0)


def test_an_epoch_that_fed_other_leaves_cannot_be_proved(
    prover: ZkProver,
    epoch_key: KeyFolder,
    leaves: np.ndarray,
    blindings: tuple[list[int], list[int]],
    tmp_path: Path,
) -> None:
    order = epoch_order(SEED, 0, COUNT)
    used = leaves[order.astype(int)].copy()
    used[[3, 4]] = used[[4, 3]]
    for name, data in (
        ("l", leaves.tobytes()),
        ("u", used.tobytes()),
        ("o", order.astype(">u8").tobytes()),
    ):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b").write_bytes(blindings_bytes(d=blindings[0], u=blindings[1]))
    with pytest.raises(RejectedError, match="leaf fed at a position"):
        prover.request(
            "prove-epoch",
            {
                "key": str(epoch_key.dir),
                "leaves": str(tmp_path / "l"),
                "used": str(tmp_path / "u"),
                "order": str(tmp_path / "o"),
                "count": COUNT,
                "blindings": str(tmp_path / "b"),
                "out": str(tmp_path / "proof"),
                **challenge_fields((5, 6)),
            },
        )


@pytest.mark.parametrize("order", [[*range(COUNT - 1), 0], list(range(1, COUNT + 1))])
def test_an_order_that_is_no_permutation_is_refused(
    prover: ZkProver, epoch_key: KeyFolder, order: list[int]
) -> None:
    with pytest.raises(InputError, match="out of range or repeated"):
        prover.commit_order(epoch_key.dir, order)


def test_requests_that_make_no_sense_are_refused(
    prover: ZkProver, epoch_key: KeyFolder, leaves: np.ndarray
) -> None:
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "P", leaves, [1, 2])
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1])  # two chunks need two
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1, 0])  # a blinding of 0 hides nothing
    with pytest.raises(InputError):
        prover.commit_values(epoch_key.dir, "D", leaves, [1, R])
    with pytest.raises(InputError):
        prove(prover, tree_jobs(epoch_key, ROOT, leaves, (1, 2)))  # no tree key
    with pytest.raises(InputError):
        prover.verify(epoch_key.words_file, [], 0)
    with pytest.raises(InputError):
        prover.leaf_root(b"\xff" * 32, 5)


def test_the_temporary_folder_is_private() -> None:
    with private_folder() as folder:
        path = Path(folder.write("secret", b"x"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()
