"""Deploying verifying keys and the contracts, and the record of where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance.chain.abi import checksum_address, keccak
from provenance.chain.artifact import abi_of, artifact, code_hash
from provenance.chain.rpc import Rpc
from provenance.chain.transactions import TransactionManager
from provenance.errors import ConfigError, InputError, UnavailableError
from provenance.ids import NO_ADDRESS, Address, KeyId, from_hex, to_hex
from provenance.judgement.facts import CONTRACTS, ChainIdentity, Contract
from provenance.layout import read_json, write_json
from provenance.statements import ContractName, key_text, kind_named, kinds_of

FORMAT = "provenance-deployment/1"
MAX_KEY_BYTES = 24_575  # EIP-170 limit of contract code, less the leading zero byte
_NO_CODE = to_hex(keccak(b""))
DEFAULT_SLOTS = 256  # of the epoch key that `chain deploy` makes unless it is told otherwise
SMALL_DEPTH = 5  # of the tree of a dataset of up to 16^5 records

_LATER = ("attestations",)
"""Contracts that deployments of earlier releases lack."""

_Wanted = tuple[str, int | None, int | None]  # kind, slots, depth; None where any will do


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

    `contracts` has every name of CONTRACTS; `attestations` is missing from deployments of earlier
    releases. `block` is the newest block after deploying. `sources`
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

    @property
    def attestations(self) -> Address | None:
        """Where ReplayAttestations is; None in a deployment of an earlier release."""
        found = self.contracts.get("attestations")
        return None if found is None else found.address

    def key(self, kind: str, slots: int | None = None, depth: int | None = None) -> DeployedKey:
        """The deployed key of a kind; `slots` and `depth` are compared unless None.

        Raises:
            ConfigError: there is none. Contracts take their keys only when they are deployed.
        """
        for key in self.keys:
            if key.kind == kind and slots in (None, key.slots) and depth in (None, key.depth):
                return key
        raise self._lacks([(kind, slots, depth)])

    def require_keys(self, shapes: Sequence[tuple[str, int, int]]) -> None:
        """Check that the contracts pin a key of each (kind, slots, depth).

        Raises:
            ConfigError: some are missing; it names all of them, and the command that deploys them.
        """
        pinned = {(key.kind, key.slots, key.depth) for key in self.keys}
        missing = [shape for shape in dict.fromkeys(shapes) if shape not in pinned]
        if missing:
            raise self._lacks(missing)

    def _lacks(self, missing: Sequence[_Wanted]) -> ConfigError:
        pinned = [key_text(k.kind, k.slots, k.depth) for k in self.keys]
        return ConfigError(
            "contracts lack a key" if len(missing) == 1 else f"contracts lack {len(missing)} keys",
            where=f"ledger {self.ledger}",
            expected="; ".join(key_text(*shape) for shape in missing),
            actual="; ".join(pinned),
            hint=f"{self.command(missing)} --trust-out FILE, the new trust file",
        )

    def command(self, missing: Sequence[_Wanted] = ()) -> str:
        """What deploys the pinned keys and the missing ones: contracts take all keys at once."""
        have: list[_Wanted] = [(k.kind, k.slots, k.depth) for k in self.keys]
        words = ["provenance chain deploy"]
        sizes = [slots for kind, slots, _ in (*missing, *have) if kind == "epoch"]
        if sizes and sizes[0] != DEFAULT_SLOTS:
            words.append(f"--slots {sizes[0] or 'N'}")
        audits = [shape for shape in (*have, *missing) if _contract(shape) == "DatasetAudits"]
        if not audits:
            words.append("--no-audit-keys")
        elif any(_contract(shape) == "DatasetAudits" for shape in missing):
            words.append("--audit-keys")
        if any((depth or 0) > SMALL_DEPTH for _, _, depth in audits):
            words.append("--large")
        models = [key_text(*s) for s in (*have, *missing) if _contract(s) == "ModelLedger"]
        words.append(f"--model-keys {','.join(dict.fromkeys(models)) or repr('')}")
        return " ".join(words)

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
                if name not in _LATER or name in value
            }
            return cls(keys=keys, contracts=contracts, **value)
        except (KeyError, TypeError) as error:
            raise ConfigError(
                "not a deployment file of this version",
                where=str(path),
                hint="provenance chain deploy",
            ) from error


def restore_hint(deployment: Deployment) -> str:
    """How to get proving keys back: from a copy, or by contracts with new ones."""
    return (
        "restore the cache from a copy, for development keys differ per machine; or "
        f"{deployment.command()} --trust-out FILE, which makes new keys and contracts"
    )


def _contract(shape: _Wanted) -> ContractName:
    return kind_named(shape[0]).contract


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


def _deploy_alone(manager: TransactionManager, label: str, name: str, *args: Any) -> Address:
    """Deploy a contract that pins no keys."""
    code = _contract_code(name, args)
    return _deploy(manager, f"{label}:{keccak(code).hex()}", code)


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


def _unchanged(old: Deployment, keys: Sequence[DeployedKey]) -> dict[str, Address]:
    """The contracts of a deployment that would pin the same keys again, below the same parent."""
    kept = {"registry": old.registry}
    if old.attestations is not None:
        kept["attestations"] = old.attestations
    if _same_keys("ProofLedger", old.keys, keys):
        kept["ledger"] = old.ledger
        if _same_keys("DatasetAudits", old.keys, keys):
            kept["audits"] = old.audits
    if _same_keys("ModelLedger", old.keys, keys):
        kept["models"] = old.models
    return kept


def _same_keys(name: ContractName, *lists: Sequence[DeployedKey]) -> bool:
    """Whether a contract pins the same keys of each list."""
    own = kinds_of(name)
    return len({frozenset(key.vk_id for key in keys if key.kind in own) for keys in lists}) == 1


def deploy(
    rpc: Rpc,
    manager: TransactionManager,
    keys: Sequence[tuple[str, int, int, bytes]],
    old: Deployment | None = None,
) -> Deployment:
    """Deploy keys and contracts; a second call after a crash goes on where the first one stopped.

    Args:
        keys: (kind, slots, depth, words) of each verifying key; each contract pins its own kinds.
        old: a deployment of these sources on this chain. Its registry is kept, and each other
            contract whose keys and parent are the same.

    Raises:
        InputError: a kind that is not in the table; nothing is sent then.
        RejectedError, UnavailableError, OutcomeUnknown: as `TransactionManager.send`.
    """
    for kind, *_ in keys:
        kind_named(kind)
    known = {} if old is None else {key.vk_id: key.address for key in old.keys}
    deployed = []
    for kind, slots, depth, words in keys:
        vk_id = str(key_id(words))
        address = known.get(vk_id) or deploy_key(manager, words)
        deployed.append(DeployedKey(vk_id, address, kind, slots, depth))
    kept = {} if old is None else _unchanged(old, deployed)
    registry = kept.get("registry") or _deploy_alone(
        manager, "registry", "ProvenanceRegistry", NO_ADDRESS
    )
    ledger = kept.get("ledger") or deploy_pinning(manager, "ProofLedger", registry, deployed)
    audits = kept.get("audits") or deploy_pinning(manager, "DatasetAudits", ledger, deployed)
    models = kept.get("models") or deploy_pinning(manager, "ModelLedger", registry, deployed)
    attestations = kept.get("attestations") or _deploy_alone(
        manager, "attestations", "ReplayAttestations"
    )
    addresses = {
        "registry": registry,
        "ledger": ledger,
        "audits": audits,
        "models": models,
        "attestations": attestations,
    }
    return Deployment(
        chain_id=rpc.chain_id(),
        genesis=to_hex(rpc.block(0).hash),
        contracts={name: Contract(at, code_hash(rpc, at)) for name, at in addresses.items()},
        block=rpc.block("latest").number,
        sources=sources_digest(),
        keys=tuple(deployed),
    )


@dataclass(frozen=True)
class Discrepancy:
    """Where an endpoint's chain is not the one that was deployed to: `contract` or the chain."""

    what: str
    expected: object
    actual: object
    contract: str | None = None


