"""Composition for `provenance chain deploy`: keys from the prover or a ceremony, contracts from this package, a trust file."""

from __future__ import annotations

from pathlib import Path

from provenance._chain.deploy import Deployment, deploy, require_same_chain, sources_digest
from provenance._chain.session import Progress, connect, deployment_path, embedded, key_path, manager_for
from provenance.errors import ConfigError, ProvenanceError
from provenance.layout import write_atomically
from provenance.settings import Settings
from provenance.signing import address_of, load_key, read_password
from provenance.trust import Contract, Key, Publisher, render
from provenance_zk.keys import EPOCH_SLOTS, TEST_TREE_SLOTS, TREE_SLOTS, ceremony_key, ensure_keys, find_key, vk_id


def tree_slots(slots: int) -> int:
    """Leaves per `tree` chunk that go with an epoch key: 256 for the test key, else 4,096."""
    return TEST_TREE_SLOTS if slots == TEST_TREE_SLOTS else TREE_SLOTS


def deploy_all(settings: Settings, slots: int, key: str, progress: Progress, ceremony: bool = False) -> Deployment:
    """Keys (cached), then contracts; what is deployed already on this very chain is kept.

    Args:
        ceremony: take ceremony keys from the cache instead of development keys.

    Raises:
        ConfigError: no such number of slots.
        NotFound: no ceremony key of a wanted shape.
    """
    if slots not in EPOCH_SLOTS:
        raise ConfigError("no key of this size", where="--slots", expected=", ".join(map(str, EPOCH_SLOTS)), actual=slots)
    from provenance_zk.client import ZkProver, find_binary

    rpc, _mine = connect(settings)
    account = load_key(key_path(settings, key), read_password(settings.password_file))
    if settings.rpc_url is None:
        embedded(settings).fund(str(account.address))
    prover = ZkProver(find_binary(settings.zkprover), progress=progress)
    keys = []
    for kind, size, depth in (("epoch", slots, 0), ("tree", tree_slots(slots), 5), ("tree", tree_slots(slots), 6)):
        progress(f"{kind} key, {size} slots" + (f", depth {depth}" if depth else ""))
        cache = settings.cache / "keys"
        folder = ceremony_key(cache, kind, size, depth) if ceremony else ensure_keys(prover, cache, kind, size, depth)
        keys.append((kind, size, depth, folder.words))
    current = _current(settings, rpc)
    wanted = {"0x" + vk_id(words).hex() for *_, words in keys}
    if current is not None and current.sources == sources_digest() and {k.vk_id for k in current.keys} == wanted:
        return current
    progress("contracts")
    deployment = deploy(rpc, manager_for(settings, rpc, account), keys)
    deployment.save(deployment_path(settings))
    return deployment


def _current(settings: Settings, rpc: object) -> Deployment | None:
    """The recorded deployment, if this chain still has it."""
    from provenance._chain.web3_adapter import Rpc

    try:
        deployment = Deployment.load(deployment_path(settings))
        if isinstance(rpc, Rpc):
            require_same_chain(rpc, deployment)
    except ProvenanceError:
        return None  # none recorded, or of another chain: deploy anew
    return deployment


def write_trust(settings: Settings, deployment: Deployment, path: Path, key: str) -> None:
    """A trust file for one's own deployment: this chain, these contracts, their keys, one's own key as publisher."""
    text = render(
        "local" if settings.rpc_url is None else "test",
        deployment.chain_id,
        deployment.genesis,
        Contract(deployment.registry, deployment.registry_code_hash),
        Contract(deployment.ledger, deployment.ledger_code_hash),
        tuple(_trusted_key(settings, k.vk_id, k.kind) for k in deployment.keys),
        (Publisher(address_of(key_path(settings, key)), key),),
    )
    write_atomically(path, text.encode())


def _trusted_key(settings: Settings, name: str, kind: str) -> Key:
    """The key as its folder in the cache says: of a development setup, or of the ceremony with this transcript."""
    folder = find_key(settings.cache / "keys", bytes.fromhex(name[2:]))
    return Key(name, kind, folder.klass, folder.transcript)
