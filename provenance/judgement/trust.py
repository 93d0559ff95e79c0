"""The trust file: what a verifier believes before it looks at any evidence (docs/formats/trust.md).

It comes from `--trust`, PROVENANCE_TRUST or the user's configuration folder; never from the working
directory, the model's folder or a bundle. Verdicts print its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provenance.causes import cause_of, stand_in, yaml_cause
from provenance.digest import Digest, sha256
from provenance.errors import ConfigError, InputError
from provenance.ids import Address, from_hex, to_hex
from provenance.judgement.facts import CONTRACTS, ChainIdentity, Contract
from provenance.statements import KINDS

FORMAT = "provenance-trust/1"
KEY_KINDS = tuple(KINDS)
ALWAYS_PINNED = ("registry", "ledger")
ENVIRONMENTS = ("local", "test", "production")


@dataclass(frozen=True)
class Key:
    """A verifying key: `vk_id` as `0x` text, `kind` one of KEY_KINDS, `klass` dev or ceremony.

    `transcript` is the digest of the ceremony's transcript, None for a development key.
    """

    vk_id: str
    kind: str
    klass: str
    transcript: str | None = None


@dataclass(frozen=True)
class Publisher:
    """An account whose releases count, from `from_block` to `to_block` (inclusive; None: open)."""

    address: Address
    name: str
    from_block: int = 0
    to_block: int | None = None

    def covers(self, block: int) -> bool:
        """Whether a release in this block counts."""
        return self.from_block <= block and (self.to_block is None or block <= self.to_block)


@dataclass(frozen=True)
class Trust:
    """What a verifier believes.

    `genesis` is in lower case. `contracts` maps names of CONTRACTS to what is pinned; registry and
    ledger are always there. `confirmations` is for a chain without a `finalized` block: a block is
    final with so many blocks on top; None elsewhere. `digest` is the SHA-256 of the file.
    """

    environment: str
    chain_id: int
    genesis: str
    confirmations: int | None
    contracts: Mapping[str, Contract]
    keys: tuple[Key, ...]
    publishers: tuple[Publisher, ...]
    digest: Digest

    @property
    def chain(self) -> ChainIdentity:
        """The chain and the code that an endpoint must have."""
        return ChainIdentity(self.chain_id, self.genesis, self.contracts)

    @property
    def addresses(self) -> dict[str, Address]:
        """Address of each pinned contract by its name."""
        return {name: contract.address for name, contract in self.contracts.items()}

    def publisher(self, address: str, block: int) -> Publisher | None:
        """The publisher that an account (0x, either case) is at a block."""
        wanted = address.lower()
        return next((p for p in self.publishers if p.address == wanted and p.covers(block)), None)

    def key(self, vk_id: str) -> Key | None:
        """The pinned key of an id."""
        return next((k for k in self.keys if k.vk_id == vk_id), None)

    def first_difference(self, identity: ChainIdentity) -> tuple[str, str, str] | None:
        """(what, expected, actual) of the first thing in which a chain is not the pinned one.

        A contract that the trust file does not name is not compared: nothing is read from it.
        """
        compared = [
            ("chain id", str(self.chain_id), str(identity.chain_id)),
            ("genesis block", self.genesis, identity.genesis),
        ]
        for name, pinned in self.contracts.items():
            found = identity.contracts.get(name)
            address, code = (found.address, found.code_hash) if found else ("none", "none")
            compared.append((f"{name} address", pinned.address, address))
            compared.append((f"{name} code", pinned.code_hash, code))
        return next((row for row in compared if row[1] != row[2]), None)

    def to_yaml(self) -> str:
        """The file's text, which `parse_trust` reads back."""
        return render(self.environment, self.chain, self.keys, self.publishers, self.confirmations)


