"""From a draw to a verdict that takes the word of two auditors, and what each command refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.ids import Word
from provenance.log.audit.draw import drawn
from provenance.log.audit.kept import read_attestations
from tests.cli.audit.conftest import AUDITORS, Audited


def test_two_auditors_lift_the_edge_where_nothing_is_trained(
    audited: Audited, tmp_path: Path
) -> None:
    run = audited.copy(tmp_path)
    for name, holds in (("anna", False), ("bert", True)):
        done = audited("audit", "submit", audited.signed(name), run)
        assert (done.code, done.out.split(" added")[0]) == (0, "1 of 1 attestations"), done.err
        verdict = audited.verify(run)
        assert verdict["status"] == "verified"
        assert ("training.replayed" not in verdict["not_checked"]) is holds
    assert {e["kind"]: e["grade"] for e in verdict["edges"]}["adapter_from"] == "audited"
    assert "that the auditors trained as they signed" in verdict["limits"]
    training = verdict["training"]
    assert (training["needed"], training["drawn_by"]) == (2, audited.draw["block"])
    signed = [{"name": name, "classes": {"exact": 1}} for name in AUDITORS]
    assert [(s["audited"], s["auditors"]) for s in training["segments"]] == [(1, signed)] * 2
    again = audited("audit", "submit", audited.signed("anna"), run)
    assert "0 of 1 attestations added" in again.out


def test_the_list_names_auditors_of_the_trust_file(audited: Audited, tmp_path: Path) -> None:
    run = audited.copy(tmp_path)
    before = audited("audit", "list", run)
    assert before.out.count("nobody signed") == len(before.out.splitlines()) == 2
    audited("audit", "submit", audited.signed("anna"), run)
    named = audited("audit", "list", run, "--trust", audited.trust)
    assert named.out.splitlines()[0].endswith('exact by "anna"')
    (one, *_), *_ = [
        row["signed"] for row in audited("audit", "list", run, "--json").json["segments"]
    ]
    assert (one["name"], one["class"], one["nonce"]) == (None, "exact", audited.draw["nonce"])


def test_the_block_that_draws_is_told(audited: Audited) -> None:
    assert audited.draw["block"] == audited.draw["closed_in_block"] + 2
    assert audited.draw["drawn"] == [0, 1]
    report = json.loads(audited.report.read_text())
    assert report["nonce"] == audited.draw["nonce"]
    one = audited("audit", "draw", audited.run)
    assert one.out.startswith(f"block {audited.draw['block']} drew 1 of 2 segments")


def keep_the_other(value: dict[str, Any]) -> None:
    """Leave out the one that came first by the nonce."""
    (first,) = drawn(2, 1, Word.parse(value["nonce"]))
    del value["replayed"][first]


def draw_the_other(value: dict[str, Any]) -> None:
    nonces = (Word(bytes([n]) * 32) for n in range(99))
    value["nonce"] = str(next(nonce for nonce in nonces if drawn(2, 1, nonce) == [1]))
    del value["replayed"][1]


Change = Callable[[dict[str, Any]], object]
REPORTS: dict[str, tuple[Change, int, str]] = {
    "another format": (lambda v: v.update(format="x"), 2, "not the report of a replay"),
    "one segment less": (keep_the_other, 2, "other segments than its nonce drew"),
    "another nonce": (draw_the_other, 2, "other segments than its nonce drew"),
    "no such class": (lambda v: v["replayed"][0].update({"class": "fine"}), 2, "not the report"),
    "another log": (lambda v: v.update(root="0x" + "01" * 32), 1, "about another log"),
    "a shorter log": (lambda v: v.update(size=3), 1, "about another log"),
    "more segments": (lambda v: v.update(segments=10**6), 2, "other segments than its nonce"),
    "nothing": (lambda v: v.clear(), 2, "not the report of a replay"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_that_was_altered_is_not_signed(
    audited: Audited, tmp_path: Path, name: str
) -> None:
    change, code, message = REPORTS[name]
    value = json.loads(audited.report.read_text())
    change(value)
    report, out = tmp_path / "report.json", tmp_path / "out.jsonl"
    report.write_text(json.dumps(value))
    done = audited("audit", "sign", audited.run, report, "--key", "anna", "--out", out)
    assert (done.code, message in done.err) == (code, True), done.err
    assert not out.exists()


def test_the_publisher_does_not_sign_as_an_auditor(audited: Audited, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = audited("audit", "sign", audited.run, audited.report, "--out", out)
    assert done.code == 2
    assert "this key signed the run itself" in done.err
    assert not out.exists()


def altered(signed: Path, old: str, new: str, out: Path) -> Path:
    text = signed.read_text()
    assert old in text
    out.write_text(text.replace(old, new, 1))
    return out


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ('"exact"', '"close"', 1, "attestation is signed by another key"),
        ('"segments": 2', '"segments": 3', 1, "attestation is about another number of segments"),
        ('"segments": 2', '"segments": "2"', 2, "not an attestation"),
        ("{", "[", 2, "not an attestation"),
    ],
)
def test_an_altered_attestation_is_not_kept(
    audited: Audited, tmp_path: Path, old: str, new: str, code: int, message: str
) -> None:
    run = audited.copy(tmp_path)
    file = altered(audited.signed("anna"), old, new, tmp_path / "altered.jsonl")
    good = audited.signed("bert").read_text()
    file.write_text(good + file.read_text())
    done = audited("audit", "submit", file, run)
    assert (done.code, message in done.err, "line 2" in done.err) == (code, True, True), done.err
    assert not (run / "provenance/attestations.jsonl").exists()  # not even the good one


def test_what_is_not_there_is_named(audited: Audited, tmp_path: Path) -> None:
    none = tmp_path / "none"
    for arguments in (
        ("draw", none),
        ("list", none),
        ("submit", none, audited.run),
        ("submit", audited.signed("anna"), none),
        ("sign", audited.run, none, "--key", "anna", "--out", tmp_path / "out"),
        ("sign", none, audited.report, "--key", "anna", "--out", tmp_path / "out"),
        ("sign", audited.run, audited.report, "--key", "nobody", "--out", tmp_path / "out"),
    ):
        done = audited("audit", *arguments)
        assert done.code in (2, 4), arguments
        assert len(done.err.strip().splitlines()) == 1, done.err


def test_signatures_of_one_auditor_say_what_was_replayed(audited: Audited) -> None:
    (signed,) = read_attestations(audited.signed("anna"))
    assert {one.outcome for one in signed.audit.replayed} == {"exact"}
    assert signed.audit.stack["torch"]
