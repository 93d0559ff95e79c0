"""Registering a committed dataset with one pair of keys: D anchored, then shown to be the leaves of
the root.

    commit D  ->  beginDataset (D, proofs of knowledge)  ->  challenge  ->  tree and link proofs  ->
    finishDataset

Every step may be repeated after a crash: blindings are durable before D is sent, and the ledger
knows what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.calls import LinkProof
from provenance.dataset.committed import CommittedDataset
from provenance.errors import NotFound
from provenance.ids import DatasetId
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance_zk.field import to_word
from provenance_zk.prover.client import Commitments, ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.request import blindings_bytes, challenge_fields, leaf_bytes
from provenance_zk.statements import ProofFile, challenges, chunk_count, point_ints
from provenance_zk.training.ledger import Ledger, blindings, calldata, point_json
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.pool import Executor, proof_pool

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Registered:
    """A finished registration: `folder` holds registration.json and the proofs, as evidence for
    verifiers.
    """

    dataset_id: DatasetId
    folder: Path


@dataclass(frozen=True)
class Keys:
    """The pair of proving keys that a registration is made with."""

    epoch: KeyFolder
    tree: KeyFolder


def d_blindings(dataset: CommittedDataset, key: bytes, keys: Keys) -> list[int]:
    """Secret blindings of D, one per chunk; made once and kept encrypted."""
    path = dataset.folder / "private" / "blindings.sqlite"
    return blindings(
        path, key, f"d:{keys.epoch.vk_id.hex()}", chunk_count(len(dataset), keys.epoch.slots)
    )


def registrations(dataset_folder: Path) -> Path:
    """Folder of a dataset's registrations, one below it per pair of keys and ledger."""
    return dataset_folder / "registrations"


def find_registration(dataset_folder: Path, ledger: str) -> Registered | None:
    """The finished registration of a dataset folder on this ledger, None if there is none."""
    for path in sorted(registrations(dataset_folder).glob("*/registration.json")):
        value = read_json(path)
        if value.get("ledger") == ledger and value.get("finished") is True:
            return Registered(DatasetId.parse(value["dataset_id"]), path.parent)
    return None


def require_registration(dataset_folder: Path, ledger: str) -> Registered:
    """`find_registration`, as a condition.

    Raises:
        NotFound: the dataset is not registered on this ledger.
    """
    found = find_registration(dataset_folder, ledger)
    if found is None:
        raise NotFound(
            "dataset is not registered on the ledger",
            where=str(dataset_folder),
            expected=f"a registration on {ledger}",
            hint=f"provenance dataset register {dataset_folder}",
        )
    return found


def write_evidence(run: RunFolder, registration: Registered, keys: Keys) -> None:
    """Copy what verifiers need of a registration and its keys into a run's evidence."""
    for source in sorted(registration.folder.glob("*.json")):
        write_atomically(run.dataset / source.name, source.read_bytes())
    for key in (keys.epoch, keys.tree):
        write_key(run.key(f"0x{key.vk_id.hex()}"), key)


def register(
    dataset: CommittedDataset,
    salt_key: bytes,
    keys: Keys,
    prover: ZkProver,
    ledger: Ledger,
    ledger_address: str,
    progress: Progress,
    executor: Executor | None = None,
) -> Registered:
    """Register `dataset`; idempotent.

    Args:
        executor: whose workers make the proofs; None for one that asks `prover`.

    Raises:
        RejectedError: the ledger or the prover refuses a statement.
        UnavailableError: chain or prover out of reach; call again.
    """
    root = dataset.root
    secret = d_blindings(dataset, salt_key, keys)
    progress(f"committing to {root.count} leaves")
    d = prover.commit_values(keys.epoch.dir, "D", dataset.leaves, secret)
    dataset_id = ledger.begin_dataset(
        keys.epoch.vk_id,
        keys.tree.vk_id,
        root,
        [point_ints(p) for p in d.points],
        [point_ints(p) for p in d.poks],
    )
    folder = registrations(dataset.folder) / dataset_id.hex()
    facts = ledger.latest().dataset(dataset_id)
    if facts is not None:
        challenge = challenges(facts.link_seed)
        trees, links = (
            tree_jobs(dataset, keys.tree, challenge),
            link_jobs(dataset, keys.epoch, secret, challenge),
        )
        progress(f"{len(trees)} tree proofs, {len(links)} link proofs")
        with proof_pool(
            dataset.folder / "private" / "proofs.sqlite", prover, executor, progress
        ) as pool:
            proofs = pool.prove([*trees, *links])
        last = _submit_trees(proofs[: len(trees)], ledger, dataset_id, folder)
        last = _submit_links(proofs[len(trees) :], ledger, dataset_id, d, folder) or last
        if not facts.finished:
            last = ledger.finish_dataset(dataset_id)
        progress("waiting for finality")
        if last is not None:
            ledger.final(last)
    _store(folder, dataset_id, keys, d, ledger_address)
    return Registered(dataset_id, folder)


