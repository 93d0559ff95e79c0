"""Revoked keys and records on a real node, and endpoints that hide them."""

from __future__ import annotations

import gzip
import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.artifact import abi_of, artifact, provides
from provenance.chain.contracts import Reader
from provenance.chain.endpoint import Patience
from provenance.chain.rpc import Rpc
from provenance.errors import InputError, RejectedError, UnavailableError
from provenance.ids import Address, to_hex
from provenance.judgement.facts import SignerRevocation
from provenance.judgement.trust import Publisher, Trust
from provenance.judgement.trust_file import load_trust
from provenance.judgement.verdict import Status
from provenance.settings import Settings
from provenance_cli.run import revoke as command
from tests.support.chain import Lab
from tests.support.frozen import RUN_1
from tests.support.processes.rpc_proxy import Alter, altering_proxy
from tests.support.spine import Data, Plan, Run, build_run, failing

NEWER = ("revokedEntriesOf", "revocationsOfSignerBy")


def said_of_own_key(lab: Lab, address: Address, until: int = 2**64) -> SignerRevocation | None:
    return lab.reader().latest().signer_revocation(address, address, until)


@pytest.fixture(scope="module")
def stolen(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose owner's key was revoked in the block before its release; record 3 was too."""
    plan = Plan("robbed", b"stolen", prove=False, release=False)
    run = build_run(lab, data, tmp_path_factory.mktemp("stolen"), plan)
    session = lab.session("robbed")
    first = lab.chain.rpc().block("latest").number
    session.revoke_signer(session.address, None, "laptop stolen")
    said = said_of_own_key(lab, session.address)
    assert said is not None
    assert said.from_block == first + 1
    run.claim(run.log(run.release_record("stolen")))
    session.revoke(run.run_id, 3, "poisoned")
    session.revoke(run.run_id, 1, "also")
    lab.mine()
    return run


def trusting(run: Run) -> Trust:
    address = run.lab.session(run.session).address
    return replace(run.lab.trust, publishers=(Publisher(address, "robbed"),))


def test_a_release_with_a_revoked_key_is_revoked_and_before_that_was_none(stolen: Run) -> None:
    verdict = stolen.judge(trust=trusting(stolen))
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "laptop stolen" in verdict.reason


def test_all_revoked_records_are_listed(stolen: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = stolen.lab.reader().final()
    assert snapshot.revoked_entries(stolen.run_id) == [3, 1]
    monkeypatch.setattr("provenance.chain.contracts.PAGE", 1)
    assert snapshot.revoked_entries(stolen.run_id) == [3, 1]


def test_the_command_revokes_a_key_once_and_then_only_from_an_earlier_block(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = lab.session("forgetful")
    settings = lab.settings
    monkeypatch.setattr(Settings, "load", lambda: settings)

    def revoke(from_block: int | None) -> dict[str, Any]:
        command.revoke(
            reason="lost",
            run=None,
            index=None,
            dataset_id=None,
            signer=session.address.upper().replace("0X", "0x"),
            from_block=from_block,
            key="forgetful",
            json=True,
        )
        return dict(json.loads(capsys.readouterr().out))

    told = revoke(None)
    assert told["subject"] == f"key of {session.address}"
    lost = SignerRevocation(told["block"], told["block"], "lost")
    assert said_of_own_key(lab, session.address) == lost
    with pytest.raises(RejectedError) as caught:
        revoke(None)
    assert "AlreadyRevoked" in str(caught.value.actual)
    again = revoke(1)
    assert again["block"] > told["block"]
    assert said_of_own_key(lab, session.address) == SignerRevocation(again["block"], 1, "lost")
    assert said_of_own_key(lab, session.address, again["block"] - 1) == lost


def test_what_was_said_of_a_key_up_to_a_block_is_found_in_a_long_list(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: who left the team says so again and again, to make a verifier read long."""
    session = lab.session("talkative")
    first = lab.chain.rpc().block("latest").number
    said = []
    for place in range(9):
        done = session.revoke_signer(session.address, first - place, f"reason {place}")
        said.append(SignerRevocation(done.block_number, first - place, f"reason {place}"))
        if place == 4:
            lab.mine(5)
    snapshot = lab.reader().latest()
    calls, call = [], Rpc.call

    def counted(self: Rpc, *args: Any) -> bytes:
        calls.append(args)
        return call(self, *args)

    monkeypatch.setattr(Rpc, "call", counted)
    for block in range(said[0].block_number - 1, said[-1].block_number + 2):
        (*_, wanted) = (None, *(each for each in said if each.block_number <= block))
        assert snapshot.signer_revocation(session.address, session.address, block) == wanted
        assert len(calls) <= 5, "how many there are, and 4 halvings of 9"
        calls.clear()


def test_an_endpoint_that_keeps_back_a_revocation_it_tells_of_gives_no_answer(stolen: Run) -> None:
    told = (b"\0" * 31 + b"\x40" + b"\0" * 31 + b"\x01" + b"\0" * 32).hex()
    with ExitStack() as stack:
        given = {"result": "0x" + told}  # an empty page, one in all
        reader = reader_behind(stack, stolen, selecting("revocationsOfSignerBy", given))
        address = stolen.lab.session(stolen.session).address
        with pytest.raises(UnavailableError, match="does not give a revocation"):
            reader.final().signer_revocation(address, address, 2**64)
        verdict = stolen.judge(trust=trusting(stolen), reader=reader)
        assert verdict.status is Status.INDETERMINATE


def test_who_left_the_team_cannot_revoke_its_old_releases(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The attack: what they said as a member is said again, from before everything."""
    run = build_run(lab, data, tmp_path, Plan("team", b"teamwork", prove=False))
    lab.mine()
    team, leaver = lab.session("team").address, lab.session("leaver")

    def trusting_until(block: int | None) -> Trust:
        publishers = (Publisher(team, "us"), Publisher(leaver.address, "us", 0, block))
        return replace(lab.trust, publishers=publishers)

    before = run.judge(trust=trusting_until(None))
    assert before.status is Status.INDETERMINATE, "only its proofs are missing"
    said = leaver.revoke_signer(team, None, "laptop stolen").block_number
    lab.mine()
    leaver.revoke_signer(team, 0, "spite")
    lab.mine()
    verdict = run.judge(trust=trusting_until(said))
    assert (verdict.status, failing(verdict)) == (before.status, failing(before))
    (kept,) = trusting_until(said).key_revocations(lab.reader().final(), team)
    assert (kept.block_number, kept.from_block, kept.reason) == (said, said, "laptop stolen")
    verdict = run.judge(trust=trusting_until(None))  # as a member they may
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "spite" in verdict.reason


def test_a_first_block_is_of_a_key() -> None:
    with pytest.raises(InputError, match="first block is of an account's key"):
        command.revoke(reason="x", run=Path(), dataset_id=None, signer=None, from_block=1)
    with pytest.raises(InputError, match="name one of"):
        command.revoke(reason="x", run=Path(), dataset_id=None, signer="0x", from_block=None)


def old_code() -> tuple[bytes, Trust]:
    """The registry's code of a frozen deployment, and the trust file that pins it."""
    state = json.loads(gzip.decompress((RUN_1 / "chain-state.json.gz").read_bytes()))
    trust = load_trust(RUN_1 / "trust.yaml")
    registry = trust.contracts["registry"].address
    accounts = {address.lower(): account for address, account in state["accounts"].items()}
    return bytes.fromhex(accounts[registry]["code"][2:]), trust


def test_code_tells_which_views_it_has() -> None:
    today = bytes.fromhex(artifact("ProvenanceRegistry")["deployedBytecode"][2:])
    for function in ("runOf", "revokeSigner", *NEWER):
        assert abi_of("ProvenanceRegistry").selector(function)[0] != 0, "written with fewer bytes"
        assert provides(today, "registry", function)
    earlier, _ = old_code()
    assert provides(earlier, "registry", "revocationOf")
    assert not any(provides(earlier, "registry", view) for view in ("revokeSigner", *NEWER))


def reader_behind(stack: ExitStack, run: Run, alter: Alter) -> Reader:
    url = stack.enter_context(altering_proxy(run.lab.chain.up().url, alter))
    trust = trusting(run)
    return Reader(Rpc(url, patience=Patience(0)), trust.addresses, trust.confirmations)


def selecting(view: str, given: dict[str, Any]) -> Alter:
    selector = to_hex(abi_of("ProvenanceRegistry").selector(view))

    def alter(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        asks = request["method"] == "eth_call" and request["params"][0]["data"].startswith(selector)
        return {"id": request["id"], "jsonrpc": "2.0", **given} if asks else answer

    return alter


@pytest.mark.parametrize("view", NEWER)
@pytest.mark.parametrize(
    "given",
    [
        {"error": {"code": 3, "message": "execution reverted", "data": "0x"}},
        {"result": "0x"},
    ],
    ids=["reverts", "is empty"],
)
def test_a_call_that_fails_never_means_not_revoked(
    stolen: Run, view: str, given: dict[str, Any]
) -> None:
    """The attack: an endpoint plays an earlier release by refusing the newer views."""
    with ExitStack() as stack:
        reader = reader_behind(stack, stolen, selecting(view, given))
        reader.identity()
        snapshot, address = reader.final(), stolen.lab.session(stolen.session).address
        with pytest.raises(UnavailableError):
            (
                snapshot.revoked_entries(stolen.run_id)
                if view == "revokedEntriesOf"
                else snapshot.signer_revocation(address, address, 2**64)
            )
        if view == "revocationsOfSignerBy":  # it is asked before records are
            verdict = stolen.judge(trust=trusting(stolen), reader=reader)
            assert verdict.status is Status.INDETERMINATE


def test_code_of_an_earlier_release_in_the_place_of_the_pinned_one_fails(stolen: Run) -> None:
    """Which views there are is read off the very bytes whose hash is pinned."""
    earlier, _ = old_code()
    registry = stolen.lab.trust.contracts["registry"].address

    def alter(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "eth_getCode" and request["params"][0] == registry:
            return answer | {"result": to_hex(earlier)}
        return answer

    with ExitStack() as stack:
        reader = reader_behind(stack, stolen, alter)
        verdict = stolen.judge(trust=trusting(stolen), reader=reader)
        assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])


def test_a_registry_of_an_earlier_release_is_not_sent_what_it_does_not_know(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, _ = old_code()
    session = lab.session("forgetful")
    monkeypatch.setattr(Rpc, "code", lambda self, address, tag="latest": earlier)
    with pytest.raises(InputError, match="this registry cannot revoke keys"):
        session.revoke_signer(Address(session.address), None, "lost")
