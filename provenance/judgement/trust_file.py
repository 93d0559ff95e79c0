"""The trust file, as bytes (docs/formats/trust.md).

It comes from `--trust`, PROVENANCE_TRUST or the user's configuration folder; never from the working
directory, the model's folder or a bundle. Verdicts print its digest.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provenance.causes import cause_of, stand_in, yaml_cause
from provenance.digest import sha256
from provenance.errors import ConfigError, InputError
from provenance.ids import Address, from_hex, to_hex
from provenance.judgement.facts import CONTRACTS, ChainIdentity, Contract
from provenance.judgement.trust import (
    ALWAYS_PINNED,
    ENVIRONMENTS,
    KEY_KINDS,
    LOCAL_CHAINS,
    MAX_AGE_S,
    Key,
    Publisher,
    Trust,
    Witnesses,
    show_time,
)
from provenance.log.witness.cosignature import WitnessKey
from provenance.text.strict_yaml import load_yaml

FORMAT = "provenance-trust/1"


@dataclass(frozen=True)
class Bounds:
    """What a file says about time, finality, quorum and witnesses; see `Trust`.

    `max_age_s` None stands for the default.
    """

    confirmations: int | None = None
    version: int = 1
    expires: datetime.datetime | None = None
    max_age_s: int | None = None
    quorum: int | None = None
    witnesses: Witnesses | None = None


def to_yaml(trust: Trust) -> str:
    """The text of a trust file that says the same."""
    bounds = Bounds(
        trust.confirmations,
        trust.version,
        trust.expires,
        trust.max_age_s,
        trust.quorum,
        trust.witnesses,
    )
    return render(trust.environment, trust.chain, trust.keys, trust.publishers, bounds)


def render(
    environment: str,
    chain: ChainIdentity,
    keys: tuple[Key, ...],
    publishers: tuple[Publisher, ...],
    bounds: Bounds = Bounds(),
) -> str:
    """A trust file's text. Law: `parse_trust(render(..))` has the same fields."""
    confirmations, expires, max_age = bounds.confirmations, bounds.expires, bounds.max_age_s
    value: dict[str, Any] = {
        "format": FORMAT,
        "version": bounds.version,
        **({} if expires is None else {"expires": show_time(expires)}),
        **({} if max_age in (None, MAX_AGE_S) else {"max_age": max_age}),
        "environment": environment,
        "chain": {"id": chain.chain_id, "genesis": chain.genesis}
        | ({} if confirmations is None else {"confirmations": confirmations})
        | ({} if bounds.quorum is None else {"quorum": bounds.quorum}),
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
            | ({} if p.code_hash is None else {"code_hash": p.code_hash})
            for p in publishers
        ],
    }
    if bounds.witnesses is not None:
        keys_of = [str(key) for key in bounds.witnesses.keys]
        value["witnesses"] = {"needed": bounds.witnesses.needed, "keys": keys_of}
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

    def text(self, name: str) -> str:
        """A text that is not blank."""
        found: str = self.get(name, str)
        if not found.strip():
            raise ConfigError(
                "text is empty",
                where=f"{self._where} {self._path}{name}",
                expected="at least one letter",
                actual=repr(found[:80]),
            )
        return found

    def at_least(self, name: str, least: int, default: Any = ...) -> Any:
        """A number from `least` on. `default` stands for a missing one; `...` refuses that."""
        number: int | None = self.get(name, int, default)
        if number is not None and number < least:
            raise ConfigError(
                "number is too small",
                where=f"{self._where} {self._path}{name}",
                expected=f">= {least}",
                actual=number,
            )
        return number

    def moment(self, name: str) -> datetime.datetime | None:
        """A time in UTC, as `2027-01-01T00:00:00Z`; YAML may have read it already."""
        if name not in self._value:
            return None
        self._seen.add(name)
        found = self._value[name]
        try:
            value = datetime.datetime.fromisoformat(found) if isinstance(found, str) else found
            if isinstance(value, datetime.datetime) and value.tzinfo is not None:
                value = value.astimezone(datetime.UTC)
        except (ValueError, OverflowError):  # of a year that UTC does not have
            value = None
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise ConfigError(
                "not a time with its zone",
                where=f"{self._where} {self._path}{name}",
                expected="such as 2027-01-01T00:00:00Z",
                actual=str(found)[:40],
            )
        return value

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
    first = reader.at_least("from_block", 0, 0)
    publisher = Publisher(
        Address(reader.hexadecimal("address", 20)),
        reader.text("name"),
        first,
        reader.at_least("to_block", first, None),
        reader.hexadecimal("code_hash", 32) if reader.has("code_hash") else None,
    )
    reader.done()
    return publisher


def _witnesses(reader: _Reader, where: str) -> Witnesses | None:
    if not reader.has("witnesses"):
        return None
    part = reader.part("witnesses")
    named, needed = part.get("keys", list), part.get("needed", int)
    part.done()
    try:
        keys = tuple(WitnessKey.parse(key if isinstance(key, str) else "") for key in named)
        return Witnesses(keys, needed)
    except InputError as error:
        raise ConfigError(
            error.what,
            where=f"{where} witnesses",
            expected=error.expected,
            actual=error.actual or error.where,
            hint=error.hint,
        ) from error


def parse_trust(data: bytes, where: str = "trust file") -> Trust:
    """Read a trust file.

    Raises:
        ConfigError: not YAML, a missing, extra or ill-formed key; `where` names it.
    """
    if (cause := stand_in(data)) is not None:
        raise ConfigError("not a trust file", where=where, actual=cause)
    try:
        value = load_yaml(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "trust file is not YAML", where=where, actual=yaml_cause(error)
        ) from error
    reader = _Reader(value, "", where)
    reader.choice("format", (FORMAT,))
    chain, contracts = reader.part("chain"), reader.part("contracts")
    chain_id, named = chain.at_least("id", 1), reader.choice("environment", ENVIRONMENTS)
    environment = "local" if chain_id in LOCAL_CHAINS else named
    max_age = reader.at_least("max_age", 1, MAX_AGE_S)
    trust = Trust(
        environment=environment,
        chain_id=chain_id,
        genesis=chain.hexadecimal("genesis", 32),
        confirmations=chain.at_least("confirmations", 1, None),
        contracts={
            name: _contract(contracts.part(name))
            for name in CONTRACTS
            if name in ALWAYS_PINNED or contracts.has(name)
        },
        keys=tuple(_key(r) for r in reader.parts("keys")),
        publishers=tuple(_publisher(r) for r in reader.parts("publishers")),
        digest=sha256(data),
        version=reader.at_least("version", 1, 1),
        expires=reader.moment("expires"),
        max_age_s=None if environment == "local" else max_age,
        quorum=chain.at_least("quorum", 1, None),
        witnesses=_witnesses(reader, where),
    )
    for part in (reader, chain, contracts):
        part.done()
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