def discrepancies(rpc: Rpc, deployment: Deployment) -> list[Discrepancy]:
    """Everything that keeps an endpoint from being the chain that was deployed to.

    The code is not asked for on another chain: what lies at these addresses there says nothing.
    """
    identity = [
        ("chain id differs", deployment.chain_id, rpc.chain_id()),
        ("genesis block differs", deployment.genesis, to_hex(rpc.block(0).hash)),
    ]
    found = [Discrepancy(what, want, have) for what, want, have in identity if want != have]
    for name, contract in () if found else deployment.contracts.items():
        actual = code_hash(rpc, contract.address)
        if actual == _NO_CODE:
            what = f"no contract is at the address of {name}"
            found.append(Discrepancy(what, contract.address, "no code", name))
        elif actual != contract.code_hash:
            found.append(Discrepancy(f"{name} code differs", contract.code_hash, actual, name))
    return found


def require_same_chain(rpc: Rpc, deployment: Deployment) -> None:
    """Check that the endpoint's chain is the one that the deployment file describes.

    Raises:
        ConfigError: another chain id or genesis, or other code at an address.
    """
    for first in discrepancies(rpc, deployment)[:1]:
        hint = "was the chain's state wiped? provenance chain deploy"
        if first.contract is None:
            hint = "does PROVENANCE_RPC_URL name another chain? " + hint
        raise ConfigError(
            f"wrong chain: {first.what}",
            where=rpc.url,
            expected=first.expected,
            actual=first.actual,
            hint=hint,
        )
