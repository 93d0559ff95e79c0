"""Builds the parts of a command (reader, prover, inspector, keys) from settings and options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from provenance.artifacts.memo import Memo
from provenance.causes import cause_of
from provenance.chain.contracts import Reader
from provenance.chain.deploy import Deployment, restore_hint
from provenance.chain.endpoint import PATIENT, Patience
from provenance.chain.session import connect_for_reading, embedded
from provenance.errors import InputError, UnavailableError
from provenance.judgement.trust import Trust
from provenance.settings import Settings
from provenance.statements import key_text
from provenance.verify.protocols import FormatInspector, ProofVerifier
from provenance_cli.output import note

if TYPE_CHECKING:
    from provenance_api.state import PageReader
    from provenance_zk.prover.client import ZkProver as Prover
    from provenance_zk.training.registration import Keys


def start_chain(settings: Settings) -> None:
    """Start the embedded chain, if it is the configured one and is not running."""
    if settings.rpc_url is None:
        embedded(settings).up()


def reader_for(settings: Settings, trust: Trust, patience: Patience = PATIENT) -> PageReader:
    """A reader of the contracts that the trust file pins.

    If the chain cannot be reached, or fewer endpoints are configured than the trust file wants to
    agree, each method of the reader raises UnavailableError.

    Raises:
        ConfigError: the endpoints are no quorum, or one stands twice.

    Args:
        patience: for an endpoint that limits requests; each wait is said on stderr.
    """
    try:
        rpc = connect_for_reading(settings, trust.needed, note, patience)
    except UnavailableError as error:
        return _DownReader(error)
    return Reader(rpc, trust.addresses, trust.confirmations)


class _DownReader:
    """Stands in for a chain that cannot be reached.

    Each method raises, so the verdict becomes `indeterminate` and the command does not crash.
    """

    def __init__(self, error: UnavailableError) -> None:
        self._error = error

    def identity(self) -> NoReturn:
        raise self._error

    def final(self) -> NoReturn:
        raise self._error

    def latest(self) -> NoReturn:
        raise self._error

    def block(self, number: int) -> NoReturn:
        raise self._error

    def agreement(self) -> None:
        """Nobody was asked."""

    def lookup(self) -> NoReturn:
        raise self._error


def memo_for(settings: Settings, *, fresh: bool) -> Memo | None:
    """The results that verifications of this user kept; None if the settings want none.

    Args:
        fresh: use none of them, and compare them with what is computed.
    """
    return None if settings.memo is None else Memo(settings.memo, note, fresh=fresh)


def prover_for(
    settings: Settings, slow: bool, memo: Memo | None = None, prover: Prover | None = None
) -> ProofVerifier:
    """The proof checker: it asks `zkprover`, or with `slow` computes in pure Python.

    Args:
        memo: roots of weights that need not be computed again.
        prover: who is asked; None to start the program for each request.

    Raises:
        UnavailableError: the prover binary is missing and `slow` was not asked for.
    """
    from provenance_zk.checker import ProofChecker, ProverEngine, SlowEngine
    from provenance_zk.prover.client import ZkProver, find_binary

    if slow:
        return ProofChecker(SlowEngine())
    asked = ZkProver(find_binary(settings.zkprover)) if prover is None else prover
    return ProofChecker(ProverEngine(asked, memo))


def inspector_for() -> FormatInspector:
    """The reader of deployed files, which also recomputes them. It imports no torch."""
    from provenance_trainer.formats.inspect import Inspector

    return Inspector()


def evidence_folders(folders: Sequence[Path], subject: str) -> list[Path]:
    """Folders to search for evidence.

    They are the folders given, else the two above the file, else `runs` and the current folder.
    Evidence from any folder will do, because it is checked and never trusted.

    Raises:
        InputError: one of the folders given is none.
    """
    for folder in folders:
        require_folder(folder, "--evidence")
    if folders:
        return list(folders)
    path = Path(subject)
    return [path.parent, path.parent.parent] if path.exists() else [Path("runs"), Path()]


def require_folder(folder: Path, option: str, hint: str | None = None) -> None:
    """Check that a folder that an option names is one.

    Raises:
        InputError: it is not; the cause is named.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(
            "no such folder",
            where=f"{option} {folder}",
            actual=cause_of(error, folder),
            hint=hint,
        ) from error


def base_folder(settings: Settings, name: str | None) -> Path | None:
    """The folder of a base model, given by name or folder as in a training configuration.

    Raises:
        InputError: there is no such model.
    """
    if name is None:
        return None
    from provenance_trainer.model.base import load_base

    return load_base(name, settings.cache / "models").dir


def proving_keys(settings: Settings, deployment: Deployment, depth: int) -> Keys:
    """The `epoch` and `tree` proving keys that the deployed ledger pins.

    Args:
        depth: depth of the dataset's tree.

    Raises:
        ConfigError: the ledger pins no key for this depth.
        NotFound: the cache lacks keys that the ledger pins; the message names all of them.
    """
    from provenance_zk.prover.keys import find_keys
    from provenance_zk.training.registration import Keys

    pinned = (deployment.key("epoch"), deployment.key("tree", depth=depth))
    wanted = {key.vk_id: key_text(key.kind, key.slots, key.depth) for key in pinned}
    owner, hint = f"ledger {deployment.ledger}", restore_hint(deployment)
    found = find_keys(settings.cache / "keys", wanted, owner, hint)
    return Keys(*(found[key.vk_id] for key in pinned))
