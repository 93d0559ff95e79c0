"""Problem details, headers, health, trust file, OpenAPI."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from provenance import errors
from provenance.digest import sha256
from provenance.errors import ProvenanceError
from provenance_api.app import create_app
from provenance_api.db.engine import RefusedValue, WrittenMeanwhile
from provenance_api.headers import HEADERS
from provenance_api.problems import STATUS, AmbiguousModel, UnknownModel, problem_of, status_of
from provenance_api.tenants.room import InboxFull
from provenance_api.tenants.tokens import MayNotPush
from tests.support.chain import Lab
from tests.support.service import ClientFactory, StateFactory
from tests.support.spine import Run

OPERATIONS = {
    "get /verify": "verifyModelByQuery",
    "get /verify/{model_id}": "verifyModel",
    "get /runs": "listRuns",
    "get /runs/{run_id}": "getRun",
    "get /runs/{run_id}/records": "listRecords",
    "get /runs/{run_id}/records/{index}": "getRecord",
    "get /records/{digest}": "getRecordBytes",
    "get /runs/{run_id}/heads": "listHeads",
    "get /runs/{run_id}/proofs": "listProofs",
    "get /runs/{run_id}/proofs/{epoch}/{chunk}": "getProof",
    "get /": "getHome",
    "get /datasets": "listDatasets",
    "get /datasets/{dataset_id}": "getDataset",
    "get /releases": "listReleases",
    "get /tx/{tx_hash}": "getTransaction",
    "get /block/{block}": "getBlock",
    "get /address/{address}": "getAddress",
    "get /keys": "listKeys",
    "get /keys/{vk_id}": "getKey",
    "get /revocations": "listRevocations",
    "get /search": "search",
    "get /healthz": "getHealth",
    "get /version": "getVersion",
    "get /.well-known/provenance-trust.yaml": "getTrustFile",
    "post /verify": "verifyFolder",
    "get /badge/{model_id}": "getBadge",
    "get /push/{run_id}": "getPushState",
    "patch /push/{run_id}/journal": "pushJournal",
    "put /push/{run_id}/files/{name}": "pushFile",
    "post /push/{run_id}/check": "checkPush",
}
ERRORS = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, ProvenanceError)
] + [RefusedValue, WrittenMeanwhile, InboxFull]  # what a database says of itself is for no client


def test_problem_table_is_complete() -> None:
    assert set(STATUS) == {*ERRORS, MayNotPush}


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_becomes_a_problem(error: type[ProvenanceError]) -> None:
    value = problem_of(
        error("it broke", where="/srv/private", expected=1, actual=2, hint="mend it")
    ).to_json()
    assert value["type"] == f"urn:provenance:problem:{error.code}"
    assert value["status"] == STATUS[error] == status_of(error("x"))
    assert value["detail"] == "it broke"
    assert value["hint"] == "mend it"
    assert value["title"]
    assert ("/srv/private" in str(value)) is (value["status"] < 500)


def test_subclasses_take_the_status_of_their_nearest_parent() -> None:
    assert status_of(UnknownModel("x", ("names",))) == 404
    assert status_of(AmbiguousModel("x", ())) == 409
    assert status_of(MayNotPush()) == 403


def test_problems_follow_the_accept_header(client: TestClient) -> None:
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert (
        client.get("/nowhere", headers={"accept": "text/html"})
        .headers["content-type"]
        .startswith("text/html")
    )
    answer = client.post("/verify/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["status"] == 405


def test_bugs_are_500_and_say_nothing(make_client: ClientFactory, honest: Run) -> None:
    def broken() -> object:
        raise RuntimeError("secret detail")

    client = make_client(honest.folder.root, reader=broken)
    answer = client.get(f"/verify/{honest.model}")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    ["/", "/verify/x", "/verify?id=", "/healthz", "/static/site.css", "/nowhere", "/openapi.json"],
)
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert {k: answer.headers.get(k) for k in HEADERS} == HEADERS
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy


def test_health_names_every_part(client: TestClient) -> None:
    health = client.get("/healthz").json()
    assert health["status"] == "ok"
    assert {k for k in health if k != "status"} == {"chain", "database", "prover", "evidence"}


def test_the_trust_file_is_served_byte_for_byte(client: TestClient, lab: Lab) -> None:
    answer = client.get("/.well-known/provenance-trust.yaml")
    assert answer.content == lab.trust_file.read_bytes()
    assert answer.headers["content-type"].startswith("application/yaml")
    assert str(sha256(answer.content)) == str(lab.trust.digest)


def test_version_names_the_verdict_format(client: TestClient) -> None:
    assert client.get("/version").json()["verdict_format"] == "provenance-verdict/2"


def test_openapi_is_3_1_with_stable_operation_ids(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    found = {
        f"{method} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == OPERATIONS
    assert len(set(found.values())) == len(found)


def references(value: object) -> Iterator[str]:
    """Every `$ref` in a JSON document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_of_openapi_leads_somewhere(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_openapi_describes_the_verdict(client: TestClient, honest: Run) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    verdict = client.get(f"/verify/{honest.model}").json()
    assert set(schemas["VerdictModel"]["properties"]) == set(verdict)
    assert set(schemas["Subject"]["properties"]) == set(verdict["subject"])


def test_the_documentation_pages_of_the_framework_are_off(
    make_state: StateFactory, honest: Run
) -> None:
    app = create_app(make_state(honest.folder.root))
    assert app.docs_url is None
    assert app.redoc_url is None


def test_openapi_describes_what_the_explorer_answers(client: TestClient, honest: Run) -> None:
    document = client.get("/openapi.json").json()
    run = f"/runs/0x{honest.run_id.hex()}"
    answers = {
        "/": "/",
        "/runs": "/runs",
        "/runs/{run_id}": run,
        "/runs/{run_id}/records": f"{run}/records",
        "/runs/{run_id}/records/{index}": f"{run}/records/2",
        "/runs/{run_id}/heads": f"{run}/heads",
        "/runs/{run_id}/proofs": f"{run}/proofs",
        "/runs/{run_id}/proofs/{epoch}/{chunk}": f"{run}/proofs/0/0",
        "/datasets": "/datasets",
        "/releases": "/releases",
        "/search": "/search?q=model",
    }
    for route, path in answers.items():
        responses = document["paths"][route]["get"]["responses"]
        content = responses["200"]["content"]
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert "text/html" in content, route
        assert set(document["components"]["schemas"][name]["properties"]) == set(
            client.get(path).json()
        ), route
        assert {"304", "400", "404", "500", "503"} <= set(responses), route
        assert "application/problem+json" in responses["404"]["content"], route
