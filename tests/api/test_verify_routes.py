"""`GET /verify`: which ids it understands, what it answers, and what it never believes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from provenance.digest import sha256
from provenance.errors import UnavailableError
from provenance.log.record import Record
from provenance.settings import Settings
from provenance_api.db import Database
from provenance_cli.wiring import reader_for
from tests.support.chain import Lab
from tests.support.service import HTML, REASON, ClientFactory, StateFactory
from tests.support.spine import TIME, Data, Plan, Run, build_run

KEYS = {
    "format",
    "status",
    "word",
    "exit_code",
    "reason",
    "subject",
    "claims",
    "not_checked",
    "edges",
    "development",
    "sibling_runs",
    "release",
    "interval",
    "training",
    "trust",
    "limits",
}
SUBJECT_KEYS = {"name", "digest", "file_seen", "asked", "asked_by"}
RELEASE_KEYS = {
    "run_id",
    "owner",
    "index",
    "seq",
    "block",
    "manifest",
    "record",
    "publisher",
    "name",
}


def test_released_model_is_verified(client: TestClient, honest: Run) -> None:
    answer = client.get(f"/verify/{honest.model}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    verdict = answer.json()
    assert verdict["status"] == "verified"
    assert verdict["word"] == "Verified (development)"
    assert verdict["subject"]["digest"] == str(honest.model)
    assert verdict["subject"]["file_seen"] is False
    assert "file.recomputed" in verdict["not_checked"]


def test_keys_of_the_answer_are_frozen(client: TestClient, honest: Run) -> None:
    verdict = client.get(f"/verify/{honest.model}").json()
    assert set(verdict) == KEYS
    assert set(verdict["subject"]) == SUBJECT_KEYS
    assert set(verdict["release"]) == RELEASE_KEYS
    assert {frozenset(e) for e in verdict["edges"]} <= {
        frozenset({"kind", "parent", "child", "grade"}),
        frozenset({"kind", "parent", "child", "grade", "note"}),
    }
    for claim in verdict["claims"]:
        assert {"id", "step", "status", "text"} <= set(claim)


def test_every_form_of_a_digest_is_understood(client: TestClient, honest: Run) -> None:
    body = honest.model.hex()
    for form in (f"sha256:{body}", body, f"0x{body}", body.upper(), f"SHA256:{body}", f"  {body} "):
        for answer in (client.get(f"/verify/{form}"), client.get("/verify", params={"id": form})):
            assert answer.status_code == 200, form
            assert answer.json()["subject"]["asked_by"] == "digest"
            assert answer.json()["subject"]["asked"] == form


def test_release_name_stands_for_its_file(client: TestClient, honest: Run) -> None:
    verdict = client.get("/verify/model").json()
    assert verdict["status"] == "verified"
    assert verdict["subject"]["asked_by"] == "name"
    assert verdict["subject"]["digest"] == str(honest.model)


def test_manifest_digest_stands_for_its_file(client: TestClient, honest: Run) -> None:
    manifest = sha256(b"folder")
    verdict = client.get(f"/verify/{manifest}").json()
    assert verdict["status"] == "verified"
    assert verdict["subject"]["asked_by"] == "manifest"
    assert verdict["subject"]["digest"] == str(honest.model)
    assert verdict["release"]["manifest"] == str(manifest)


def test_unknown_digest_is_404_with_a_verdict(client: TestClient) -> None:
    answer = client.get(f"/verify/{sha256(b'never released')}")
    assert answer.status_code == 404
    assert set(answer.json()) == KEYS
    assert answer.json()["status"] == "not_found"


def test_unknown_name_is_a_problem_that_says_what_was_searched(client: TestClient) -> None:
    for model_id in (
        "nobody",
        "org/nobody:3",
        "oci://registry/x@sha256:" + 64 * "0",
        "org/name@commit",
    ):
        answer = client.get("/verify", params={"id": model_id})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert (
            answer.json()["code" if "code" in answer.json() else "type"]
            == "urn:provenance:problem:not-found"
        )
        assert answer.json()["searched"]


@pytest.mark.parametrize(
    "model_id",
    [
        "",
        "   ",
        "sha256:",
        "sha256:12",
        "sha256:" + 64 * "g",
        "0x12",
        "0x" + 65 * "a",
        "sha256:" + 128 * "a",
        "a\x00b",
        "a\nb",
        "../../etc/passwd",
        "a/../b",
        "..",
        "/etc/passwd",
        "..\\..\\x",
        "\u202etxt",
    ],
)
def test_malformed_ids_are_400(client: TestClient, model_id: str) -> None:
    answer = client.get("/verify", params={"id": model_id})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:provenance:problem:input"


@pytest.mark.parametrize(
    "path",
    [
        "/verify/..%2f..%2fetc%2fpasswd",
        "/verify/%2fetc%2fpasswd",
        "/static/..%2fpage.py",
        "/static/..%2f..%2f..%2fapp.py",
        "/static/%2fetc%2fpasswd",
    ],
)
def test_paths_in_requests_read_no_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_oversized_ids_are_refused(client: TestClient) -> None:
    for model_id in (513 * "a", 20_000 * "a"):
        answer = client.get(f"/verify/{model_id}")
        assert answer.status_code == 400
        assert answer.json()["actual"] == str(len(model_id))
        assert len(answer.content) < 1000


def test_missing_id_and_unknown_format_are_400(client: TestClient, honest: Run) -> None:
    assert client.get("/verify").status_code == 400
    assert client.get(f"/verify/{honest.model}?format=xml").status_code == 400


def named(run: Run, name: str, model: bytes) -> Record:
    return Record.make(
        "release",
        TIME,
        run_id="0x" + run.run_id.hex(),
        model=str(sha256(model)),
        manifest=str(sha256(b"m" + model)),
        name=name,
    )


def test_several_releases_by_one_name_are_listed(make_client: ClientFactory, twice: Run) -> None:
    client = make_client(twice.folder.root)
    answer = client.get("/verify/llama")
    assert answer.status_code == 409
    assert {m["version"] for m in answer.json()["matches"]} == {"1", "2"}
    one = client.get("/verify/llama:1")
    assert one.json()["subject"]["digest"] == str(sha256(b"one"))
    assert one.json()["release"]["run_id"] == "0x" + twice.run_id.hex()


# Folders that somebody planted beside the honest evidence.


def test_a_name_that_nobody_claimed_on_chain_is_not_answered(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    run.log(named(run, "llama", b"one"))
    answer = make_client(tmp_path).get("/verify/llama")
    assert answer.status_code == 404
    assert "no trusted publisher claimed one of them on chain" in answer.json()["detail"]


def test_a_planted_name_leaves_the_honest_one_as_it_is(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    """Newer records under the same name, of another file and of the same one."""
    shutil.copytree(honest.folder.root, tmp_path / "b" / "honest")
    before = make_client(tmp_path / "b").get("/verify/model").json()
    planted = honest.copy(tmp_path / "a" / "planted")
    info = json.loads(planted.folder.info.read_text())
    planted.folder.info.write_text(json.dumps(info | {"run_id": "0x" + 64 * "5"}))
    for model in (b"backdoored", honest.file.read_bytes()):
        planted.log(named(planted, "model", model))
    after = make_client(tmp_path / "a", tmp_path / "b").get("/verify/model").json()
    assert (after["status"], after["subject"]) == (before["status"], before["subject"])
    assert after["status"] == "verified"


def test_a_folder_that_names_an_honest_run_does_not_stand_in_its_place(
    make_client: ClientFactory, honest: Run, hostile: Run, tmp_path: Path
) -> None:
    planted = hostile.copy(tmp_path / "a" / "planted")
    info = json.loads(planted.folder.info.read_text())
    planted.folder.info.write_text(json.dumps(info | {"run_id": "0x" + honest.run_id.hex()}))
    client = make_client(tmp_path)
    assert client.get("/verify/model").status_code == 404
    shutil.copytree(honest.folder.root, tmp_path / "b" / "honest")
    answer = client.get("/verify/model")
    assert answer.json().get("status") == "verified", answer.text


def test_a_planted_copy_without_proofs_leaves_the_verdict_as_it_is(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    bare = honest.copy(tmp_path / "a" / "bare")
    shutil.rmtree(bare.folder.evidence / "epochs")
    forged = honest.copy(tmp_path / "b" / "forged")
    line = forged.folder.heads.read_bytes().splitlines()[0]
    head = json.loads(line) | {"root": "0x" + 64 * "7"}
    forged.folder.heads.write_bytes(json.dumps(head).encode() + b"\n")
    shutil.copytree(honest.folder.root, tmp_path / "c" / "honest")
    answer = make_client(tmp_path).get(f"/verify/{honest.model}")
    assert answer.json()["status"] == "verified", answer.text


def test_revoked_model_is_revoked(make_client: ClientFactory, revoked: Run) -> None:
    verdict = make_client(revoked.folder.root).get(f"/verify/{revoked.model}").json()
    assert verdict["status"] == "revoked"
    assert REASON in verdict["reason"]


def test_revocation_ends_a_kept_verdict(
    make_client: ClientFactory, lab: Lab, data: Data, tmp_path: Path, kind: str
) -> None:
    plan = Plan(model=f"soon revoked, {kind}".encode(), opening={"code": {"commit": "late"}})
    run = build_run(lab, data, tmp_path, plan)
    client = make_client(run.folder.root)
    assert client.get(f"/verify/{run.model}").json()["status"] == "verified"
    session = lab.session()
    session.final(session.revoke(run.run_id, run.release_index, "late"))
    assert client.get(f"/verify/{run.model}").json()["status"] == "revoked"


def test_without_evidence_nothing_is_verified(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    answer = make_client(tmp_path).get(f"/verify/{honest.model}")
    assert answer.status_code == 200
    assert answer.json()["status"] == "indeterminate"
    assert "release.logged" in answer.json()["not_checked"]


def test_chain_down_is_undetermined(
    make_client: ClientFactory, lab: Lab, honest: Run, tmp_path: Path
) -> None:
    nowhere = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    client = make_client(honest.folder.root, reader=lambda: reader_for(nowhere, lab.trust))
    answer = client.get(f"/verify/{honest.model}")
    assert answer.status_code == 200
    assert answer.json()["status"] == "indeterminate"
    assert client.get("/healthz").json()["chain"]["status"] == "unreachable"


def test_endpoint_addresses_stay_private(
    make_client: ClientFactory, lab: Lab, honest: Run, tmp_path: Path
) -> None:
    settings = Settings(
        home=tmp_path, cache=tmp_path, rpc_url="http://127.0.0.1:9/v3/secret-access-key"
    )
    client = make_client(honest.folder.root, reader=lambda: reader_for(settings, lab.trust))
    for path in (f"/verify/{honest.model}", f"/verify/{honest.model}?format=html", "/healthz"):
        assert "secret-access-key" not in client.get(path).text


def test_folders_stay_private(make_client: ClientFactory, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    journal = run.folder.journal.read_bytes()
    run.folder.journal.write_bytes(journal[:300] + b"damage" + journal[306:])
    client = make_client(tmp_path)
    for path in (f"/verify/{honest.model}", "/healthz", "/verify/nobody"):
        assert str(tmp_path) not in client.get(path).text
    assert client.get(f"/verify/{honest.model}").json()["status"] == "failed"
    assert client.get("/healthz").json()["evidence"]["status"] == "problems"


def test_prover_missing_is_undetermined(make_client: ClientFactory, honest: Run) -> None:
    def missing() -> object:
        raise UnavailableError("prover is not installed", where="/opt/secret/zkprover")

    client = make_client(honest.folder.root, prover=missing)
    verdict = client.get(f"/verify/{honest.model}").json()
    assert verdict["status"] == "indeterminate"
    assert client.get("/healthz").json()["prover"]["status"] == "unreachable"


def test_new_run_is_found_by_name_without_a_restart(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    client = make_client(tmp_path)
    assert client.get("/verify/model").status_code == 404
    shutil.copytree(honest.folder.root, tmp_path / "run")
    assert client.get("/verify/model").json()["status"] == "verified"


# The operator's database is altered.


def alter(database: Database, statement: str) -> None:
    with database.session() as session:
        session.execute(text(statement))


def test_altered_database_gives_no_verdict_to_another_name(
    make_client: ClientFactory, database: Database, honest: Run
) -> None:
    client = make_client(honest.folder.root)
    alter(database, "UPDATE releases SET name = 'llama'")
    answer = client.get("/verify/llama")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:provenance:problem:verification"


def test_altered_database_gives_no_verdict_to_another_manifest(
    make_client: ClientFactory, database: Database, honest: Run
) -> None:
    client = make_client(honest.folder.root)
    other = sha256(b"another folder")
    with database.session() as session:
        session.execute(text("UPDATE releases SET manifest = :m"), {"m": bytes(other)})
    assert client.get(f"/verify/{other}").status_code == 500


def test_altered_database_verifies_no_other_file(
    make_client: ClientFactory, database: Database, honest: Run
) -> None:
    client = make_client(honest.folder.root)
    other = sha256(b"backdoored model")
    with database.session() as session:
        session.execute(text("UPDATE releases SET model = :m"), {"m": bytes(other)})
    assert client.get(f"/verify/{other}").json()["status"] == "not_found"
    for model_id in ("model", honest.model):
        answer = client.get(f"/verify/{model_id}").json()
        assert answer["status"] == "verified"
        assert answer["subject"]["digest"] == str(honest.model)


def test_altered_database_is_named_at_the_next_start(
    make_client: ClientFactory, database: Database, honest: Run
) -> None:
    make_client(honest.folder.root)
    alter(database, "UPDATE records SET type = 'eval' WHERE \"index\" = 1")
    health = make_client(honest.folder.root).get("/healthz").json()
    assert health["status"] == "degraded"
    assert "record 1" in health["evidence"]["detail"]


def test_database_down_leaves_verdicts_by_digest(make_client: ClientFactory, honest: Run) -> None:
    client = make_client(
        honest.folder.root, database=Database("postgresql://user:hunter2@127.0.0.1:9/nothing")
    )
    assert client.get(f"/verify/{honest.model}").json()["status"] == "verified"
    answer = client.get("/verify/model")
    assert answer.status_code == 503
    assert "hunter2" not in answer.text
    assert client.get("/healthz").json()["database"]["status"] == "unreachable"
    assert client.get("/", headers=HTML).status_code == 200
    assert client.get("/").status_code == 503


def test_claim_by_a_stranger_is_not_found(
    make_client: ClientFactory, lab: Lab, honest: Run, make_state: StateFactory
) -> None:
    trust = lab.trust.__class__(**{**lab.trust.__dict__, "publishers": ()})
    answer = make_client(honest.folder.root, trust=trust).get(f"/verify/{honest.model}")
    assert answer.status_code == 404
