"""Attestations on chain, from the command line: who sends them, and who keeps one back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.session import connect
from provenance.chain.waits import Waits
from provenance.settings import Settings
from tests.cli.audit.conftest import AUDITORS, Audited


def gas_of(audited: Audited, name: str, *more: object) -> int:
    options = (audited.signed(name), audited.run, "--key", name, "--trust", audited.on_chain)
    done = audited("audit", "anchor", *options, "--json", *more)
    assert done.code == 0, done.err
    return int(done.json["gas"])


def submitted(audited: Audited, tmp_path: Path, *files: Path) -> Path:
    run = audited.copy(tmp_path)
    for file in files:
        done = audited("audit", "submit", file, run)
        assert done.code == 0, done.err
    return run


def replayed(verdict: dict[str, Any]) -> dict[str, Any]:
    (claim,) = [c for c in verdict["claims"] if c["id"] == "training.replayed"]
    return dict(claim)


def test_what_both_sent_counts_and_is_sent_once(audited: Audited, tmp_path: Path) -> None:
    run = submitted(audited, tmp_path, *map(audited.signed, AUDITORS))
    first = audited.verify(run, audited.on_chain)
    assert "provenance audit anchor" in replayed(first)["needs"]
    assert gas_of(audited, "anna") > 50_000
    assert "attestations of 2 auditors" in replayed(audited.verify(run, audited.on_chain))["needs"]
    assert gas_of(audited, "bert") > 50_000
    verdict = audited.verify(run, audited.on_chain)
    assert verdict["status"] == "verified"
    assert (
        "all that they told it about this run in their windows is at hand"
        in replayed(verdict)["text"]
    )
    assert {e["kind"]: e["grade"] for e in verdict["edges"]}["adapter_from"] == "audited"
    assert gas_of(audited, "anna") == 0
    options = (audited.signed("anna"), run, "--key", "anna", "--trust", audited.on_chain)
    assert "was sent before, in block " in audited("audit", "anchor", *options).out
    shown = audited("audit", "list", run, "--trust", audited.on_chain)
    assert shown.out.count("(sent in block ") == 4
    done = audited("fsck", run, "--json")
    assert (done.code, done.json["problems"]) == (0, [])


def test_a_command_that_was_killed_waits_when_it_is_given_again(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction was mined, and the process ended before its block was final."""
    trust = audited.trusting(tmp_path / "trust.yaml", (audited.key("dora"), "Dora"))
    line = tmp_path / "dora.jsonl"
    options = (audited.run, audited.report, "--key", "dora", "--out", line)
    assert audited("audit", "sign", *options).code == 0
    run = submitted(audited, tmp_path, line)
    anchor = ("audit", "anchor", line, run, "--key", "dora", "--trust", trust)
    with monkeypatch.context() as killed:
        killed.setattr(Waits, "for_final", lambda self, receipt: None)
        assert " gas" in audited(*anchor).out
    assert replayed(audited.verify(run, trust))["status"] == "not_checked"
    assert "was sent before" in audited(*anchor).out
    assert replayed(audited.verify(run, trust))["status"] == "holds"


def accusing(audited: Audited, tmp_path: Path, name: str) -> Path:
    """A line by a new auditor, whose training again ended elsewhere."""
    value = json.loads(audited.report.read_text())
    value["replayed"][1]["class"] = "different"
    report, out = tmp_path / "report.json", tmp_path / f"{name}.jsonl"
    report.write_text(json.dumps(value))
    done = audited("audit", "sign", audited.run, report, "--key", name, "--out", out)
    assert done.code == 0, done.err
    return out


