"""A third party checks a file against the chain.

Root, depth, count and the order of the leaves come from the chain, never from the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.writer import ManifestFacts
from provenance.digest import sha256
from provenance.errors import (
    InputError,
    NotFound,
    ProvenanceError,
    RejectedError,
    VerificationError,
)
from provenance.judgement.trust import Key
from provenance.judgement.trust_file import to_yaml
from provenance_cli.dataset.app import dataset
from provenance_cli.judge.proof import proof_app
from provenance_cli.setup.deployment import Wanted, audit_keys, deploy_all, write_trust
from provenance_zk.audits.proving import prove_sorted_set, submit_sorted_set
from provenance_zk.audits.sorted_proofs import publish
from provenance_zk.audits.statement_file import Statement
from provenance_zk.prover.client import Question
from provenance_zk.prover.keys import ensure_keys
from provenance_zk.training.commitments import DatasetCommitter
from tests.support.chain import SALT_KEY, Lab
from tests.support.spine import Data, register_rows
from tests.support.zk.python_tree import PythonTree


@pytest.fixture
def member(lab: Lab, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A statement that record 3 of the registered dataset is a member, under a pinned key."""
    key = ensure_keys(lab.prover, lab.settings.cache / "keys", "member", 1, 5)
    digest = data.dataset.digest(3)
    question = Question(data.dataset.leaves, 5, digest, 3)
    proof = lab.prover.prove_member(key.dir, question, data.dataset.salt(3))
    path = tmp_path / "member.json"
    publish(path, Statement("member", data.dataset.root, digest, proof), key)
    for name, value in {
        "HOME": lab.settings.home,
        "CACHE": lab.settings.cache,
        "TRUST": tmp_path / "trust.yaml",
    }.items():
        monkeypatch.setenv(f"PROVENANCE_{name}", str(value))
    trust = lab.trust
    pinned = replace(trust, keys=(*trust.keys, Key(f"0x{key.vk_id.hex()}", "member", "dev")))
    (tmp_path / "trust.yaml").write_text(to_yaml(pinned))
    (tmp_path / "other.yaml").write_text(
        to_yaml(
            replace(
                pinned,
                contracts={
                    **trust.contracts,
                    "ledger": replace(trust.contracts["ledger"], code_hash="0x" + "00" * 32),
                },
            )
        )
    )
    return path


def verify(*args: object) -> tuple[int, list[str]]:
    """(exit code, ids of the claims that do not hold).

    `shown.on_chain` is left out, since no verdict needs it.
    """
    done = CliRunner().invoke(proof_app, ["verify", *map(str, args), "--json"])
    if isinstance(done.exception, ProvenanceError):
        raise done.exception
    return done.exit_code, [
        c["id"]
        for v in json.loads(done.stdout)["verdicts"]
        for c in v["claims"]
        if c["status"] != "holds" and c["id"] != "shown.on_chain"
    ]


def test_the_registration_names_the_dataset(member: Path, lab: Lab, data: Data) -> None:
    lab.mine()
    assert verify(member, "--dataset-id", "0x" + data.registered.dataset_id.hex()) == (0, [])


def test_a_file_about_fewer_records_is_caught_by_the_registration(
    member: Path, lab: Lab, data: Data
) -> None:
    value = json.loads(member.read_text())
    value["dataset"]["count"] -= 1
    member.write_text(json.dumps(value))
    assert verify(member, "--dataset-id", "0x" + data.registered.dataset_id.hex()) == (
        1,
        ["statement.inputs"],
    )


def test_an_unknown_registration_is_not_found(member: Path) -> None:
    with pytest.raises(NotFound):
        verify(member, "--dataset-id", "0x" + "12" * 32)


def test_contracts_that_are_not_the_pinned_ones_are_not_asked(member: Path, data: Data) -> None:
    with pytest.raises(VerificationError, match="ledger code"):
        verify(
            member,
            "--dataset-id",
            "0x" + data.registered.dataset_id.hex(),
            "--trust",
            member.with_name("other.yaml"),
        )


