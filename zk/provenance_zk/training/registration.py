"""Registering a committed dataset with one pair of keys.

The owner sends D, the commitments to the dataset's leaves, then proves that these are the leaves
under the root:

    commit D -> beginDataset (D, its proofs of knowledge) -> challenge -> tree and link proofs
             -> finishDataset

Every step may be repeated after a crash: blindings are durable before D is sent, and what the
ledger already accepted is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.calls import LinkProof
from provenance.dataset.committed import CommittedDataset
from provenance.errors import NotFound, UnavailableError
from provenance.ids import DatasetId, to_hex
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.progress import Say, silent
from provenance_zk.proof_file import ProofFile, point_ints, point_json
from provenance_zk.prover.client import Commitments, ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.statements import challenges, chunk_count
from provenance_zk.training.jobs import RegisteredD, link_jobs, tree_jobs
from provenance_zk.training.ledger import Ledger, blindings
from provenance_zk.workers.local import Executor
from provenance_zk.workers.pool import proof_pool


@dataclass(frozen=True)
class Registered:
    """A finished registration.

    `folder` holds registration.json and the proofs, as evidence for verifiers.
    """

    dataset_id: DatasetId
    folder: Path


@dataclass(frozen=True)
class Keys:
    """The pair of keys that a dataset is registered with."""

    epoch: KeyFolder
    tree: KeyFolder


@dataclass(frozen=True)
class ProvingSite:
    """Where an owner's proofs are made, and which ledger takes them.

    Attributes:
        salt_key: 32 bytes that open the owner's stores of salts and blindings: secret.
        prover: computes commitments.
        ledger_address: the ledger's address as evidence names it.
        say: gets a line for each step.
        executor: its workers make the proofs; None for one worker that asks `prover`.
    """

    salt_key: bytes
    keys: Keys
    prover: ZkProver
    ledger: Ledger
    ledger_address: str
    say: Say = silent
    executor: Executor | None = None


def d_blindings(dataset: CommittedDataset, key: bytes, keys: Keys) -> list[int]:
    """The blindings of D under the epoch key, one per chunk: secret."""
    path = dataset.folder / "private" / "blindings.sqlite"
    chunks = chunk_count(len(dataset), keys.epoch.slots)
    return blindings(path, key, f"d:{keys.epoch.vk_id.hex()}", chunks)


def registrations(dataset_folder: Path) -> Path:
    """The folder of a dataset's registrations; each has a folder there, named by its id."""
    return dataset_folder / "registrations"


def find_registration(dataset_folder: Path, ledger: str) -> Registered | None:
    """The finished registration of a dataset folder on this ledger, None if there is none."""
    for path in sorted(registrations(dataset_folder).glob("*/registration.json")):
        value = read_json(path)
        if value.get("ledger") == ledger and value.get("finished") is True:
            return Registered(DatasetId.parse(value["dataset_id"], where=str(path)), path.parent)
    return None


def require_registration(dataset_folder: Path, ledger: str) -> Registered:
    """The finished registration of a dataset folder on this ledger.

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


def registered_d(dataset_folder: Path, site: ProvingSite) -> list[RegisteredD]:
    """Each chunk's D as it was registered; empty if the folder does not hold all link proofs.

    Raises:
        InputError: a file there is no proof.
    """
    registered = find_registration(dataset_folder, site.ledger_address)
    if registered is None:
        return []
    folder = registered.folder
    count = len(read_json(folder / "registration.json")["points"])
    paths = [folder / f"link-{c}.json" for c in range(count)]
    if not all(path.is_file() for path in paths):
        return []
    return [RegisteredD.of_link(ProofFile.parse(path.read_bytes())) for path in paths]


def write_evidence(run: RunFolder, registration: Registered, keys: Keys) -> None:
    """Copy a registration and its keys, as far as verifiers need them, into a run's evidence."""
    for source in sorted(registration.folder.glob("*.json")):
        write_atomically(run.dataset / source.name, source.read_bytes())
    for key in (keys.epoch, keys.tree):
        write_key(run.key(to_hex(key.vk_id)), key)


