"""`doctor` looks at the thing itself: the chain's code, the cache's keys, the account's balance.

Each line names what mends it, and what commands need makes it end with 3.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.deploy import Deployment
from provenance.settings import Settings
from provenance_cli.setup.installation import Installation
from tests.cli.conftest import Cli, Outcome, make_environment, run_cli
from tests.support.chain import TINY_MODEL_KEYS, write_keystore
from tests.support.processes.loopback import served

NOW = 1_900_000_000


class Place:
    """An installation with contracts on its chain."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.environment = make_environment(folder)

    def __call__(self, *arguments: object, **environment: str) -> Outcome:
        return run_cli(self.environment | environment, *arguments)

    def findings(self, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
        done = self("doctor", "--json", **environment)
        assert done.json["ok"] is (done.code == 0)
        return done.code, {finding["name"]: finding for finding in done.json["findings"]}

    def missing(self, **environment: str) -> dict[str, str]:
        """What commands need and do not find, with what is said about it."""
        code, found = self.findings(**environment)
        wrong = {n: f["detail"] for n, f in found.items() if f["needed"] and not f["ok"]}
        assert code == (3 if wrong else 0)
        assert all(f["mend"] for f in found.values() if not f["ok"])
        return wrong


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("doctor"))
    write_keystore(place.home / "keystore" / "default.json", b"\x07" * 32)
    for arguments in (
        ("chain", "up"),
        (
            "chain",
            "deploy",
            "--no-audit-keys",
            "--model-keys",
            TINY_MODEL_KEYS,
            "--trust-out",
            place.folder / "trust.yaml",
        ),
    ):
        done = place(*arguments)
        assert done.code == 0, done.err
    yield place
    place("chain", "down")


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """A file that is put back afterwards."""
    data = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(data)


def test_a_whole_installation_is_all_well(place: Place) -> None:
    assert place.missing() == {}
    _, found = place.findings()
    assert "chain 31337, block" in found["chain"]["detail"]
    assert "code of this version" in found["contracts"]["detail"]
    assert "all 9 of the contracts" in found["proving keys"]["detail"]
    assert "of the chain that answers" in found["trust file"]["detail"]
    assert "ETH" in found["balance"]["detail"]
    assert "8 statements, sha256:" in found["zkprover"]["detail"]
    assert "clock" not in found  # a development chain makes blocks when it is asked to
    assert place("doctor", "--quiet").err == ""


def test_each_endpoint_that_is_read_from_is_asked(place: Place, tmp_path: Path) -> None:
    def answers(chain: Place) -> str:
        return str(chain.findings()[1]["chain"]["detail"]).partition(",")[0]

    url, silent, other = answers(place), "http://127.0.0.1:9", Place(tmp_path)
    assert other("chain", "up").code == 0
    try:
        urls = f"{url} {silent} {answers(other)}"
        _, found = place.findings(PROVENANCE_READ_URLS=urls)
    finally:
        other("chain", "down")
    first, second, third = (found[f"reading endpoint {number}"] for number in (1, 2, 3))
    assert (first["ok"], second["ok"], third["ok"]) == (True, False, False)
    assert f"{url}, chain 31337, final" in first["detail"]
    assert "chain does not answer" in second["detail"]
    assert f"another chain than {url} answers for" in third["detail"]
    assert "reading endpoint 1" not in place.findings()[1]


def test_an_empty_installation_needs_nothing_yet(cli: Cli) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    absent = {f["name"]: f["mend"] for f in done.json["findings"] if not f["ok"]}
    assert absent.keys() >= {"signing key", "chain", "contracts", "trust file"}
    assert absent["contracts"] == "provenance init"


def test_a_wiped_chain_is_found_by_asking_it(place: Place) -> None:
    place("chain", "down")
    away = place.home / "chain-away"
    (place.home / "chain").rename(away)
    try:
        assert place.missing().keys() == {"chain"}
        assert place("chain", "up").code == 0
        wrong = place.missing()
        assert wrong.keys() >= {"contracts", "trust file"}
        assert "genesis block differs" in wrong["contracts"]
        assert str(place.home / "deployment.json") in wrong["contracts"]
        _, found = place.findings()
        assert found["contracts"]["mend"].startswith("provenance init")
        quiet = place("doctor", "--quiet")
        assert quiet.code == 3
        assert "contracts" in quiet.err
        assert "provenance init" in quiet.err
    finally:
        place("chain", "down")
        shutil.rmtree(place.home / "chain")
        away.rename(place.home / "chain")
        place("chain", "up")


def test_an_address_without_code_and_code_of_another_version_are_told_apart(place: Place) -> None:
    path = place.home / "deployment.json"
    with kept(path):
        value = json.loads(path.read_text())
        path.write_text(json.dumps(value | {"ledger": "0x" + "ee" * 20}))
        assert "no contract is at the address of ledger" in place.missing()["contracts"]
        path.write_text(json.dumps(value | {"audits_code_hash": "0x" + "ee" * 32}))
        assert "audits code differs" in place.missing()["contracts"]
        path.write_text(json.dumps(value | {"sources": "sha256:" + "ee" * 32}))
        assert "another version of this package" in place.missing()["contracts"]
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
        assert "Git LFS pointer" in place.missing()["contracts"]