def tree_jobs(dataset: CommittedDataset, key: KeyFolder, challenge: tuple[int, int]) -> list[Job]:
    """A job per tree chunk that holds a leaf."""
    root, fields = dataset.root, challenge_fields(challenge)
    shared = {
        "leaves": leaf_bytes(dataset.leaves),
        "count": root.count,
        "depth": root.depth,
        **fields,
    }
    public = {"root": to_word(root.root), "count": root.count, "depth": root.depth, **fields}
    return [
        Job.make(key, "prove-tree", {**shared, "k": k}, {**public, "k": k})
        for k in range(-(-root.count // key.slots))
    ]


def link_jobs(
    dataset: CommittedDataset, key: KeyFolder, secret: list[int], challenge: tuple[int, int]
) -> list[Job]:
    """A job per chunk;

    `secret` are the blindings of D. The challenge is that of the anchored D and root.
    """
    count, fields = len(dataset), challenge_fields(challenge)
    shared = {
        "leaves": leaf_bytes(dataset.leaves),
        "count": count,
        "blindings": blindings_bytes(d=secret),
        **fields,
    }
    return [
        Job.make(key, "prove-link", {**shared, "chunk": c}, {**fields, "count": count, "chunk": c})
        for c in range(chunk_count(count, key.slots))
    ]


def _submit_trees(
    proofs: Sequence[ProofFile], ledger: Ledger, dataset_id: DatasetId, folder: Path
) -> object:
    receipt = None
    for k, proof in enumerate(proofs):
        write_atomically(folder / f"tree-{k}.json", proof.to_bytes())
        receipt = ledger.prove_tree(
            dataset_id, k, proof.public_value("t"), proof.public_value("z"), calldata(proof)
        )
    return receipt


def _submit_links(
    proofs: Sequence[ProofFile], ledger: Ledger, dataset_id: DatasetId, d: Commitments, folder: Path
) -> object:
    receipt = None
    for c, proof in enumerate(proofs):
        write_atomically(folder / f"link-{c}.json", proof.to_bytes())
        a, b = proof.public_value("a"), proof.public_value("b")
        link = LinkProof(c, point_ints(d.points[c]), a, b, calldata(proof))
        receipt = ledger.prove_link(dataset_id, link)
    return receipt


def _store(
    folder: Path, dataset_id: DatasetId, keys: Keys, d: Commitments, ledger_address: str
) -> None:
    write_json(
        folder / "registration.json",
        {
            "format": "provenance-registration/1",
            "dataset_id": "0x" + dataset_id.hex(),
            "ledger": ledger_address,
            "finished": True,
            "epoch_key": "0x" + keys.epoch.vk_id.hex(),
            "tree_key": "0x" + keys.tree.vk_id.hex(),
            "points": [point_json(p) for p in d.points],
        },
    )


def write_key(folder: Path, key: KeyFolder) -> None:
    """What a verifier needs of a key: its words and, for an epoch key, the bases of P."""
    write_atomically(folder / "vk.words", key.words)
    if key.kind == "epoch":
        # bases.bin holds D (n + blinding + mask), U (the same) and P (n + mask).
        data = key.bases_file.read_bytes()
        write_atomically(folder / "p_bases.bin", data[-64 * (key.slots + 1) :])