def test_a_publisher_who_keeps_back_what_was_sent_is_found_out(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carl's first word is good, and his second one, which the publisher leaves out, is bad."""
    trust = audited.trusting(tmp_path / "trust.yaml", (audited.key("carl"), "Carl"))
    good = tmp_path / "good.jsonl"
    options = (audited.run, audited.report, "--key", "carl", "--out", good)
    assert audited("audit", "sign", *options).code == 0
    bad = accusing(audited, tmp_path, "carl")
    run = submitted(audited, tmp_path, good)
    for line, holds in ((good, "holds"), (bad, "not_checked")):
        done = audited("audit", "anchor", line, run, "--key", "carl", "--trust", trust)
        assert (done.code, " gas" in done.out) == (0, True), done.err
        assert replayed(audited.verify(run, trust))["status"] == holds
    lacking = '1 attestation that "Carl" sent to the chain is not at hand'
    verdict = audited.verify(run, trust)
    assert (verdict["status"], lacking in verdict["reason"]) == ("indeterminate", True)
    assert lacking in audited("audit", "list", run, "--trust", trust).out
    monkeypatch.setitem(audited.job.environment, "PROVENANCE_TRUST", str(trust))
    done = audited("fsck", run, "--json")
    assert (done.code, done.json["problems"]) == (1, [f"attestations.jsonl: {lacking}"])
    assert audited("fsck", run, "--offline").code == 0
    audited("audit", "submit", bad, run)
    assert audited("fsck", run).code == 0
    assert audited.verify(run, trust)["status"] == "failed"


def test_a_contract_sends_what_no_key_signs(audited: Audited, tmp_path: Path) -> None:
    wallet, out = "0x" + "c0" * 20, tmp_path / "wallet.jsonl"
    trust = audited.trusting(tmp_path / "trust.yaml", (wallet, "House"))
    options = ("--contract", wallet, "--out", out, "--trust", trust)
    done = audited("audit", "sign", audited.run, audited.report, *options, "--json")
    assert (done.code, done.json["signature"]) == (0, "0x"), done.err
    run = submitted(audited, tmp_path, out)
    assert "nobody signed" in audited("audit", "list", run, "--trust", trust).out
    assert replayed(audited.verify(run, trust))["status"] == "not_checked"
    rpc = connect(Settings.load(audited.job.environment))
    rpc.request("anvil_setBalance", [wallet, hex(10**20)])
    rpc.request("anvil_impersonateAccount", [wallet])
    call = {"from": wallet, "to": done.json["to"], "data": done.json["data"], "gas": hex(200_000)}
    rpc.request("eth_sendTransaction", [call])
    rpc.request("anvil_mine", [hex(70)])
    assert replayed(audited.verify(run, trust))["status"] == "holds"
    shown = audited("audit", "list", run, "--trust", trust).out
    assert shown.count('exact by "House" (sent in block ') == 2


def test_what_is_not_to_be_sent_is_refused(audited: Audited, tmp_path: Path) -> None:
    signed, chain = audited.signed("anna"), ("--trust", audited.on_chain)
    altered = tmp_path / "altered.jsonl"
    altered.write_text(signed.read_text().replace('"exact"', '"close"', 1))
    for arguments, code, message in (
        ((signed, audited.run, "--key", "bert", *chain), 2, "no attestation by this key"),
        ((altered, audited.run, "--key", "anna", *chain), 1, "signed by another key"),
        (
            (signed, audited.run, "--key", "anna", "--trust", audited.trust),
            2,
            "the trust file names no contract of attestations",
        ),
        ((signed, tmp_path, "--key", "anna", *chain), 4, ""),
        ((tmp_path / "none", audited.run, "--key", "anna", *chain), 2, "cannot open file"),
    ):
        done = audited("audit", "anchor", *arguments)
        assert (done.code, message in done.err) == (code, True), done.err
        assert len(done.err.strip().splitlines()) == 1, done.err


def test_a_chain_that_is_down_is_told_by_the_list(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(audited.job.environment, "PROVENANCE_RPC_URL", "http://127.0.0.1:9")
    run = submitted(audited, tmp_path, audited.signed("anna"))
    shown = audited("audit", "list", run, "--trust", audited.on_chain)
    assert (shown.code, "the chain was not asked what auditors sent" in shown.out) == (0, True)
    assert "exact by" in shown.out
