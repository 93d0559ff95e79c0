"""Make or find keys, deploy this package's contracts, and write a trust file for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provenance.chain.deploy import (
    SMALL_DEPTH,
    DeployedKey,
    Deployment,
    deploy,
    require_same_chain,
    sources_digest,
)
from provenance.chain.rpc import Rpc
from provenance.chain.session import (
    connect,
    deployment_path,
    embedded,
    key_path,
    manager_for,
)
from provenance.errors import ConfigError, ProvenanceError, UnavailableError
from provenance.ids import KeyId, to_hex
from provenance.judgement.trust import LOCAL_CHAINS, Key, Publisher
from provenance.judgement.trust_file import load_trust, render
from provenance.layout import write_atomically
from provenance.progress import Say
from provenance.settings import Settings
from provenance.signing.keystore import address_of, load_key, read_password
from provenance.statements import KINDS, MAX_LEVELS, RANK_UNIT, RANKS, key_text, kinds_of
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import (
    EPOCH_SLOTS,
    SORTED_SLOTS,
    TEST_SORTED_SLOTS,
    TEST_TREE_SLOTS,
    TREE_SLOTS,
    KeyFolder,
    cached_keys,
    ceremony_key,
    ensure_keys,
    find_key,
)

LARGE_DEPTH = SMALL_DEPTH + 1  # of the tree of a dataset of more than 16^5 records

KeyShape = tuple[str, int, int]  # kind, slots, depth


def tree_slots(slots: int) -> int:
    """Leaves per `tree` chunk for an epoch key of `slots`: 256 for the test key, else 4,096."""
    return TEST_TREE_SLOTS if slots == TEST_TREE_SLOTS else TREE_SLOTS


def audit_keys(slots: int, large: bool) -> list[KeyShape]:
    """Keys for statements about datasets, for an epoch key of `slots`.

    Args:
        large: add keys for datasets of more than 16^5 records.
    """
    chunk = TEST_SORTED_SLOTS if slots == TEST_TREE_SLOTS else SORTED_SLOTS
    depths = (SMALL_DEPTH, LARGE_DEPTH) if large else (SMALL_DEPTH,)
    return [
        (kind, size, depth)
        for kind, size in (("sorted", chunk), ("member", 1), ("absent", 1))
        for depth in depths
    ]


def model_keys(text: str) -> list[KeyShape]:
    """Keys for statements about weights, from a list such as `q8_0:3,merge:3:8`.

    An item is kind:levels, and for merge kind:levels:rank.

    Raises:
        ConfigError: it is no such list, or there is no circuit of such a shape.
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
            "not a key for a statement about weights",
            where="--model-keys",
            actual=item.strip()[:40],
            expected=" or ".join(key_text(name, None, None) for name in known),
        )
    statement = KINDS[kind]
    levels, rank = int(numbers[0]), int(numbers[1]) if statement.ranked else 0
    depth = levels + RANK_UNIT * rank
    if levels >= RANK_UNIT or not statement.fits(statement.blocks_per_proof, depth):
        raise ConfigError(
            "there is no circuit of this shape",
            where="--model-keys",
            actual=item.strip()[:40],
            expected=f"levels 1 to {MAX_LEVELS}, rank one of {', '.join(map(str, RANKS))}",
        )
    return kind, statement.blocks_per_proof, depth


@dataclass(frozen=True)
class Wanted:
    """Which keys a deployment pins.

    slots: slots of the epoch key, which also decide the slots of the tree keys.
    more: keys beside the epoch and tree keys, from `audit_keys` and `model_keys`.
    ceremony: take ceremony keys from the cache; else development keys are made.
    deployed: keys that contracts pin already, and that new contracts pin again.
    """

    slots: int
    more: tuple[KeyShape, ...] = ()
    ceremony: bool = False
    deployed: tuple[DeployedKey, ...] = ()

    def __post_init__(self) -> None:
        if self.slots not in EPOCH_SLOTS:
            raise ConfigError(
                "there is no epoch key with so many slots",
                where="--slots",
                expected=", ".join(map(str, EPOCH_SLOTS)),
                actual=self.slots,
            )

    @property
    def shapes(self) -> list[KeyShape]:
        """The shapes of all keys, in the order of their deployment.

        New ones come first: of several epoch keys, the first is used.
        """
        trees = [("tree", tree_slots(self.slots), depth) for depth in (SMALL_DEPTH, LARGE_DEPTH)]
        wanted = dict.fromkeys((("epoch", self.slots, 0), *trees, *self.more))
        return [*(shape for shape in wanted if shape not in self.pinned), *self.pinned]

    @property
    def pinned(self) -> dict[KeyShape, str]:
        """Ids of the deployed keys by their shapes."""
        return {(k.kind, k.slots, k.depth): k.vk_id for k in self.deployed}

    def are_cached(self, cache: Path) -> bool:
        """Whether the cache has a key of each shape. The prover checks a key when it uses it."""
        klass, pinned = "ceremony" if self.ceremony else "dev", self.pinned.values()
        found = {
            (k.kind, k.slots, k.depth)
            for k in cached_keys(cache)
            if k.klass == klass or to_hex(k.vk_id) in pinned
        }
        return set(self.shapes) <= found


