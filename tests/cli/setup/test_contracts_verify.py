"""`contracts verify` names each deployed contract whose code is not what the sources compile to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from provenance.chain.artifact import ARTIFACTS, JUDGE, artifact
from provenance.chain.contracts import Reader
from provenance.ids import Address, to_hex
from provenance_cli.setup import contracts
from tests.cli.conftest import Outcome, run_cli
from tests.support.chain import Lab

LEDGERS = {"ledger": "ProofLedger", "models": "ModelLedger"}
NAMES = [*ARTIFACTS.values(), *(f"{JUDGE} of {ledger}" for ledger in LEDGERS.values())]


def _compiled() -> dict[str, Any]:
    """The compiler's output as the package ships it: compiling takes long, and the test of the main
    job does it.
    """
    shipped = {name: artifact(name) for name in (*ARTIFACTS.values(), JUDGE)}
    return {
        name: {
            "evm": {
                "deployedBytecode": {
                    "object": value["deployedBytecode"].removeprefix("0x"),
                    "immutableReferences": value["immutableReferences"],
                }
            }
        }
        for name, value in shipped.items()
    }


def _places(lab: Lab) -> dict[str, Address]:
    """Where each of NAMES is."""
    deployed = lab.deployment.addresses
    snapshot = Reader(lab.chain.rpc(), deployed).latest()
    places = {name: deployed[contract] for contract, name in ARTIFACTS.items()}
    judges = {f"{JUDGE} of {name}": snapshot.batch_verifier(c) for c, name in LEDGERS.items()}
    return places | judges


@contextmanager
def _code(lab: Lab, address: Address, change: int) -> Iterator[None]:
    """The chain with one byte of a contract's code changed, which is then put back."""
    rpc = lab.chain.rpc()
    code = rpc.code(address)
    changed = bytearray(code)
    changed[change] ^= 1
    rpc.request("anvil_setCode", [str(address), to_hex(bytes(changed))])
    try:
        yield
    finally:
        rpc.request("anvil_setCode", [str(address), to_hex(code)])


@pytest.fixture
def verify(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Outcome]:
    monkeypatch.setattr(contracts, "compile_sources", _compiled)
    environment = {"PROVENANCE_HOME": str(lab.settings.home)}
    return lambda: run_cli(environment, "contracts", "verify", "--json")


def test_every_contract_is_compared(verify: Callable[[], Outcome]) -> None:
    done = verify()
    assert done.code == 0, done.err
    assert done.json["contracts"] == dict.fromkeys(NAMES, "exact_match")


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_contract_is_named(lab: Lab, verify: Callable[[], Outcome], name: str) -> None:
    places = _places(lab)
    with _code(lab, places[name], change=8):
        done = verify()
    assert done.code == 1
    found = done.json["contracts"]
    # A ledger with other code may name any judge, so its judge is not believed either.
    wrong = {name, f"{JUDGE} of {name}"} & set(NAMES)
    assert found == {n: "none" if n in wrong else "exact_match" for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_another_metadata_hash_is_told_apart(
    lab: Lab, verify: Callable[[], Outcome], name: str
) -> None:
    with _code(lab, _places(lab)[name], change=-20):
        done = verify()
    assert done.code == 0
    assert done.json["contracts"] == dict.fromkeys(NAMES, "exact_match") | {name: "match"}


def test_a_contract_that_is_gone_is_named(lab: Lab, verify: Callable[[], Outcome]) -> None:
    rpc, address = lab.chain.rpc(), lab.deployment.audits
    code = rpc.code(address)
    rpc.request("anvil_setCode", [str(address), "0x"])
    try:
        done = verify()
    finally:
        rpc.request("anvil_setCode", [str(address), to_hex(code)])
    assert done.code == 1
    assert done.json["contracts"]["DatasetAudits"] == "none"


def test_contracts_that_an_earlier_release_did_not_have_are_not_compared(
    lab: Lab, verify: Callable[[], Outcome]
) -> None:
    path = lab.settings.home / "deployment.json"
    before = path.read_text()
    value = json.loads(before)
    del value["attestations"], value["attestations_code_hash"]
    path.write_text(json.dumps(value))
    try:
        done = verify()
    finally:
        path.write_text(before)
    expected = [name for name in NAMES if name != ARTIFACTS["attestations"]]
    assert (done.code, sorted(done.json["contracts"])) == (0, sorted(expected))