def register(dataset: CommittedDataset, site: ProvingSite) -> Registered:
    """Register `dataset`; idempotent.

    Raises:
        RejectedError: the ledger or the prover refuses a statement.
        UnavailableError: the chain or the prover is out of reach; call again.
    """
    root, keys, ledger = dataset.root, site.keys, site.ledger
    secret = d_blindings(dataset, site.salt_key, keys)
    site.say(f"committing to {root.count} leaves")
    d = site.prover.commit_values(keys.epoch.dir, "D", dataset.leaves, secret)
    points, poks = [point_ints(p) for p in d.points], [point_ints(p) for p in d.poks]
    dataset_id = ledger.begin_dataset(keys.epoch.vk_id, keys.tree.vk_id, root, points, poks)
    registered = Registered(dataset_id, registrations(dataset.folder) / dataset_id.hex())
    facts = ledger.latest().dataset(dataset_id)
    if facts is None:  # an endpoint that lags: nothing was shown yet
        raise UnavailableError(
            "the chain does not show the registration yet",
            where=f"dataset {dataset_id}",
            hint="call again; nothing is sent twice",
        )
    trees, links = _prove(dataset, site, secret, challenges(facts.link_seed))
    last = _submit_trees(trees, ledger, registered)
    last = _submit_links(links, ledger, registered, d) or last
    if not facts.finished:
        last = ledger.finish_dataset(dataset_id)
    site.say("waiting for finality")
    if last is not None:
        ledger.final(last)
    _store(registered, site, d)
    return registered


def _prove(
    dataset: CommittedDataset,
    site: ProvingSite,
    secret: Sequence[int],
    challenge: tuple[int, int],
) -> tuple[list[ProofFile], list[ProofFile]]:
    """Make all proofs; returns (tree proofs, link proofs), each in the order of chunks."""
    trees = tree_jobs(site.keys.tree, dataset.root, dataset.leaves, challenge)
    links = link_jobs(site.keys.epoch, dataset.leaves, secret, challenge)
    site.say(f"{len(trees)} tree proofs, {len(links)} link proofs")
    queue = dataset.folder / "private" / "proofs.sqlite"
    with proof_pool(queue, site.prover, site.executor, site.say) as pool:
        proofs = pool.prove([*trees, *links])
    return proofs[: len(trees)], proofs[len(trees) :]


def _submit_trees(proofs: Sequence[ProofFile], ledger: Ledger, registered: Registered) -> object:
    receipt = None
    for k, proof in enumerate(proofs):
        write_atomically(registered.folder / f"tree-{k}.json", proof.to_bytes())
        t, z = proof.public_value("t"), proof.public_value("z")
        receipt = ledger.prove_tree(registered.dataset_id, k, t, z, proof.calldata())
    return receipt


def _submit_links(
    proofs: Sequence[ProofFile], ledger: Ledger, registered: Registered, d: Commitments
) -> object:
    receipt = None
    for c, proof in enumerate(proofs):
        write_atomically(registered.folder / f"link-{c}.json", proof.to_bytes())
        a, b = proof.public_value("a"), proof.public_value("b")
        link = LinkProof(c, point_ints(d.points[c]), a, b, proof.calldata())
        receipt = ledger.prove_link(registered.dataset_id, link)
    return receipt


def _store(registered: Registered, site: ProvingSite, d: Commitments) -> None:
    """Write the registration's folder: the commit point, after which it counts as finished."""
    write_json(
        registered.folder / "registration.json",
        {
            "format": "provenance-registration/1",
            "dataset_id": to_hex(registered.dataset_id),
            "ledger": site.ledger_address,
            "finished": True,
            "epoch_key": to_hex(site.keys.epoch.vk_id),
            "tree_key": to_hex(site.keys.tree.vk_id),
            "points": [point_json(p) for p in d.points],
        },
    )


def write_key(folder: Path, key: KeyFolder) -> None:
    """Write what a verifier needs of a key: its words, and the bases of P if it is `epoch`."""
    write_atomically(folder / "vk.words", key.words)
    if key.kind == "epoch":
        # bases.bin holds D (n + blinding + mask), U (the same) and P (n + mask).
        data = key.bases_file.read_bytes()
        write_atomically(folder / "p_bases.bin", data[-64 * (key.slots + 1) :])
