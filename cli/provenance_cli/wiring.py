"""Builds the parts of a command (reader, prover, inspector, keys) from settings and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from provenance.chain.contracts import Reader
from provenance.chain.deploy import Deployment
from provenance.chain.session import connect, embedded
from provenance.errors import NotFound, UnavailableError
from provenance.ids import KeyId
from provenance.judgement.facts import ChainReader
from provenance.judgement.trust import Trust
from provenance.settings import Settings
from provenance.verify.protocols import FormatInspector, ProofVerifier

if TYPE_CHECKING:
    from provenance_zk.training.registration import Keys


def start_chain(settings: Settings) -> None:
    """Start the embedded chain, if it is the configured one and is not running."""
    if settings.rpc_url is None:
        embedded(settings).up()


def reader_for(settings: Settings, trust: Trust) -> ChainReader:
    """A reader of the contracts that the trust file pins.

    If the chain cannot be reached, each method of the reader raises UnavailableError.
    """
    try:
        rpc, _mine = connect(settings)
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


def prover_for(settings: Settings, slow: bool) -> ProofVerifier:
    """The proof checker: it asks `zkprover`, or with `slow` computes in pure Python.

    Raises:
        UnavailableError: the prover binary is missing and `slow` was not asked for.
    """
    from provenance_zk.checker import ProofChecker, ProverEngine, SlowEngine
    from provenance_zk.prover.client import ZkProver, find_binary

    return ProofChecker(
        SlowEngine() if slow else ProverEngine(ZkProver(find_binary(settings.zkprover)))
    )


def inspector_for() -> FormatInspector:
    """The reader of deployed files, which also recomputes them. It imports no torch."""
    from provenance_trainer.formats.inspect import Inspector

    return Inspector()


def evidence_folders(folders: Sequence[Path], subject: str) -> list[Path]:
    """Folders to search for evidence.

    They are the folders given, else the two above the file, else `runs` and the current folder.
    Evidence from any folder will do, because it is checked and never trusted.
    """
    if folders:
        return list(folders)
    path = Path(subject)
    return [path.parent, path.parent.parent] if path.exists() else [Path("runs"), Path()]


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
        NotFound: the cache lacks a key that the ledger pins.
    """
    from provenance_zk.prover.keys import find_key
    from provenance_zk.training.registration import Keys

    cache = settings.cache / "keys"
    try:
        epoch = find_key(cache, KeyId.parse(deployment.key("epoch").vk_id))
        tree = find_key(cache, KeyId.parse(deployment.key("tree", depth=depth).vk_id))
    except NotFound as error:
        raise NotFound(
            f"the cache lacks a proving key of ledger {deployment.ledger}",
            where=error.where,
            expected=error.expected,
            hint="restore the cache, or run: provenance chain deploy (new keys and contracts)",
        ) from error
    return Keys(epoch, tree)
