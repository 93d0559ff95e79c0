"""A run's head is cosigned by real witnesses over HTTP, up to the verdict that says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from provenance.chain.session import Session
from provenance.errors import ConfigError, Conflict, InputError
from provenance.ids import DatasetId
from provenance.judgement.third_parties import Witnesses
from provenance.judgement.trust_file import parse_trust, to_yaml
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance.layout import read_json, write_json
from provenance.log.c2sp import signed_checkpoint
from provenance.log.record import Record
from provenance.log.tree import Head
from provenance.log.witness.cosignature import WitnessKey
from provenance.log.witness.note import Note
from provenance.log.witness.request import AddCheckpoint
from provenance.merkle import Tree
from provenance.witness.client import Answer, WitnessEndpoint
from provenance.witness.memory import Memory
from provenance_cli.judge.log_export import export, read_signed_log
from provenance_cli.judge.witness import make
from provenance_cli.run.cosign import cosign
from tests.support.chain import Lab
from tests.support.spine import TIME, Run

WITNESS = "from provenance_cli.judge.witness import witness_app; witness_app()"


@contextmanager
def serving(lab: Lab, folder: Path, trust: Path | None = None) -> Iterator[str]:
    """A witness as a process of its own; SIGTERM must end it without a traceback."""
    environment = {
        **os.environ,
        "PROVENANCE_HOME": str(lab.settings.home),
        "PROVENANCE_TRUST": str(trust or lab.trust_file),
    }
    command = [sys.executable, "-W", "error", "-c", WITNESS, "--port", "0", "--state", str(folder)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.stderr.read()
            process.wait(timeout=20)
    assert "Traceback" not in said, said
    secret = (folder / "key").read_text().strip().split("+", 4)[4]
    assert secret not in said


def ask(url: str, owner: Session, head: Head, old: int = 0, proof: Sequence[bytes] = ()) -> Answer:
    """Ask a witness for a head that `owner` signs."""
    text = signed_checkpoint(head, owner.domain, owner.address, owner.sign_head(head))
    request = AddCheckpoint(old, tuple(proof), Note.parse(text.encode()))
    return WitnessEndpoint(url).ask(request)


def copy_of(honest: Run, to: Path) -> Run:
    """The run with a `run.json` as training writes it."""
    run, trust = honest.copy(to), honest.lab.trust
    where = {"chain_id": trust.chain_id, "registry": trust.addresses["registry"]}
    write_json(run.folder.info, read_json(run.folder.info) | where)
    return run


def claim_of(verdict: Verdict) -> Claim:
    (claim,) = [c for c in verdict.claims if c.id == "head.witnessed"]
    return claim


@pytest.fixture
def homes(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of three witnesses, and a trust file that wants two of them, as the user's own."""
    folders = [tmp_path / f"witness-{name}" for name in "abc"]
    keys = [WitnessKey.parse(make(f, f"witness.example/{f.name[-1]}")) for f in folders]
    text = to_yaml(replace(lab.trust, witnesses=Witnesses(tuple(keys), 2)))
    (tmp_path / "trust.yaml").write_text(text)
    monkeypatch.setenv("PROVENANCE_TRUST", str(tmp_path / "trust.yaml"))
    monkeypatch.setenv("PROVENANCE_HOME", str(lab.settings.home))
    return folders