def test_keys_that_the_cache_lacks_are_named_as_users_write_them(
    place: Place, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    assert "9 of 9" in place.missing(PROVENANCE_CACHE=str(cache))["proving keys"]
    shutil.copytree(Path(place.environment["PROVENANCE_CACHE"]) / "keys", cache / "keys")
    deployment = Deployment.load(place.home / "deployment.json")
    gone = {key.vk_id for key in deployment.keys if (key.kind, key.depth) == ("merge", 129)}
    for info in cache.glob("keys/*/key.json"):
        if json.loads(info.read_text())["vkId"] in gone:
            shutil.rmtree(info.parent)
    assert place.missing(PROVENANCE_CACHE=str(cache))["proving keys"].endswith(": merge:1:8")
    _, found = place.findings(PROVENANCE_CACHE=str(cache))
    command = f"provenance chain deploy --no-audit-keys --model-keys {TINY_MODEL_KEYS}"
    assert command in found["proving keys"]["mend"]


def test_a_password_that_does_not_open_the_key_is_found(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "password"
    other.write_text("another\n")
    other.chmod(0o600)
    assert (
        "wrong keystore password"
        in place.missing(PROVENANCE_PASSWORD_FILE=str(other))["signing key"]
    )
    other.chmod(0o644)
    wrong = place.missing(PROVENANCE_PASSWORD_FILE=str(other))
    assert "can be read by others" in wrong["password file"]
    _, found = place.findings(PROVENANCE_PASSWORD_FILE=str(other))
    assert found["password file"]["mend"] == f"chmod 600 {other}"


def test_a_home_that_takes_no_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = make_environment(tmp_path) | {"PROVENANCE_HOME": str(tmp_path / "file")}
    done = run_cli(environment, "doctor")
    assert done.code == 3
    assert "MISSING  home folder: output cannot be written" in done.out
    assert "name another in PROVENANCE_HOME" in done.out


def test_a_configuration_that_nobody_may_follow_is_a_finding_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROVENANCE_HOME", raising=False)
    (tmp_path / ".provenance.yaml").write_text("format: provenance-config/1\n")
    environment = {"PROVENANCE_CONFIG": str(tmp_path / "config")}
    done = run_cli(environment, "doctor")
    assert done.code == 3
    assert "MISSING  configuration" in done.out
    assert run_cli(environment, "doctor", "--machine").code == 0


def test_an_account_with_nothing_to_pay_with_is_found(place: Place) -> None:
    address = place("key", "show", "--json").json["address"]
    settings = Settings.load(place.environment)
    from provenance.chain.session import embedded

    chain = embedded(settings)
    chain.fund(address, 0)
    try:
        assert "nothing to pay with" in place.missing()["balance"]
    finally:
        chain.fund(address)


@contextmanager
def foreign_chain(block_time: int) -> Iterator[str]:
    """URL of an endpoint of chain 7, whose blocks all have this time."""
    block = {"number": "0x9", "hash": "0x" + "11" * 32, "timestamp": hex(block_time)}
    answers = {
        "eth_chainId": "0x7",
        "eth_getBlockByNumber": block,
        "eth_getBalance": "0x0",
        "eth_getCode": "0x",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            value = {"jsonrpc": "2.0", "id": request["id"], "result": answers[request["method"]]}
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            return

    with served(Handler) as url:
        yield f"{url}/v3/0123456789abcdef"


@pytest.mark.parametrize(
    ("age_s", "words"),
    [(12, None), (3600, "3600 s old"), (-600, "600 s in the future"), (-30, None), (600, None)],
)
def test_a_clock_that_differs_from_the_blocks_is_found(
    tmp_path: Path, age_s: int, words: str | None
) -> None:
    with foreign_chain(NOW - age_s) as url:
        settings = Settings(tmp_path / "home", tmp_path / "cache", rpc_url=url)
        found = {f.name: f for f in Installation(settings, lambda: float(NOW)).look()}
    assert found["clock"].ok is (words is None)
    assert (words or "") in found["clock"].detail
    assert "timedatectl" in found["clock"].line() or found["clock"].ok


def test_contracts_recorded_for_another_chain_are_found(place: Place) -> None:
    with foreign_chain(NOW) as url:
        code, found = place.findings(PROVENANCE_RPC_URL=url)
    assert code == 3
    assert "chain id differs (recorded 31337, there 7)" in found["contracts"]["detail"]
    assert "name their chain in PROVENANCE_RPC_URL" in found["contracts"]["mend"]
    assert "0123456789abcdef" not in json.dumps(found)


def test_an_endpoint_that_does_not_answer_is_needed_once_it_was_named(place: Place) -> None:
    wrong = place.missing(PROVENANCE_RPC_URL="http://127.0.0.1:9/v3/0123456789abcdef")
    assert "nothing listens at this address" in wrong["chain"]
    assert "0123456789abcdef" not in str(wrong)