def render(
    environment: str,
    chain: ChainIdentity,
    keys: tuple[Key, ...],
    publishers: tuple[Publisher, ...],
    confirmations: int | None = None,
) -> str:
    """A trust file's text. Law: `parse_trust(render(..))` has the same fields."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment,
        "chain": {"id": chain.chain_id, "genesis": chain.genesis}
        | ({} if confirmations is None else {"confirmations": confirmations}),
        "contracts": {
            name: {"address": str(contract.address), "code_hash": contract.code_hash}
            for name in CONTRACTS
            if (contract := chain.contracts.get(name)) is not None
        },
        "keys": [
            {"vk_id": k.vk_id, "kind": k.kind, "class": k.klass}
            | ({"transcript": k.transcript} if k.transcript else {})
            for k in keys
        ],
        "publishers": [
            {"address": str(p.address), "name": p.name, "from_block": p.from_block}
            | ({} if p.to_block is None else {"to_block": p.to_block})
            for p in publishers
        ],
    }
    return yaml.safe_dump(value, sort_keys=False)


class _Reader:
    """Reads fields of one mapping strictly.

    A missing, extra or ill-typed key is a ConfigError that names its path.
    """

    def __init__(self, value: Any, path: str, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ConfigError("not a mapping", where=f"{where} {path}", actual=type(value).__name__)
        self._value, self._path, self._where = value, path, where
        self._seen: set[str] = set()

    def get(self, name: str, kind: type, default: Any = ...) -> Any:
        self._seen.add(name)
        if name not in self._value:
            if default is ...:
                raise ConfigError(
                    "trust file lacks a key",
                    where=f"{self._where} {self._path}{name}",
                    expected=kind.__name__,
                )
            return default
        value = self._value[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(
                "trust file key has the wrong type",
                where=f"{self._where} {self._path}{name}",
                expected=kind.__name__,
                actual=type(value).__name__,
                hint="write hex values in quotes" if kind is str else None,
            )
        return value

    def hexadecimal(self, name: str, size_bytes: int) -> str:
        text: str = self.get(name, str).lower()
        try:
            return to_hex(from_hex(text, size_bytes))
        except InputError as error:
            raise ConfigError(
                "not a hex value",
                where=f"{self._where} {self._path}{name}",
                expected=error.expected,
                actual=text[:80],
            ) from error

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        text: str = self.get(name, str)
        if text not in choices:
            raise ConfigError(
                "no such value",
                where=f"{self._where} {self._path}{name}",
                expected=" | ".join(choices),
                actual=text,
            )
        return text

    def has(self, name: str) -> bool:
        return name in self._value

    def part(self, name: str) -> _Reader:
        return _Reader(self.get(name, dict), f"{self._path}{name}.", self._where)

    def parts(self, name: str) -> list[_Reader]:
        return [
            _Reader(v, f"{self._path}{name}[{i}].", self._where)
            for i, v in enumerate(self.get(name, list))
        ]

    def done(self) -> None:
        extra = set(self._value) - self._seen
        if extra:
            raise ConfigError(
                "trust file has an unknown key",
                where=f"{self._where} {self._path}{min(map(str, extra))}",
                expected=", ".join(sorted(self._seen)),
            )


def _contract(reader: _Reader) -> Contract:
    address = Address(reader.hexadecimal("address", 20))
    contract = Contract(address, reader.hexadecimal("code_hash", 32))
    reader.done()
    return contract


def _key(reader: _Reader) -> Key:
    key = Key(
        reader.hexadecimal("vk_id", 32),
        reader.choice("kind", KEY_KINDS),
        reader.choice("class", ("dev", "ceremony")),
        reader.get("transcript", str, None),
    )
    if key.klass == "ceremony" and key.transcript is None:
        raise ConfigError("a ceremony key needs its transcript's digest", where=key.vk_id)
    reader.done()
    return key


def _publisher(reader: _Reader) -> Publisher:
    publisher = Publisher(
        Address(reader.hexadecimal("address", 20)),
        reader.get("name", str),
        reader.get("from_block", int, 0),
        reader.get("to_block", int, None),
    )
    reader.done()
    return publisher


def parse_trust(data: bytes, where: str = "trust file") -> Trust:
    """Read a trust file.

    Raises:
        ConfigError: not YAML, a missing, extra or ill-formed key; `where` names it.
    """
    if (cause := stand_in(data)) is not None:
        raise ConfigError("not a trust file", where=where, actual=cause)
    try:
        value = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "trust file is not YAML", where=where, actual=yaml_cause(error)
        ) from error
    reader = _Reader(value, "", where)
    reader.choice("format", (FORMAT,))
    chain, contracts = reader.part("chain"), reader.part("contracts")
    trust = Trust(
        environment=reader.choice("environment", ENVIRONMENTS),
        chain_id=chain.get("id", int),
        genesis=chain.hexadecimal("genesis", 32),
        confirmations=chain.get("confirmations", int, None),
        contracts={
            name: _contract(contracts.part(name))
            for name in CONTRACTS
            if name in ALWAYS_PINNED or contracts.has(name)
        },
        keys=tuple(_key(r) for r in reader.parts("keys")),
        publishers=tuple(_publisher(r) for r in reader.parts("publishers")),
        digest=sha256(data),
    )
    for part in (reader, chain, contracts):
        part.done()
    if trust.confirmations is not None and trust.confirmations < 1:
        raise ConfigError(
            "a block with nothing on top is not final",
            where=f"{where} chain.confirmations",
            expected=">= 1",
            actual=trust.confirmations,
        )
    return trust


def load_trust(path: Path | None) -> Trust:
    """Read the trust file at `path`.

    Raises:
        ConfigError: none given, or it cannot be read.
    """
    if path is None:
        raise ConfigError(
            "no trust file",
            hint="pass --trust FILE, set PROVENANCE_TRUST, or put trust.yaml into the "
            "configuration folder (~/.config/provenance)",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "cannot read trust file", where=str(path), actual=cause_of(error, path)
        ) from error
    return parse_trust(data, str(path))