def test_two_of_three_witnesses_sign_and_the_verdict_says_so(
    lab: Lab, honest: Run, homes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_of(honest, tmp_path / "run")
    trust = parse_trust((tmp_path / "trust.yaml").read_bytes())

    def judged() -> Verdict:
        verdict: Verdict = run.judge(trust=trust)
        return verdict

    assert judged().status is Status.INDETERMINATE
    with ExitStack() as stack:
        a, b = (stack.enter_context(serving(lab, folder)) for folder in homes[:2])
        cosign(run.folder.root, [a])
        assert judged().status is Status.INDETERMINATE
        assert claim_of(judged()).text.startswith("1 of the 3 witnesses")
        with pytest.raises(typer.Exit):  # nothing listens at the last one
            cosign(run.folder.root, [a, b, "http://127.0.0.1:9/"])
    said = capsys.readouterr()
    assert "witness.example/b signed head" in said.out
    assert "http://127.0.0.1:9: witness does not answer" in said.err
    verdict = judged()
    assert verdict.status is Status.VERIFIED, verdict.reason
    claim = claim_of(verdict)
    assert claim.evidence["witnesses"] == "witness.example/a witness.example/b"
    assert claim.text.startswith("2 of the 3 witnesses of the trust file (2 needed) signed")
    export(run.folder.root, tmp_path / "out")
    assert (tmp_path / "out" / "checkpoint").read_text().count("— witness.example/") == 2


def test_a_witness_follows_the_log_and_signs_no_fork_of_it(
    lab: Lab, honest: Run, homes: list[Path], tmp_path: Path
) -> None:
    """The owner of run and key shows the witness another log; then the witness is started anew."""
    run = copy_of(honest, tmp_path / "run")
    log = read_signed_log(run.folder.root)
    first, last = log.heads[0].head, log.heads[-1].head
    fork = Tree([bytes([i]) * 32 for i in range(last.size + 1)])
    forks = [
        (replace(first, root=fork.root(first.size)), first.size),
        (Head(first.run_id, last.size + 1, fork.root(last.size + 1)), last.size),
    ]

    def asked(url: str, head: Head, old: int, proof: list[bytes]) -> int:
        return ask(url, lab.session(run.session), head, old, proof).status

    with serving(lab, homes[0]) as url:
        assert asked(url, first, 0, []) == 200
        assert asked(url, forks[0][0], 0, []) == 409
        assert asked(url, forks[0][0], first.size, []) == 422
    with serving(lab, homes[0]) as url:
        proof = log.tree.consistency_proof(first.size, last.size)
        assert asked(url, last, 0, []) == 409
        assert asked(url, last, first.size, proof) == 200
        assert asked(url, first, first.size, []) == 409  # a replay
        assert asked(url, forks[1][0], last.size, fork.consistency_proof(last.size)) == 422
        cosign(run.folder.root, [url])
        shorten(run)
        with pytest.raises(typer.Exit):
            cosign(run.folder.root, [url])


def shorten(run: Run) -> None:
    """Take the newest head away, so that an older one is the last."""
    lines = run.folder.heads.read_bytes().splitlines(keepends=True)
    run.folder.heads.write_bytes(b"".join(lines[:-1]))


def test_a_strangers_run_is_not_witnessed(lab: Lab, homes: list[Path], tmp_path: Path) -> None:
    """Somebody whom the witness's trust file does not name opens a run in the same registry."""
    stranger = lab.session("unwitnessed")
    opening = Record.make("attest", TIME, subject="sha256:" + "00" * 32, kind="note", body={})
    run_id = stranger.open_run(opening.digest, DatasetId(bytes(32))).run_id
    lab.mine()
    head = Head(run_id, 1, Tree([opening.entry]).root())
    with serving(lab, homes[0]) as url:
        answer = ask(url, stranger, head)
    assert answer.status == 403


def test_cosign_needs_a_key_and_init_makes_no_second_one(
    lab: Lab, honest: Run, homes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Conflict, match="key already"):
        make(homes[0], "witness.example/other")
    with pytest.raises(InputError):
        make(tmp_path / "new", "not a name")
    monkeypatch.setenv("PROVENANCE_TRUST", str(lab.trust_file))
    run = copy_of(honest, tmp_path / "run")
    with pytest.raises(ConfigError, match="no witness's key is known"):
        cosign(run.folder.root, ["http://127.0.0.1:9/"])
    memory = Memory(homes[0])
    try:
        with serving_refused(lab, homes[0]) as said:
            assert "another process is this witness already" in said
    finally:
        memory.close()


@contextmanager
def serving_refused(lab: Lab, folder: Path) -> Iterator[str]:
    environment = {
        **os.environ,
        "PROVENANCE_HOME": str(lab.settings.home),
        "PROVENANCE_TRUST": str(lab.trust_file),
    }
    command = [sys.executable, "-c", WITNESS, "--port", "0", "--state", str(folder)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert done.stdout == ""
    yield done.stderr