def make_keys(settings: Settings, wanted: Wanted, progress: Say) -> list[KeyFolder]:
    """The wanted keys. Development keys that the cache lacks are made.

    Raises:
        NotFound: the cache lacks a ceremony key of a wanted shape.
    """
    prover = ZkProver(find_binary(settings.zkprover), progress=progress)
    cache, keys, pinned = settings.cache / "keys", [], wanted.pinned
    cached = {to_hex(key.vk_id): key for key in cached_keys(cache)} if pinned else {}
    for kind, size, depth in wanted.shapes:
        progress(f"key {key_text(kind, size, depth)}")
        # The key that is deployed already, not another one of its shape.
        key = cached.get(pinned.get((kind, size, depth), ""))
        if key is None and wanted.ceremony:
            key = ceremony_key(cache, kind, size, depth)
        keys.append(key or ensure_keys(prover, cache, kind, size, depth))
    return keys


def deploy_all(
    settings: Settings, wanted: Wanted, progress: Say, key: str = "default"
) -> Deployment:
    """Make or find the keys, then deploy the contracts.

    A deployment on this chain that pins exactly these keys is kept; of another one, each contract
    that pins exactly its share of them.

    Args:
        key: name of the signing key.

    Raises:
        NotFound: the cache lacks a ceremony key of a wanted shape.
        UnavailableError: the chain is out of reach, or the account has no funds on it.
    """
    rpc = connect(settings, progress)
    account = load_key(key_path(settings, key), read_password(settings.password_file))
    if settings.rpc_url is None:
        embedded(settings).fund(str(account.address))
    keys = make_keys(settings, wanted, progress)
    current = current_deployment(settings, rpc)
    if current is not None and {k.vk_id for k in current.keys} == {to_hex(k.vk_id) for k in keys}:
        return current
    require_funds(rpc, str(account.address))
    progress("contracts")
    words = [(k.kind, k.slots, k.depth, k.words) for k in keys]
    deployment = deploy(rpc, manager_for(settings, rpc, account), words, current)
    deployment.save(deployment_path(settings))
    return deployment


def require_funds(rpc: Rpc, address: str) -> None:
    """Check that an account has funds.

    Raises:
        UnavailableError: its balance is zero.
    """
    if rpc.balance_wei(address) == 0:
        raise UnavailableError(
            "the signing key's account has no funds",
            where=f"chain {rpc.chain_id()}",
            actual=address.lower(),
            hint="send funds to it and run again",
        )


def current_deployment(settings: Settings, rpc: Rpc) -> Deployment | None:
    """The recorded deployment, if it is on this chain and of this package's contracts."""
    try:
        deployment = Deployment.load(deployment_path(settings))
        require_same_chain(rpc, deployment)
    except ProvenanceError:
        return None  # no deployment is recorded, or it is on another chain: deploy anew
    return deployment if deployment.sources == sources_digest() else None


def trust_text(settings: Settings, deployment: Deployment, key: str) -> str:
    """A trust file for one's own deployment, with one's own key as publisher."""
    return render(
        "local" if deployment.chain.chain_id in LOCAL_CHAINS else "test",
        deployment.chain,
        tuple(_trusted_key(settings, k.vk_id, k.kind) for k in deployment.keys),
        (Publisher(address_of(key_path(settings, key)), key),),
    )


def write_trust(settings: Settings, deployment: Deployment, path: Path, key: str) -> None:
    """Write `trust_text` to a file."""
    write_atomically(path, trust_text(settings, deployment, key).encode())


def is_trusted(path: Path, deployment: Deployment, address: str) -> bool:
    """Whether a trust file has this deployment's contracts and keys, and this publisher."""
    try:
        trust = load_trust(path)
    except ProvenanceError:
        return False  # missing, or unreadable: it is written anew
    return (
        (trust.chain_id, trust.genesis) == (deployment.chain_id, deployment.genesis)
        and trust.contracts == deployment.contracts
        and all(trust.key(k.vk_id) is not None for k in deployment.keys)
        and address in {p.address for p in trust.publishers}
    )


def _trusted_key(settings: Settings, name: str, kind: str) -> Key:
    """A key for the trust file. Its folder in the cache says whether a ceremony made it."""
    folder = find_key(settings.cache / "keys", KeyId.parse(name))
    return Key(name, kind, folder.klass, folder.transcript)
