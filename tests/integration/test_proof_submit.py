"""`proof submit` on a real chain.

Anyone may have the contract DatasetAudits check statements; `proof verify` tells what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from provenance.chain.abi import keccak
from provenance.digest import sha256
from provenance.errors import InputError, NotFound, ProvenanceError, RejectedError
from provenance.judgement.verdict import Status
from provenance_cli.dataset.app import dataset
from provenance_cli.judge.proof import proof_app
from provenance_cli.setup.deployment import Wanted, audit_keys, deploy_all, write_trust
from provenance_zk.audits.sorted_proofs import FOLDER, chunk_files
from provenance_zk.audits.statement_file import Statement
from provenance_zk.proof_file import point_ints
from provenance_zk.training.ledger import blindings
from tests.support.chain import SALT_KEY, Lab
from tests.support.simulated_keys import SimulatedKey
from tests.support.spine import Data, register_rows

NOBODY = sha256(b"nobody")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A chain of its own with the contract of audits and its keys."""
    lab = Lab.start(tmp_path_factory.mktemp("submit"))
    lab.deployment = deploy_all(
        lab.settings, Wanted(256, tuple(audit_keys(256, large=False))), lambda _: None
    )
    write_trust(lab.settings, lab.deployment, lab.trust_file, "default")
    (lab.settings.home / "salts.key").write_bytes(SALT_KEY)
    (lab.settings.home / "salts.key").chmod(0o600)
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def data(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A registered dataset of 40 records, whose sorted set is not on chain."""
    return register_rows(lab, tmp_path_factory.mktemp("data"), 40)


@pytest.fixture(autouse=True)
def environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = lab.settings
    for name, value in {
        "HOME": settings.home,
        "CACHE": settings.cache,
        "TRUST": lab.trust_file,
        "PASSWORD_FILE": settings.password_file,
    }.items():
        monkeypatch.setenv(f"PROVENANCE_{name}", str(value))


def call(app: Any, *args: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*map(str, args), "--json"])
    if isinstance(done.exception, ProvenanceError) or (
        done.exception is not None and not isinstance(done.exception, SystemExit)
    ):
        raise done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else {}


def name(data: Data) -> tuple[str, str]:
    return "--dataset-id", f"0x{data.registered.dataset_id.hex()}"


def submit(data: Data, *files: object) -> list[tuple[str, bool]]:
    """(kind, whether it was sent) of each file in its order; a stranger sends them."""
    _, value = call(proof_app, "submit", *files, *name(data), "--key", "stranger")
    return [(s["kind"], s["sent"]) for s in value["statements"]]


def statement(data: Data, tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.json"
    asked = data.dataset.digest(3) if kind == "member" else NOBODY
    assert (
        call(dataset, "contains", data.dataset.folder, "--digest", asked, "--prove", path)[1][
            "answer"
        ]
        == {"member": "present", "absent": "absent"}[kind]
    )
    return path


def verify(data: Data, *args: object) -> tuple[int, str, dict[str, str]]:
    """(exit code, status, status of each claim of the first file)."""
    code, value = call(proof_app, "verify", *args, *name(data))
    return code, value["status"], {c["id"]: c["status"] for c in value["verdicts"][0]["claims"]}


def test_anybody_shows_statements_on_chain_once(lab: Lab, tmp_path: Path) -> None:
    """Absence is refused before the sorted set is shown.

    `proof verify` tells what is shown on chain, and needs none of it.
    """
    stranger, data = lab.session("stranger"), register_rows(lab, tmp_path, 40, seed=11)
    member, absent = statement(data, tmp_path, "member"), statement(data, tmp_path, "absent")
    lab.mine()
    code, status, claims = verify(data, member)
    assert (code, status, claims["not.revoked"], claims["shown.on_chain"]) == (
        0,
        "verified",
        "holds",
        "not_checked",
    )
    with pytest.raises(
        RejectedError, match=r"not shown to be sorted on chain.*dataset prove DIR --on-chain"
    ):
        submit(data, absent)
    assert not stranger.latest().is_shown(data.registered.dataset_id, "absent", NOBODY)

    call(dataset, "prove", data.dataset.folder, "--slots", 16)
    chunks = list(chunk_files(data.dataset.folder / FOLDER))
    assert submit(data, absent, member, *chunks) == [
        ("absent", True),
        ("member", True),
        *[("sorted", True)] * 3,
    ]
    sent = lab.chain.rpc().mined_nonce(stranger.address)
    assert submit(data, absent, member, *chunks) == [
        ("absent", False),
        ("member", False),
        *[("sorted", False)] * 3,
    ]
    assert lab.chain.rpc().mined_nonce(stranger.address) == sent
    for file in (member, absent):
        code, status, claims = verify(data, file)
        assert (code, status, set(claims.values())) == (0, "verified", {"holds"})


def test_what_the_contract_shows_never_replaces_the_proof(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The statement is on chain; a file with another proof of it fails all the same."""
    lab.session("stranger")
    path = statement(data, tmp_path, "member")
    submit(data, path)
    other = tmp_path / "other.json"
    call(
        dataset,
        "contains",
        data.dataset.folder,
        "--digest",
        data.dataset.digest(4),
        "--prove",
        other,
    )
    value = json.loads(path.read_text())
    value["proof"]["c"] = json.loads(other.read_text())["proof"]["c"]
    path.write_text(json.dumps(value))
    code, status, claims = verify(data, path)
    assert (code, status, claims["proof.valid"]) == (1, "failed", "fails")
    assert "shown.on_chain" not in claims


def test_a_proof_that_does_not_verify_is_refused_by_the_contract(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    lab.session("stranger")
    path, other = tmp_path / "five.json", tmp_path / "six.json"
    for i, file in ((5, path), (6, other)):
        call(
            dataset,
            "contains",
            data.dataset.folder,
            "--digest",
            data.dataset.digest(i),
            "--prove",
            file,
        )
    value = json.loads(path.read_text())
    value["proof"]["c"] = json.loads(other.read_text())["proof"]["c"]
    path.write_text(json.dumps(value))
    with pytest.raises(RejectedError, match="contract refuses the proof"):
        submit(data, path)
    assert (
        not lab.session("stranger")
        .latest()
        .is_shown(data.registered.dataset_id, "member", bytes(data.dataset.digest(5)))
    )


def test_wrong_input_is_refused_before_anything_is_sent(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    stranger = lab.session("stranger")
    path = statement(data, tmp_path, "member")
    sent = lab.chain.rpc().mined_nonce(stranger.address)
    value = json.loads(path.read_text())

    foreign = value["proof"] | {"vkId": f"0x{keccak(SimulatedKey('member', 1, 5).words).hex()}"}
    for change, what in (
        ({"dataset": value["dataset"] | {"count": 39}}, "another dataset"),
        ({"digest": str(NOBODY)}, "something else than the file says"),
        ({"proof": foreign}, "does not pin the proof's key"),
        ({"kind": "tree"}, "no statement file is of this kind"),
    ):
        altered = tmp_path / "altered.json"
        altered.write_text(json.dumps(value | change))
        with pytest.raises(ProvenanceError, match=what):
            submit(data, altered)
    with pytest.raises(InputError, match="cannot read"):
        submit(data, tmp_path / "missing.json")
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(value["proof"]))
    with pytest.raises(InputError, match="not a statement file"):
        submit(data, bare)
    with pytest.raises(NotFound, match="not registered"):
        call(proof_app, "submit", path, "--dataset-id", "0x" + "12" * 32)
    with pytest.raises(InputError, match="--dataset-id"):
        call(proof_app, "submit", path, "--dataset-id", "0x12")
    with pytest.raises(ProvenanceError):
        call(proof_app, "submit", path, *name(data), "--key", "nobody")
    assert call(proof_app, "submit", path)[0] == 2  # the registration is not guessed
    assert lab.chain.rpc().mined_nonce(stranger.address) == sent


def test_an_unfinished_registration_shows_nothing(lab: Lab, data: Data, tmp_path: Path) -> None:
    """A stranger began it with the same root; its count is not proven."""
    stranger, keys, root = lab.session("stranger"), lab.keys, data.dataset.root
    path = statement(data, tmp_path, "member")
    secret = blindings(tmp_path / "blindings.sqlite", SALT_KEY, "d", 1)
    d = lab.prover.commit_values(keys.epoch.dir, "D", data.dataset.leaves, secret)
    begun = stranger.begin_dataset(
        keys.epoch.vk_id,
        keys.tree.vk_id,
        root,
        [point_ints(p) for p in d.points],
        [point_ints(p) for p in d.poks],
    )
    with pytest.raises(RejectedError, match="not finished"):
        call(proof_app, "submit", path, "--dataset-id", f"0x{begun.hex()}")


def test_a_revoked_registration_revokes_what_was_proven_about_it(lab: Lab, tmp_path: Path) -> None:
    """Its owner may revoke it, a stranger may not. A bare root stands for no registration."""
    theirs = register_rows(lab, tmp_path, 16, session="owner", seed=9)
    path, stranger, owner = (
        statement(theirs, tmp_path, "member"),
        lab.session("stranger"),
        lab.session("owner"),
    )
    stranger.final(stranger.revoke_dataset(theirs.registered.dataset_id, "spite"))
    assert verify(theirs, path)[:2] == (0, Status.VERIFIED)
    owner.final(owner.revoke_dataset(theirs.registered.dataset_id, "consent withdrawn"))
    code, value = call(proof_app, "verify", path, *name(theirs))
    assert (code, value["status"], value["exit_code"]) == (7, "revoked", 7)
    assert "consent withdrawn" in value["verdicts"][0]["reason"]
    root = theirs.dataset.root
    assert (
        call(
            proof_app,
            "verify",
            path,
            "--root",
            root.hex0x,
            "--depth",
            root.depth,
            "--count",
            root.count,
        )[0]
        == 0
    )
    assert Statement.load(path).digest == theirs.dataset.digest(3)


def test_a_trusted_publisher_revokes_too(lab: Lab, tmp_path: Path) -> None:
    theirs = register_rows(lab, tmp_path, 16, session="owner", seed=10)
    path, publisher = statement(theirs, tmp_path, "member"), lab.session()
    publisher.final(publisher.revoke_dataset(theirs.registered.dataset_id, "poisoned"))
    assert verify(theirs, path)[:2] == (7, Status.REVOKED)
