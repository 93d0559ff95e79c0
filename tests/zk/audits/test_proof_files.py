"""`proof verify` with malformed files, and with missing or contradicting options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provenance.digest import sha256
from provenance.errors import ConfigError, InputError, UnavailableError
from provenance.ids import DatasetId
from provenance_zk.audits import statement_file
from provenance_zk.audits.ledger import send_statement
from provenance_zk.audits.statement_file import DATASET_KINDS, Statement
from provenance_zk.field import R
from tests.support.zk.command import Call
from tests.support.zk.desk import DATASET, DIGEST, Desk, absent, member, sorted_statement


def test_public_inputs_above_the_field_are_refused(desk: Desk) -> None:
    proof = replace(member().proof, public=(DATASET.root + R, *member().proof.public[1:]))
    assert "proof.valid" in desk.failing(desk.write(replace(member(), proof=proof)))
    assert "proof.valid" in desk.failing(desk.write(replace(member(), proof=proof)), "--slow")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "provenance-statement/2"},
        {"kind": "tree"},
        {"kind": "absent"},
        {"kind": "subset"},
        {"kind": ["member"]},
        {"kind": {}},
        {"kind": None},
        {"digest": None},
        {"digest": "sha256:12"},
        {"digest": DIGEST.hex()},
        {"digest": f"sha256:{DIGEST.hex().upper()}"},
        {"extra": 1},
        {"proof": {}},
        {"proof": absent().proof.to_json()},
        {"dataset": {"root": DATASET.hex0x, "depth": 5}},
        {"dataset": {**DATASET.to_json(), "count": 0}},
        {"kind": "sorted"},
    ],
)
def test_malformed_statements_are_usage_errors(desk: Desk, change: dict[str, Any]) -> None:
    done = desk.verify(desk.write(member().to_json() | change))
    assert done.code == 2
    assert isinstance(done.error, InputError)


@pytest.mark.parametrize("kind", DATASET_KINDS)
def test_every_kind_of_the_table_has_a_sentence(kind: str) -> None:
    made = {"sorted": sorted_statement(0), "member": member(), "absent": absent()}[kind]
    assert "records under root 0x" in made.sentence()
    made.require_inputs(16)
    assert Statement.from_json(made.to_json()) == made


def test_a_kind_that_only_the_table_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_file, "DATASET_KINDS", (*DATASET_KINDS, "subset"))
    with pytest.raises(InputError, match="kind"):
        Statement.from_json(member().to_json() | {"kind": "subset"})
    unknown = replace(member(), kind="subset")
    for use in (
        unknown.sentence,
        lambda: unknown.require_inputs(16),
        lambda: unknown.needs_order,
        lambda: send_statement(object(), DatasetId(bytes(32)), unknown),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match="kind"):
            use()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"[" * 1000, b'{"format":1,"format":2}', b" " * (1 << 18), b"\xff"]
)
def test_files_that_are_no_proofs_are_usage_errors(desk: Desk, data: bytes) -> None:
    path = desk.folder / "file.json"
    path.write_bytes(data)
    assert desk.verify(path).code == 2
    assert desk.verify(desk.folder / "missing.json").code == 2
    assert desk.verify(desk.folder).code == 2


@pytest.mark.parametrize(
    "args",
    [
        ["--root", "0x12"],
        ["--count", "40"],
        ["--root", "0x" + "0" * 64, "--depth", "4", "--count", "40"],
        ["--root", "0x" + "f" * 64, "--depth", "5", "--count", "40"],
        ["--root", "0x" + "0" * 64, "--depth", "5", "--count", "0"],
        ["--dataset-id", "0x12"],
        ["--dataset-id", "0x" + "0" * 64, "--count", "4"],
    ],
)
def test_half_named_datasets_are_usage_errors(desk: Desk, args: list[str]) -> None:
    done = desk.verify(desk.write(member()), *args, named=None)
    assert done.code == 2
    assert isinstance(done.error, InputError)


def test_a_chain_out_of_reach_is_exit_3(desk: Desk) -> None:
    done = desk.verify(desk.write(member()), "--dataset-id", "0x" + "0" * 64, named=None)
    assert isinstance(done.error, UnavailableError)


def test_without_a_trust_file_there_is_no_verdict(desk: Desk) -> None:
    (desk.folder / "trust.yaml").unlink()
    assert isinstance(desk.verify(desk.write(member())).error, ConfigError)


def test_the_worst_verdict_decides_the_exit_code(desk: Desk) -> None:
    good, open_, bad = (
        desk.write(member()),
        desk.write(absent(), "a.json"),
        desk.write(replace(member(), digest=sha256(b"x")), "b.json"),
    )
    assert desk.status(good) == (0, "verified")
    assert desk.status(good, open_) == (3, "indeterminate")
    assert desk.status(good, open_, bad) == (1, "failed")


def test_the_verdict_for_people_is_a_sentence(desk: Desk, call: Call) -> None:
    named = ("--root", DATASET.hex0x, "--depth", 5, "--count", 40)
    done = call("proof", "verify", desk.write(member()), *named)
    assert done.out.startswith(
        f"VERIFIED (development)  file.json: {DIGEST} is the digest of one of the 40 records "
        "under root 0x"
    )
    assert "not shown: that the dataset was used to train" in done.out
