"""Composition for `provenance chain deploy`: keys from the prover or a ceremony, contracts from this package, a trust file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance.chain.deploy import (
    Deployment,
    deploy,
    model_key_form,
    require_same_chain,
    sources_digest,
)
from provenance.chain.session import (
    connect,
    deployment_path,
    embedded,
    key_path,
    manager_for,
)
from provenance.errors import ConfigError, ProvenanceError
from provenance.judgement.trust import Key, Publisher, render
from provenance.layout import write_atomically
from provenance.progress import Say
from provenance.settings import Settings
from provenance.signing import address_of, load_key, read_password
from provenance.statements import KINDS, MAX_LEVELS, RANK_UNIT, RANKS, kinds_of
from provenance_zk.prover.keys import (
    EPOCH_SLOTS,
    SORTED_SLOTS,
    TEST_SORTED_SLOTS,
    TEST_TREE_SLOTS,
    TREE_SLOTS,
    ceremony_key,
    ensure_keys,
    find_key,
    vk_id,
)

SMALL_DEPTH, LARGE_DEPTH = 5, 6  # of a dataset's tree: up to 16^5 records, and above

KeyShape = tuple[str, int, int]  # kind, slots, depth


def tree_slots(slots: int) -> int:
    """Leaves per `tree` chunk that go with an epoch key: 256 for the test key, else 4,096."""
    return TEST_TREE_SLOTS if slots == TEST_TREE_SLOTS else TREE_SLOTS


def audit_keys(slots: int, large: bool) -> list[KeyShape]:
    """Keys of the statements about datasets that go with an epoch key; `large` adds those for more than 16^5 records."""
    chunk = TEST_SORTED_SLOTS if slots == TEST_TREE_SLOTS else SORTED_SLOTS
    depths = (SMALL_DEPTH, LARGE_DEPTH) if large else (SMALL_DEPTH,)
    return [
        (kind, size, depth)
        for kind, size in (("sorted", chunk), ("member", 1), ("absent", 1))
        for depth in depths
    ]


def model_keys(text: str) -> list[KeyShape]:
    """Keys of the statements about weights from a list such as `q8_0:3,merge:3:8` (kind:levels, and the rank for merge).

    Raises:
        ConfigError: not such a list, or no circuit of this shape.
    """
    return [_model_key(item) for item in text.split(",") if item.strip()]


def _model_key(item: str) -> KeyShape:
    kind, *numbers = item.strip().split(":")
    known = kinds_of("ModelLedger")
    if (
        kind not in known
        or len(numbers) != (2 if KINDS[kind].ranked else 1)
        or not all(n.isascii() and n.isdigit() for n in numbers)
    ):
        raise ConfigError(
            "not a key of a statement about weights",
            where="--model-keys",
            actual=item.strip()[:40],
            expected=" or ".join(map(model_key_form, known)),
        )
    statement = KINDS[kind]
    levels, rank = int(numbers[0]), int(numbers[1]) if statement.ranked else 0
    depth = levels + RANK_UNIT * rank
    if levels >= RANK_UNIT or not statement.fits(statement.blocks_per_proof, depth):
        raise ConfigError(
            "no circuit of this shape",
            where="--model-keys",
            actual=item.strip()[:40],
            expected=f"levels 1 to {MAX_LEVELS}, rank one of {', '.join(map(str, RANKS))}",
        )
    return kind, statement.blocks_per_proof, depth


def deploy_all(
    settings: Settings,
    slots: int,
    key: str,
    progress: Say,
    more: Sequence[KeyShape] = (),
    *,
    ceremony: bool = False,
) -> Deployment:
    """Keys (cached), then contracts; what is deployed already on this very chain is kept.

    Args:
        more: keys beside those of dataset and epochs, from `audit_keys` and `model_keys`.
        ceremony: take ceremony keys from the cache instead of development keys.

    Raises:
        ConfigError: no such number of slots.
        NotFound: no ceremony key of a wanted shape.
    """
    if slots not in EPOCH_SLOTS:
        raise ConfigError(
            "no key of this size",
            where="--slots",
            expected=", ".join(map(str, EPOCH_SLOTS)),
            actual=slots,
        )
    from provenance_zk.prover.client import ZkProver, find_binary

    rpc, _mine = connect(settings)
    account = load_key(key_path(settings, key), read_password(settings.password_file))
    if settings.rpc_url is None:
        embedded(settings).fund(str(account.address))
    prover = ZkProver(find_binary(settings.zkprover), progress=progress)
    keys = []
    trees = [("tree", tree_slots(slots), depth) for depth in (SMALL_DEPTH, LARGE_DEPTH)]
    for kind, size, depth in (("epoch", slots, 0), *trees, *more):
        progress(f"{kind} key, {size} slots" + (f", depth {depth}" if depth else ""))
        cache = settings.cache / "keys"
        folder = (
            ceremony_key(cache, kind, size, depth)
            if ceremony
            else ensure_keys(prover, cache, kind, size, depth)
        )
        keys.append((kind, size, depth, folder.words))
    current = _current(settings, rpc)
    wanted = {"0x" + vk_id(words).hex() for *_, words in keys}
    if (
        current is not None
        and current.sources == sources_digest()
        and {k.vk_id for k in current.keys} == wanted
    ):
        return current
    progress("contracts")
    deployment = deploy(rpc, manager_for(settings, rpc, account), keys)
    deployment.save(deployment_path(settings))
    return deployment


def _current(settings: Settings, rpc: object) -> Deployment | None:
    """The recorded deployment, if this chain still has it."""
    from provenance.chain.web3_adapter import Rpc

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
        deployment.chain,
        tuple(_trusted_key(settings, k.vk_id, k.kind) for k in deployment.keys),
        (Publisher(address_of(key_path(settings, key)), key),),
    )
    write_atomically(path, text.encode())


def _trusted_key(settings: Settings, name: str, kind: str) -> Key:
    """The key as its folder in the cache says: of a development setup, or of the ceremony with this transcript."""
    folder = find_key(settings.cache / "keys", bytes.fromhex(name[2:]))
    return Key(name, kind, folder.klass, folder.transcript)
