"""A third party takes root, depth and count from the chain's registration, never from the file it checks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provenance.errors import NotFound, ProvenanceError, VerificationError
from provenance.trust import Contract, Key
from provenance_zk.keys import ensure_keys
from provenance_zk.proof_commands import proof_app
from provenance_zk.sorted_proofs import publish_key
from provenance_zk.statement_file import Statement
from tests.support.chain import Lab
from tests.support.spine import Data


@pytest.fixture
def member(lab: Lab, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A statement that record 3 of the registered dataset is a member; the trust file pins its key."""
    key = ensure_keys(lab.prover, lab.settings.cache / "keys", "member", 1, 5)
    digest = data.dataset.digest(3)
    proof = lab.prover.prove_member(key.dir, data.dataset.leaves, 3, digest, data.dataset.salt(3), 5)
    path = tmp_path / "member.json"
    path.write_bytes(Statement("member", data.dataset.root, digest, proof).to_bytes())
    publish_key(tmp_path, key)
    for name, value in {"HOME": lab.settings.home, "CACHE": lab.settings.cache, "TRUST": tmp_path / "trust.yaml"}.items():
        monkeypatch.setenv(f"PROVENANCE_{name}", str(value))
    trust = lab.trust
    pinned = replace(trust, keys=(*trust.keys, Key(f"0x{key.vk_id.hex()}", "member", "dev")))
    (tmp_path / "trust.yaml").write_text(pinned.to_yaml())
    (tmp_path / "other.yaml").write_text(replace(pinned, ledger=Contract(trust.ledger.address, "0x" + "00" * 32)).to_yaml())
    return path


def verify(*args: object) -> tuple[int, list[str]]:
    """(exit code, ids of the claims that do not hold)."""
    done = CliRunner().invoke(proof_app, ["verify", *map(str, args), "--json"])
    if isinstance(done.exception, ProvenanceError):
        raise done.exception
    return done.exit_code, [c["id"] for v in json.loads(done.stdout)["verdicts"] for c in v["claims"] if c["status"] != "holds"]


def test_the_registration_names_the_dataset(member: Path, lab: Lab, data: Data) -> None:
    lab.mine()
    assert verify(member, "--dataset-id", "0x" + data.registered.dataset_id.hex()) == (0, [])


def test_a_file_about_fewer_records_is_caught_by_the_registration(member: Path, lab: Lab, data: Data) -> None:
    value = json.loads(member.read_text())
    value["dataset"]["count"] -= 1
    member.write_text(json.dumps(value))
    assert verify(member, "--dataset-id", "0x" + data.registered.dataset_id.hex()) == (1, ["statement.inputs"])


def test_an_unknown_registration_is_not_found(member: Path) -> None:
    with pytest.raises(NotFound):
        verify(member, "--dataset-id", "0x" + "12" * 32)


def test_contracts_that_are_not_the_pinned_ones_are_not_asked(member: Path, data: Data) -> None:
    with pytest.raises(VerificationError, match="ledger code"):
        verify(member, "--dataset-id", "0x" + data.registered.dataset_id.hex(), "--trust", member.with_name("other.yaml"))
