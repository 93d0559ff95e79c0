"""The trust file, as bytes (docs/formats/trust.md).

It comes from `--trust`, PROVENANCE_TRUST or the user's configuration folder; never from the working
directory, the model's folder or a bundle. Verdicts print its digest.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provenance.causes import cause_of, stand_in, yaml_cause
from provenance.digest import sha256
from provenance.errors import ConfigError, InputError
from provenance.ids import Address
from provenance.judgement.facts import CONTRACTS, ChainIdentity, Contract
from provenance.judgement.fields import Fields
from provenance.judgement.third_parties import Auditor, Auditors, Witnesses
from provenance.judgement.trust import (
    ALWAYS_PINNED,
    ENVIRONMENTS,
    KEY_KINDS,
    LOCAL_CHAINS,
    MAX_AGE_S,
    Key,
    Publisher,
    Trust,
    show_time,
)
from provenance.log.witness.cosignature import WitnessKey
from provenance.text.strict_yaml import load_yaml

FORMAT = "provenance-trust/1"


@dataclass(frozen=True)
class Bounds:
    """What a file says about time, finality, quorum, witnesses and auditors; see `Trust`.

    `max_age_s` None stands for the default.
    """

    confirmations: int | None = None
    version: int = 1
    expires: datetime.datetime | None = None
    max_age_s: int | None = None
    quorum: int | None = None
    witnesses: Witnesses | None = None
    auditors: Auditors | None = None


def to_yaml(trust: Trust) -> str:
    """The text of a trust file that says the same."""
    bounds = Bounds(
        trust.confirmations,
        trust.version,
        trust.expires,
        trust.max_age_s,
        trust.quorum,
        trust.witnesses,
        trust.auditors,
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
    if bounds.auditors is not None:
        named = [
            {"address": str(a.address), "name": a.name}
            | ({} if a.from_block == 0 else {"from_block": a.from_block})
            | ({} if a.to_block is None else {"to_block": a.to_block})
            for a in bounds.auditors.named
        ]
        value["auditors"] = {"needed": bounds.auditors.needed, "named": named}
    return yaml.safe_dump(value, sort_keys=False)


def _contract(reader: Fields) -> Contract:
    address = Address(reader.hexadecimal("address", 20))
    contract = Contract(address, reader.hexadecimal("code_hash", 32))
    reader.done()
    return contract


def _key(reader: Fields) -> Key:
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


def _account(reader: Fields) -> tuple[Address, str, int, int | None]:
    """The fields of an `Account`."""
    first: int = reader.at_least("from_block", 0, 0)
    address = Address(reader.hexadecimal("address", 20))
    return address, reader.text("name"), first, reader.at_least("to_block", first, None)


def _publisher(reader: Fields) -> Publisher:
    code_hash = reader.hexadecimal("code_hash", 32) if reader.has("code_hash") else None
    publisher = Publisher(*_account(reader), code_hash)
    reader.done()
    return publisher


def _witnesses(reader: Fields, where: str) -> Witnesses | None:
    if not reader.has("witnesses"):
        return None
    part = reader.part("witnesses")
    named, needed = part.get("keys", list), part.get("needed", int)
    part.done()
    with _config_errors(f"{where} witnesses"):
        keys = tuple(WitnessKey.parse(key if isinstance(key, str) else "") for key in named)
        return Witnesses(keys, needed)


@contextmanager
def _config_errors(where: str) -> Iterator[None]:
    """What a part of the file cannot be is told as an error of the file."""
    try:
        yield
    except ConfigError:
        raise
    except InputError as error:
        raise ConfigError(
            error.what,
            where=where,
            expected=error.expected,
            actual=error.actual or error.where,
            hint=error.hint,
        ) from error


def _auditors(reader: Fields) -> Auditors | None:
    """Whom the file names as auditors; raises InputError if they cannot be such."""
    if not reader.has("auditors"):
        return None
    part = reader.part("auditors")
    named, needed = tuple(map(_auditor, part.parts("named"))), part.get("needed", int)
    part.done()
    return Auditors(named, needed)


def _auditor(reader: Fields) -> Auditor:
    auditor = Auditor(*_account(reader))
    reader.done()
    return auditor


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
    reader = Fields(value, "", where)
    reader.choice("format", (FORMAT,))
    chain, contracts = reader.part("chain"), reader.part("contracts")
    chain_id, named = chain.at_least("id", 1), reader.choice("environment", ENVIRONMENTS)
    environment = "local" if chain_id in LOCAL_CHAINS else named
    max_age = reader.at_least("max_age", 1, MAX_AGE_S)
    with _config_errors(f"{where} auditors"):
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
            auditors=_auditors(reader),
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
