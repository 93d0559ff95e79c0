"""`train --server`: the run is at the service while it is trained, and a service that fails holds
nothing up."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provenance.errors import UnavailableError
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.push.copy import Received
from provenance.settings import Settings
from provenance_api.app import create_app
from provenance_api.db import Database
from provenance_api.tenants.inbox import Inbox
from provenance_api.tenants.tokens import Tokens
from provenance_cli.jobs.meanwhile import Destination, PushedMeanwhile
from provenance_cli.judge.serve import Offer, compose
from tests.cli.conftest import Outcome, make_environment, run_cli
from tests.support.chain import TINY_MODEL_KEYS
from tests.support.frozen import RUN_1
from tests.support.places import EXAMPLES
from tests.support.service import serving


@dataclass
class Trained:
    """A run that was trained with a service at hand, which was asked so many times for pieces."""

    outcome: Outcome
    run: RunFolder
    pushed: Path
    pieces: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("pushed")
    environment = make_environment(folder)
    run = RunFolder(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PushedMeanwhile, "every_s", 0.05)
        try:
            yield _train(folder, environment, run, patch)
        finally:
            run_cli(environment, "chain", "down")


def _train(
    folder: Path, environment: dict[str, str], run: RunFolder, patch: pytest.MonkeyPatch
) -> Trained:
    trust = ("--trust-out", folder / "trust.yaml")
    keys = ("--slots", 256, "--no-audit-keys", "--model-keys", TINY_MODEL_KEYS)
    for arguments in (("key", "create"), ("chain", "up"), ("chain", "deploy", *keys, *trust)):
        done = run_cli(environment, *arguments)
        assert done.code == 0, done.err
    database = f"sqlite:///{folder / 'service.sqlite'}"
    state = compose(
        Settings.load(environment),
        Offer((), folder / "trust.yaml", database, inbox=folder / "inbox"),
    )
    token = Tokens(Database(database)).create("default", "trainer", None, may_push=True)
    (folder / "token").write_text(token)
    (folder / "token").chmod(0o600)
    pieces: list[int] = []
    append = Inbox.append

    def counted(box: Inbox, tenant: str, run_id: RunId, offset: int, piece: bytes) -> Received:
        pieces.append(offset)
        return append(box, tenant, run_id, offset, piece)

    patch.setattr(Inbox, "append", counted)
    with serving(create_app(state)) as url:
        outcome = run_cli(
            environment,
            *("train", EXAMPLES / "tiny.yaml", "--anchor", "dataset_name=attack-stix"),
            *("--limit", 32, "--dedupe", "--no-prove", f"output_dir={run.root}"),
            *("--server", url, "--token-file", folder / "token"),
        )
    assert token not in outcome.out + outcome.err
    [pushed] = (folder / "inbox" / "default").iterdir()
    return Trained(outcome, run, pushed / "provenance", pieces)


def test_the_run_is_there_when_the_training_ends(trained: Trained) -> None:
    assert trained.outcome.code == 0, trained.outcome.err
    assert trained.pushed.joinpath("journal").read_bytes() == trained.run.journal.read_bytes()
    assert trained.pushed.joinpath("heads.jsonl").read_bytes() == trained.run.heads.read_bytes()
    assert "not pushed for now" not in trained.outcome.err
    assert "records are at http://127.0.0.1:" in trained.outcome.err


def test_it_was_pushed_while_it_was_trained(trained: Trained) -> None:
    assert len(trained.pieces) > 1
    assert trained.pieces == sorted(set(trained.pieces))  # nothing was sent twice


def test_what_stays_with_the_owner_stayed(trained: Trained) -> None:
    names = {path.name for path in trained.pushed.rglob("*")}
    assert not names & {"secrets", "salts.sqlite", ".nodes"}
    info = trained.pushed.joinpath("run.json").read_text()
    assert "/" not in info.replace("provenance-run/1", "")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--server", "http://127.0.0.1:9", "--unregistered"), 2, "only anchored runs are pushed"),
        (("--server", "http://127.0.0.1:9", "--anchor"), 5, "no token"),
        (("--server", "nowhere", "--anchor", "--token-file", "TOKEN"), 2, "not the URL"),
        (("--server", "http://127.0.0.1:9", "--anchor", "--token-file", "TOKEN"), 3, "not answer"),
    ],
)
def test_a_service_that_takes_nothing_is_said_before_anything_is_made(
    tmp_path: Path, options: tuple[str, ...], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.push.service.PAUSE_S", 0.0)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    token = tmp_path / "token"
    token.write_text("pvt_nothing")
    token.chmod(0o600)
    given = [str(token) if word == "TOKEN" else word for word in options]
    arguments = ("train", EXAMPLES / "tiny.yaml", "dataset_name=attack-stix", *given)
    done = run_cli(make_environment(tmp_path), *arguments, f"output_dir={tmp_path / 'run'}")
    assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
    assert words in done.err
    assert not (tmp_path / "run").exists()


def test_a_service_that_fails_is_told_once_and_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PushedMeanwhile, "every_s", 0.01)
    monkeypatch.setattr("provenance.push.service.PAUSE_S", 0.0)
    warnings: list[str] = []
    told = threading.Event()

    def warn(text: str) -> None:
        warnings.append(text)
        told.set()

    destination = Destination("http://127.0.0.1:9", "pvt_token")
    with PushedMeanwhile(RunFolder(RUN_1 / "run"), destination, warn).following() as pushed:
        assert told.wait(30)
        time.sleep(0.2)
    assert len(warnings) == 1
    assert "service does not answer" in warnings[0]
    assert "pvt_token" not in warnings[0]
    with pytest.raises(UnavailableError, match="does not answer"):
        pushed.finish()
