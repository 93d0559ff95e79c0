"""A publisher that is a contract of two owners, on a real node (EIP-1271)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.contracts import Reader
from provenance.chain.endpoint import Endpoint, Patience
from provenance.chain.quorum import Quorum
from provenance.chain.rpc import Rpc
from provenance.errors import UnavailableError
from provenance.ids import Address, from_hex, to_hex
from provenance.judgement.trust import Publisher, Trust
from provenance.judgement.verdict import Status, Verdict
from provenance.log.tree import Head
from provenance.signing import head_digest
from tests.support.chain import Lab
from tests.support.core.wallet import WalletSession, make_wallet
from tests.support.processes.rpc_proxy import altering_proxy
from tests.support.spine import Data, Plan, Run, build_run, failing


@pytest.fixture(scope="module")
def session(lab: Lab) -> WalletSession:
    return make_wallet(lab, "first-owner", "wallet")


@pytest.fixture(scope="module")
def run(
    lab: Lab, data: Data, session: WalletSession, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return build_run(lab, data, tmp_path_factory.mktemp("wallet"), Plan("wallet", b"of a wallet"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def trusting(run: Run, code_hash: str | None) -> Trust:
    wallet = run.lab.session("wallet").address
    publisher = Publisher(wallet, "two owners", code_hash=code_hash)
    return replace(run.lab.trust, publishers=(publisher,))


def code_of(run: Run) -> str:
    found = run.lab.reader().final().contract_code(run.lab.session("wallet").address)
    assert found is not None
    return found


def test_a_release_by_a_wallet_of_two_verifies(run: Run) -> None:
    verdict = run.judge(trust=trusting(run, code_of(run)))
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, [])
    (claim,) = (c for c in verdict.claims if c.id == "head.signed")
    assert "a contract, by its own word at this block" in claim.text


def assert_unsigned(verdict: Verdict) -> None:
    """Nothing verifies, and nobody is accused: the signature is not at hand."""
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "head.signed" in {claim.id for claim in verdict.not_checked}


def test_a_contract_counts_only_where_the_trust_file_pins_its_code(run: Run) -> None:
    """Else an endpoint could call any publisher a contract, and sign in its name."""
    verdict = run.judge(trust=trusting(run, "0x" + "11" * 32))
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["head.signed"])
    assert_unsigned(run.judge(trust=trusting(run, None)))


def test_an_endpoint_cannot_make_a_contract_of_a_publisher_with_a_key(
    stack: ExitStack, honest: Run, tmp_path: Path
) -> None:
    """The attack: heads that a stranger signed, and an endpoint that says yes to them."""
    forged = honest.copy(tmp_path / "copy")
    path = forged.folder.heads
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps(line | {"signature": "0x" + "22" * 65}) + "\n" for line in lines)
    )
    publisher = honest.lab.session().address

    def lie(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        if method == "eth_getCode" and params[0] == publisher:
            return answer | {"result": "0x6000"}
        if method == "eth_call" and params[0]["data"].startswith("0x1626ba7e"):
            return {"id": 1, "jsonrpc": "2.0", "result": "0x1626ba7e" + "00" * 28}
        return answer

    url = stack.enter_context(altering_proxy(honest.lab.chain.up().url, lie))
    assert_unsigned(forged.judge(reader=Reader(Rpc(url), honest.lab.trust.addresses)))


@pytest.mark.parametrize("kept", ["first", "second", "none", "other order"])
def test_a_head_that_not_all_owners_signed_is_not_signed(
    run: Run, tmp_path: Path, kept: str
) -> None:
    broken = run.copy(tmp_path / "copy")
    path = broken.folder.heads
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        both = from_hex(line["signature"])
        line["signature"] = to_hex(
            {
                "first": both[:65] * 2,
                "second": both[65:] * 2,
                "none": b"",
                "other order": both[65:] + both[:65],
            }[kept]
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert_unsigned(broken.judge(trust=trusting(run, code_of(run))))


def test_a_key_that_delegates_signs_by_itself(run: Run) -> None:
    """EIP-7702: its key can end the delegation, so the contract does not speak for the account."""
    rpc, account = run.lab.chain.rpc(), Address("0x" + "70" * 20)
    designator = "0xef0100" + run.lab.session("wallet").address[2:]
    rpc.request("anvil_setCode", [account, designator])
    run.lab.mine()
    snapshot = run.lab.reader().final()
    assert to_hex(rpc.code(account)) == designator
    assert snapshot.contract_code(account) is None
    assert snapshot.contract_code(Address("0x" + "71" * 20)) is None


def test_an_endpoint_alone_cannot_sign_for_a_contract(stack: ExitStack, run: Run) -> None:
    """One that says yes to every signature fools who asks it alone, and no quorum."""

    def yes(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        data = request["params"][0]["data"] if request["method"] == "eth_call" else ""
        if not data.startswith("0x1626ba7e"):
            return answer
        return {"id": request["id"], "jsonrpc": "2.0", "result": "0x1626ba7e" + "00" * 28}

    node, wallet = run.lab.chain.up().url, run.lab.session("wallet").address
    urls = [
        stack.enter_context(altering_proxy(node, alter))
        for alter in (yes, lambda _, answer: answer)
    ]
    final = Reader(Rpc(urls[0]), run.lab.trust.addresses).final()
    assert final.accepts_signature(wallet, bytes(32), bytes(130))
    both = [Endpoint(url, patience=Patience(0)) for url in urls]
    final = Reader(Rpc(Quorum(both, 2)), run.lab.trust.addresses).final()
    for signature in (bytes(130), b""):  # to the second the contract itself reverts
        with pytest.raises(UnavailableError, match="endpoints disagree"):
            final.accepts_signature(wallet, bytes(32), signature)


def test_what_a_contract_refuses_is_not_its_signature_also_for_a_quorum(
    stack: ExitStack, run: Run, session: WalletSession
) -> None:
    urls = [
        stack.enter_context(altering_proxy(run.lab.chain.up().url, lambda _, answer: answer))
        for _ in range(2)
    ]
    quorum = Quorum([Endpoint(url) for url in urls], 2)
    final = Reader(Rpc(quorum), run.lab.trust.addresses).final()
    head = Head(run.run_id, 1, bytes(32))
    digest, signature = head_digest(head, session.domain), session.sign_head(head)
    assert final.accepts_signature(session.wallet, digest, signature)
    assert not final.accepts_signature(session.wallet, digest, b"")
    assert not final.accepts_signature(session.wallet, bytes(32), signature)
    assert not final.accepts_signature(Address("0x" + "71" * 20), digest, signature)
