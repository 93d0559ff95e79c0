"""Registering a committed dataset, and proving its order, on the deployed contracts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provenance.chain.session import Session
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_key
from provenance.errors import InputError
from provenance.ids import DatasetId, KeyId
from provenance.progress import Say
from provenance_cli.wiring import proving_keys
from provenance_zk.audits.proving import prove_sorted_set, submit_sorted_set
from provenance_zk.audits.statement_file import Statement
from provenance_zk.prover.keys import (
    SORTED_SLOTS,
    TEST_SORTED_SLOTS,
    KeyFolder,
    ensure_keys,
    find_key,
)
from provenance_zk.training.registration import (
    ProvingSite,
    Registered,
    register,
    require_registration,
)
from provenance_zk.workers.executors import Workshop


def register_folder(
    folder: Path, session: Session, workshop: Workshop, progress: Say
) -> Registered:
    """Register a folder's dataset, with proofs for the deployed keys; raises as `register`."""
    settings = workshop.settings
    salt_key = load_key(settings.home / "salts.key")
    with (
        CommittedDataset.open(folder, salt_key) as opened,
        workshop.workers() as workers,
    ):
        keys = proving_keys(settings, session.deployment, opened.root.depth)
        ledger = session.deployment.ledger
        site = ProvingSite(salt_key, keys, workshop.prover, session, ledger, progress, workers)
        return register(opened, site)


@dataclass(frozen=True)
class SortedSet:
    """A dataset's sorted proofs. `dataset_id` is None if no contract has checked them."""

    statements: tuple[Statement, ...]
    key: KeyFolder
    dataset_id: DatasetId | None


@dataclass(frozen=True)
class SortedRequest:
    """Which sorted proofs to make.

    folder: the committed dataset.
    out: where the proofs go.
    slots: leaves per chunk; None for the deployed key's, or 256 if no contract is asked.
    """

    folder: Path
    out: Path
    slots: int | None = None


def prove_order(
    request: SortedRequest, session: Session | None, workshop: Workshop, progress: Say
) -> SortedSet:
    """Prove chunk by chunk that a dataset is sorted; with a session, the contract checks it too.

    Raises:
        InputError: there is no key of this size.
        NotFound: there is a session, but the dataset is not registered.
        RejectedError: a record was erased, or the contract refuses a proof.
    """
    salt_key = load_key(workshop.settings.home / "salts.key")
    with CommittedDataset.open(request.folder, salt_key) as opened:
        dataset_id = None
        if session is not None:
            ledger = session.deployment.ledger
            dataset_id = DatasetId(require_registration(request.folder, ledger).dataset_id)
        key = sorted_key(request.slots, opened.root.depth, session, workshop)
        statements = prove_sorted_set(opened, request.out, key, workshop.prover, progress)
        if session is not None and dataset_id is not None:
            submit_sorted_set(statements, dataset_id, session, progress)
    return SortedSet(tuple(statements), key, dataset_id)


def sorted_key(
    slots: int | None, depth: int, session: Session | None, workshop: Workshop
) -> KeyFolder:
    """The `sorted` key to use: with a session the deployed one, else one of `slots` leaves.

    Args:
        slots: leaves per chunk; None for the deployed key's, or 256 without a session.
        workshop: makes a key that the cache lacks; only without a session.

    Raises:
        InputError: there is no key of this size, or the deployed one has another size.
        ConfigError: no such key is deployed.
        NotFound: the cache lacks the deployed key.
    """
    cache = workshop.settings.cache / "keys"
    if slots not in (None, SORTED_SLOTS, TEST_SORTED_SLOTS):
        raise InputError(
            "there is no sorted key with so many leaves per chunk",
            where="--slots",
            expected=f"{SORTED_SLOTS} or {TEST_SORTED_SLOTS}",
            actual=slots,
        )
    if session is None:
        return ensure_keys(workshop.prover, cache, "sorted", slots or SORTED_SLOTS, depth)
    deployed = session.deployment.key("sorted", depth=depth)
    if slots not in (None, deployed.slots):
        raise InputError(
            "the deployed sorted key has another number of leaves per chunk",
            where="--slots",
            expected=deployed.slots,
            actual=slots,
        )
    return find_key(cache, KeyId.parse(deployed.vk_id))
