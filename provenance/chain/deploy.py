"""Deploying verifying keys and the contracts, and the record of where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance.chain.artifact import abi_of, artifact, code_hash
from provenance.chain.transactions import TransactionManager
from provenance.chain.web3_adapter import Rpc, checksum_address, keccak
from provenance.errors import ConfigError, InputError, UnavailableError
from provenance.ids import NO_ADDRESS, Address, KeyId, from_hex, to_hex
from provenance.judgement.facts import CONTRACTS, ChainIdentity, Contract
from provenance.layout import read_json, write_json
from provenance.statements import ContractName, kind_named, kinds_of

FORMAT = "provenance-deployment/1"
MAX_KEY_BYTES = 24_575  # EIP-170 limit of contract code, less the leading zero byte


@dataclass(frozen=True)
class DeployedKey:
    """A verifying key on chain: `vk_id` and `address` as `0x` text; `depth` is 0 for epoch keys."""

    vk_id: str
    address: str
    kind: str
    slots: int
    depth: int


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are, and which keys they pin.

    `contracts` has every name of CONTRACTS. `block` is the newest block after deploying. `sources`
    is the digest of the contracts' sources: another version of them must be deployed anew.
    """

    chain_id: int
    genesis: str
    contracts: Mapping[str, Contract]
    block: int
    sources: str
    keys: tuple[DeployedKey, ...]

    @property
    def chain(self) -> ChainIdentity:
        """What a trust file for this deployment pins."""
        return ChainIdentity(self.chain_id, self.genesis, self.contracts)

    @property
    def addresses(self) -> dict[str, Address]:
        """Address of each contract by its name."""
        return {name: contract.address for name, contract in self.contracts.items()}

    @property
    def registry(self) -> Address:
        """Where ProvenanceRegistry is."""
        return self.contracts["registry"].address

    @property
    def ledger(self) -> Address:
        """Where ProofLedger is."""
        return self.contracts["ledger"].address

    @property
    def audits(self) -> Address:
        """Where DatasetAudits is."""
        return self.contracts["audits"].address

    @property
    def models(self) -> Address:
        """Where ModelLedger is."""
        return self.contracts["models"].address

    def key(self, kind: str, slots: int | None = None, depth: int | None = None) -> DeployedKey:
        """The deployed key of a kind; `slots` and `depth` are compared unless None.

        Raises:
            ConfigError: there is none. Contracts take their keys only when they are deployed.
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
        """Write the deployment file; durable on return."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "genesis": self.genesis,
            "block": self.block,
            "sources": self.sources,
            "keys": [asdict(key) for key in self.keys],
        }
        for name, contract in self.contracts.items():
            value |= {name: contract.address, f"{name}_code_hash": contract.code_hash}
        write_json(path, value)

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Read a deployment file.

        Raises:
            NotFound: no such file.
            ConfigError: a file of another version.
        """
        try:
            value = read_json(path)
            value.pop("format")
            keys = tuple(DeployedKey(**k) for k in value.pop("keys"))
            contracts = {
                name: Contract(Address(value.pop(name)), value.pop(f"{name}_code_hash"))
                for name in CONTRACTS
            }
            return cls(keys=keys, contracts=contracts, **value)
        except (KeyError, TypeError) as error:
            raise ConfigError(
                "not a deployment file of this version",
                where=str(path),
                hint="provenance chain deploy",
            ) from error


def _option(kind: str) -> str:
    """The option with which `chain deploy` deploys keys of a kind."""
    contract = kind_named(kind).contract
    if contract == "ModelLedger":
        return f"--model-keys {model_key_form(kind)}"
    return "--audit-keys" if contract == "DatasetAudits" else "--slots N"


def model_key_form(kind: str) -> str:
    """How `--model-keys` names a key of a kind."""
    return f"{kind}:LEVELS:RANK" if kind_named(kind).ranked else f"{kind}:LEVELS"


def key_init_code(words: bytes) -> bytes:
    """Init code that deploys `0x00 || words`.

    PUSH2 n, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN.

    Raises:
        InputError: not whole words, or more than a contract's code may have.
    """
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


def deploy_key(manager: TransactionManager, words: bytes) -> Address:
    """Put a verifying key on chain; returns its address, the old one if it was deployed before."""
    return _deploy(manager, f"key:{key_id(words)}", key_init_code(words))


def key_id(words: bytes) -> KeyId:
    """The id of a verifying key, from its words."""
    return KeyId(keccak(words))


def _deploy(manager: TransactionManager, label: str, code: bytes) -> Address:
    receipt = manager.send(label, None, code)
    if receipt.contract_address is None:
        raise UnavailableError("receipt names no contract", where=label)
    return Address(receipt.contract_address)


def _contract_code(name: str, args: Sequence[Any]) -> bytes:
    return from_hex(artifact(name)["bytecode"]) + abi_of(name).encode_constructor(args)


def deploy_pinning(
    manager: TransactionManager, name: ContractName, parent: str, keys: Sequence[DeployedKey]
) -> Address:
    """Deploy a contract that reads `parent` and pins those of `keys` that are of its kinds."""
    own = kinds_of(name)
    pins = [(KeyId.parse(k.vk_id), checksum_address(k.address)) for k in keys if k.kind in own]
    code = _contract_code(name, [checksum_address(parent), pins])
    return _deploy(manager, f"{name}:{keccak(code).hex()}", code)


def deploy(
    rpc: Rpc, manager: TransactionManager, keys: Sequence[tuple[str, int, int, bytes]]
) -> Deployment:
    """Deploy keys and contracts; a second call after a crash goes on where the first one stopped.

    Args:
        keys: (kind, slots, depth, words) of each verifying key; each contract pins its own kinds.

    Raises:
        InputError: a kind that is not in the table; nothing is sent then.
        RejectedError, UnavailableError, OutcomeUnknown: as `TransactionManager.send`.
    """
    for kind, *_ in keys:
        kind_named(kind)
    deployed = [
        DeployedKey(str(key_id(words)), deploy_key(manager, words), kind, slots, depth)
        for kind, slots, depth, words in keys
    ]
    registry_code = _contract_code("ProvenanceRegistry", [NO_ADDRESS])
    registry = _deploy(manager, f"registry:{keccak(registry_code).hex()}", registry_code)
    ledger = deploy_pinning(manager, "ProofLedger", registry, deployed)
    addresses = {
        "registry": registry,
        "ledger": ledger,
        "audits": deploy_pinning(manager, "DatasetAudits", ledger, deployed),
        "models": deploy_pinning(manager, "ModelLedger", registry, deployed),
    }
    return Deployment(
        chain_id=rpc.chain_id(),
        genesis=to_hex(rpc.block(0).hash),
        contracts={name: Contract(at, code_hash(rpc, at)) for name, at in addresses.items()},
        block=rpc.block("latest").number,
        sources=sources_digest(),
        keys=tuple(deployed),
    )


def require_same_chain(rpc: Rpc, deployment: Deployment) -> None:
    """Check that the endpoint's chain is the one that the deployment file describes.

    Raises:
        ConfigError: another chain id or genesis, or other code at an address.
    """
    compared: list[tuple[str, object, object]] = [
        ("chain id differs", deployment.chain_id, rpc.chain_id()),
        ("genesis block differs", deployment.genesis, to_hex(rpc.block(0).hash)),
    ]
    for name, contract in deployment.contracts.items():
        actual = code_hash(rpc, contract.address)
        compared.append((f"{name} code differs", contract.code_hash, actual))
    for what, expected, found in compared:
        if expected != found:
            raise ConfigError(
                f"wrong chain: {what}",
                where=rpc.url,
                expected=expected,
                actual=found,
                hint="was the chain's state wiped? provenance chain deploy",
            )
