"""Deploying verifying keys and the contracts, and the record of where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance.chain.contracts import Addresses, abi_of, artifact, code_hash
from provenance.chain.transactions import TransactionManager
from provenance.chain.web3_adapter import Rpc, checksum_address, keccak
from provenance.errors import ConfigError, InputError, UnavailableError
from provenance.layout import read_json, write_json
from provenance.statements import ContractName, kind_named, kinds_of

FORMAT = "provenance-deployment/1"
MAX_KEY_BYTES = 24_575  # EIP-170 limit of contract code, less the leading zero byte


@dataclass(frozen=True)
class DeployedKey:
    """A verifying key on chain: `vk_id` and `address` in 0x hex, kind, slots, depth (0 for epoch)."""

    vk_id: str
    address: str
    kind: str
    slots: int
    depth: int


@dataclass(frozen=True)
class Deployment:
    chain_id: int
    genesis: str
    registry: str
    ledger: str
    registry_code_hash: str
    ledger_code_hash: str
    audits: str
    audits_code_hash: str
    models: str
    models_code_hash: str
    block: int
    sources: str  # digest of the contracts' sources, so that another version deploys anew
    keys: tuple[DeployedKey, ...]

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.registry, self.ledger, self.audits, self.models)

    def key(self, kind: str, slots: int | None = None, depth: int | None = None) -> DeployedKey:
        """The deployed key of a kind.

        Raises:
            ConfigError: the ledger has none such; keys are constructor arguments, so none can be added.
        """
        for key in self.keys:
            if key.kind == kind and slots in (None, key.slots) and depth in (None, key.depth):
                return key
        asked = [
            f"{value} {what}"
            for value, what in ((slots, "slots"), (depth, "deep"))
            if value is not None
        ]
        raise ConfigError(
            "contracts have no such key",
            where=f"ledger {self.ledger}",
            expected=", ".join([f"{kind} key", *asked]),
            actual=", ".join(f"{k.kind}-{k.slots}-{k.depth}" for k in self.keys),
            hint=f"provenance chain deploy {_option(kind)}",
        )

    def save(self, path: Path) -> None:
        write_json(path, {"format": FORMAT} | asdict(self))

    @classmethod
    def load(cls, path: Path) -> Deployment:
        try:
            value = read_json(path)
            value.pop("format")
            keys = tuple(DeployedKey(**k) for k in value.pop("keys"))
            return cls(keys=keys, **value)
        except (KeyError, TypeError) as error:
            raise ConfigError(
                "not a deployment file of this version",
                where=str(path),
                hint="provenance chain deploy",
            ) from error


def _option(kind: str) -> str:
    """What makes `chain deploy` deploy keys of a kind."""
    contract = kind_named(kind).contract
    if contract == "ModelLedger":
        return f"--model-keys {model_key_form(kind)}"
    return "--audit-keys" if contract == "DatasetAudits" else "--slots N"


def model_key_form(kind: str) -> str:
    """How `--model-keys` names a key of a kind."""
    return f"{kind}:LEVELS:RANK" if kind_named(kind).ranked else f"{kind}:LEVELS"


def key_init_code(words: bytes) -> bytes:
    """Init code that deploys `0x00 || words`: PUSH2 n, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN."""
    if len(words) % 32 or not 0 < len(words) <= MAX_KEY_BYTES:
        raise InputError(
            "not a verifying key",
            expected=f"32-byte words, at most {MAX_KEY_BYTES} bytes",
            actual=len(words),
        )
    runtime = b"\0" + words
    return b"\x61" + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600c6000396000f3") + runtime


def sources_digest() -> str:
    """Digest of the sources that this package's bytecode was compiled from."""
    return str(artifact("ProofLedger")["sourceDigest"])


def deploy_key(manager: TransactionManager, words: bytes) -> str:
    vk_id = "0x" + keccak(words).hex()
    return _deploy(manager, f"key:{vk_id}", key_init_code(words))


def _deploy(manager: TransactionManager, label: str, code: bytes) -> str:
    receipt = manager.send(label, None, code)
    if receipt.contract_address is None:
        raise UnavailableError("receipt names no contract", where=label)
    return receipt.contract_address.lower()


def _contract_code(name: str, args: Sequence[Any]) -> bytes:
    return bytes.fromhex(artifact(name)["bytecode"].removeprefix("0x")) + abi_of(
        name
    ).encode_constructor(args)


def deploy_pinning(
    manager: TransactionManager, name: ContractName, parent: str, keys: Sequence[DeployedKey]
) -> str:
    """A contract that names another one and, of these keys, those of its own kinds."""
    own = kinds_of(name)
    pins = [
        (bytes.fromhex(k.vk_id[2:]), checksum_address(k.address)) for k in keys if k.kind in own
    ]
    code = _contract_code(name, [checksum_address(parent), pins])
    return _deploy(manager, f"{name}:{keccak(code).hex()}", code)


def deploy(
    rpc: Rpc, manager: TransactionManager, keys: Sequence[tuple[str, int, int, bytes]]
) -> Deployment:
    """Deploy keys and contracts; running it again after a crash goes on where it stopped.

    Args:
        keys: (kind, slots, depth, words) of each verifying key; each contract pins those of its own kinds.

    Raises:
        InputError: a kind that is not in the table; nothing is sent then.
    """
    for kind, *_ in keys:
        kind_named(kind)
    deployed = []
    for kind, slots, depth, words in keys:
        address = deploy_key(manager, words)
        deployed.append(DeployedKey("0x" + keccak(words).hex(), address, kind, slots, depth))
    registry_code = _contract_code("ProvenanceRegistry", ["0x" + "00" * 20])
    registry = _deploy(manager, f"registry:{keccak(registry_code).hex()}", registry_code)
    ledger = deploy_pinning(manager, "ProofLedger", registry, deployed)
    audits = deploy_pinning(manager, "DatasetAudits", ledger, deployed)
    models = deploy_pinning(manager, "ModelLedger", registry, deployed)
    return Deployment(
        chain_id=rpc.chain_id(),
        genesis="0x" + rpc.block(0).hash.hex(),
        registry=registry,
        ledger=ledger,
        registry_code_hash=code_hash(rpc, registry),
        ledger_code_hash=code_hash(rpc, ledger),
        audits=audits,
        audits_code_hash=code_hash(rpc, audits),
        models=models,
        models_code_hash=code_hash(rpc, models),
        block=rpc.block("latest").number,
        sources=sources_digest(),
        keys=tuple(deployed),
    )


def require_same_chain(rpc: Rpc, deployment: Deployment) -> None:
    """Check that the endpoint is the chain that was deployed to.

    Raises:
        ConfigError: another chain id or genesis, or no contract code at the pinned address.
    """
    genesis = "0x" + rpc.block(0).hash.hex()
    for what, expected, actual in (
        ("chain id differs", deployment.chain_id, rpc.chain_id()),
        ("genesis block differs", deployment.genesis, genesis),
        (
            "registry code differs",
            deployment.registry_code_hash,
            code_hash(rpc, deployment.registry),
        ),
        ("ledger code differs", deployment.ledger_code_hash, code_hash(rpc, deployment.ledger)),
        ("audits code differs", deployment.audits_code_hash, code_hash(rpc, deployment.audits)),
        ("models code differs", deployment.models_code_hash, code_hash(rpc, deployment.models)),
    ):
        if expected != actual:
            raise ConfigError(
                f"wrong chain: {what}",
                where=rpc.url,
                expected=expected,
                actual=actual,
                hint="was the chain's state wiped? provenance chain deploy",
            )