# the contract of audits


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Data]]:
    """A chain of its own with the contract of audits and its keys, and a registered dataset of 40
    records.
    """
    lab = Lab.start(tmp_path_factory.mktemp("audited"))
    lab.deployment = deploy_all(
        lab.settings, Wanted(256, tuple(audit_keys(256, large=False))), lambda _: None
    )
    write_trust(lab.settings, lab.deployment, lab.trust_file, "default")
    (lab.settings.home / "salts.key").write_bytes(SALT_KEY)
    (lab.settings.home / "salts.key").chmod(0o600)
    yield lab, register_rows(lab, tmp_path_factory.mktemp("data"), 40)
    lab.stop()


@pytest.fixture
def environment(audited: tuple[Lab, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = audited[0].settings
    for name, value in {
        "HOME": settings.home,
        "CACHE": settings.cache,
        "TRUST": audited[0].trust_file,
        "PASSWORD_FILE": settings.password_file,
    }.items():
        monkeypatch.setenv(f"PROVENANCE_{name}", str(value))


def call(*args: object) -> dict[str, object]:
    done = CliRunner().invoke(dataset, [*map(str, args), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    value: dict[str, object] = json.loads(done.stdout)
    return value


@pytest.mark.usefixtures("environment")
def test_a_set_shown_on_chain_is_enough_for_a_third_party(
    audited: tuple[Lab, Data], tmp_path: Path
) -> None:
    lab, data = audited
    folder, path, named = (
        data.dataset.folder,
        tmp_path / "absent.json",
        ("--dataset-id", "0x" + data.registered.dataset_id.hex()),
    )
    assert (
        call("contains", folder, "--digest", sha256(b"nobody"), "--prove", path)["answer"]
        == "absent"
    )
    lab.mine()
    assert verify(path, *named) == (3, ["dataset.sorted"])
    with pytest.raises(InputError, match="another number of leaves"):
        call("prove", folder, "--on-chain", "--slots", 256)
    done = call("prove", folder, "--on-chain")
    assert (done["chunks"], done["slots"], done["contract"]) == (3, 16, lab.deployment.audits)
    assert verify(path, *named) == (0, [])
    # what the chain knows is not sent again
    assert call("prove", folder, "--on-chain")["chunks"] == 3
    # A set of one dataset says nothing about another one, and an unpinned contract says nothing at
    # all.
    assert verify(path, "--root", f"0x{7:064x}", "--depth", 5, "--count", 40) == (
        1,
        ["dataset.named"],
    )
    unpinned = tmp_path / "unpinned.yaml"
    known = {name: c for name, c in lab.trust.contracts.items() if name != "audits"}
    unpinned.write_text(to_yaml(replace(lab.trust, contracts=known)))
    assert verify(path, *named, "--trust", unpinned) == (3, ["dataset.sorted"])


@pytest.mark.usefixtures("environment")
def test_a_dataset_that_is_not_registered_cannot_be_shown_on_chain(tmp_path: Path) -> None:
    facts = ManifestFacts("test", "CC0-1.0", "text")
    committer = DatasetCommitter(PythonTree(), SALT_KEY)
    committer.commit([{"text": "a record"}], tmp_path / "data", facts)
    with pytest.raises(NotFound, match="not registered"):
        call("prove", tmp_path / "data", "--on-chain")


@pytest.mark.usefixtures("environment")
def test_the_contract_refuses_the_set_of_another_dataset(
    audited: tuple[Lab, Data], tmp_path: Path
) -> None:
    lab, data = audited
    rows = [{"text": f"other record {i}"} for i in range(40)]
    facts = ManifestFacts("test", "CC0-1.0", "text")
    DatasetCommitter(PythonTree(), SALT_KEY).commit(rows, tmp_path / "data", facts)
    other = register_rows(lab, tmp_path / "other", 40, seed=8)
    key = ensure_keys(lab.prover, lab.settings.cache / "keys", "sorted", 16, 5)
    with CommittedDataset.open(tmp_path / "data", SALT_KEY) as opened:
        statements = prove_sorted_set(opened, tmp_path / "proofs", key, lab.prover, lambda _: None)
    with pytest.raises(RejectedError):
        submit_sorted_set(statements, other.registered.dataset_id, lab.session(), lambda _: None)
    assert not lab.session().latest().sorted_complete(other.registered.dataset_id, key.vk_id)
    assert data.registered.dataset_id != other.registered.dataset_id
