"""The compiled contracts: their names, ABI and bytecode, generated into `provenance/abi`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from provenance.chain.abi import Abi, keccak
from provenance.chain.rpc import Rpc
from provenance.errors import ConfigError
from provenance.ids import Address, to_hex

ARTIFACTS = {
    "registry": "ProvenanceRegistry",
    "ledger": "ProofLedger",
    "audits": "DatasetAudits",
    "models": "ModelLedger",
    "attestations": "ReplayAttestations",
}
"""Solidity name of each contract of `provenance.judgement.facts.CONTRACTS`."""

JUDGE = "BatchVerifier"
"""The contract that judges proofs for the ledgers, each of which created its own. What it reverts
with comes through their calls.
"""

Addresses = Mapping[str, Address]
"""Address of each contract by its name; a contract that is not trusted is left out."""


@cache
def artifact(name: str) -> dict[str, Any]:
    """ABI and bytecode of a contract by its Solidity name, as `make contracts` wrote them."""
    value: dict[str, Any] = json.loads(
        resources.files("provenance").joinpath("abi", f"{name}.json").read_text()
    )
    return value


@cache
def abi_of(name: str) -> Abi:
    """The ABI of a contract by its Solidity name, with the errors of the judge that it may call."""
    own = artifact(name)["abi"]
    errors = [item for item in artifact(JUDGE)["abi"] if item["type"] == "error"]
    return Abi([*own, *(item for item in errors if item not in own)])


def address_of(addresses: Addresses, contract: str) -> Address:
    """The address of a contract.

    Raises:
        ConfigError: it has no address here.
    """
    if contract not in addresses:
        raise ConfigError(
            "no address of this contract",
            where=ARTIFACTS[contract],
            hint="provenance chain deploy, or name it in the trust file",
        )
    return addresses[contract]


_PUSH4 = b"\x63"


def provides(code: bytes, contract: str, function: str) -> bool:
    """Whether runtime code answers to a function of today's ABI of a contract.

    Earlier releases had code without the newest functions. That a call fails would say nothing: an
    endpoint can make any call fail. The code itself is pinned by its hash.

    Source: the compiler's dispatcher compares the call's selector with PUSH4 constants. It writes
    a selector that begins with a zero byte in a shorter form; tests see to it that none here does.
    """
    abi = abi_of(ARTIFACTS[contract])
    return _PUSH4 + abi.selector(function) in code


def code_hash(rpc: Rpc, address: Address) -> str:
    """Keccak-256 of the newest code at an address, `0x` and 64 digits."""
    return to_hex(keccak(rpc.code(address)))
