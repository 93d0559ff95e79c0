"""`fsck` checks what witnesses signed, and tells of those whom nobody named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.ids import RunId
from provenance.judgement.trust_file import load_trust, to_yaml
from provenance.layout import RunFolder
from provenance.log.tree import Head
from provenance_cli.judge.log_export import SignedLog, read_signed_log
from tests.cli.conftest import Job, Outcome, run_cli
from tests.support.core.witnesses import MadeWitness, trusting

NAMED, STRANGER = MadeWitness.make("witness.example/a"), MadeWitness.make("stranger.example/b")
TIME = 1_700_000_000


class Copy:
    """A copy of the run, and a trust file that names one witness."""

    def __init__(self, job: Job, folder: Path) -> None:
        shutil.copytree(job.run, folder / "run")
        self.folder = RunFolder(folder / "run")
        self.log: SignedLog = read_signed_log(self.folder.root)
        self.head: Head = self.log.heads[-1].head
        trust = trusting(load_trust(Path(job.environment["PROVENANCE_TRUST"])), 1, NAMED)
        (folder / "trust.yaml").write_text(to_yaml(trust))
        self._environment = job.environment | {"PROVENANCE_TRUST": str(folder / "trust.yaml")}

    @property
    def honest(self) -> list[bytes]:
        """One line for each signed head."""
        return [NAMED.cosigned(each.head, self.log.domain, TIME) for each in self.log.heads]

    def fsck(self, *lines: bytes) -> Outcome:
        self.folder.cosignatures.write_bytes(b"".join(lines))
        return self.checked()

    def checked(self) -> Outcome:
        return run_cli(self._environment, "fsck", self.folder.root, "--offline", "--json")


@pytest.fixture
def run(job: Job, tmp_path: Path) -> Copy:
    return Copy(job, tmp_path)


def test_what_witnesses_signed_agrees(run: Copy) -> None:
    done = run.fsck(*run.honest, b'{"torn')
    assert (done.code, done.json["problems"]) == (0, [])
    assert done.json["unknown_witnesses"] == []


def test_a_witness_whom_nobody_named_is_told_and_no_error(run: Copy) -> None:
    done = run.fsck(*run.honest, STRANGER.cosigned(run.head, run.log.domain, TIME))
    assert (done.code, done.json["problems"]) == (0, [])
    assert done.json["unknown_witnesses"] == [STRANGER.vkey]


def forged(run: Copy) -> bytes:
    """A signature of the first head, said to be of the last one."""
    first = run.log.heads[0].head
    return NAMED.cosigned(first, run.log.domain, TIME, stands=run.head)


@pytest.mark.parametrize(
    ("tampered", "why"),
    [
        (forged, "not a cosignature of this head"),
        (
            lambda run: NAMED.cosigned(run.head, replace(run.log.domain, chain_id=1), TIME),
            "not a cosignature of this head",
        ),
        (
            lambda run: NAMED.cosigned(replace(run.head, root=bytes(32)), run.log.domain, TIME),
            "no head of this log",
        ),
        (
            lambda run: NAMED.cosigned(replace(run.head, size=10_000), run.log.domain, TIME),
            "no head of this log",
        ),
        (
            lambda run: NAMED.cosigned(
                replace(run.head, run_id=RunId(bytes(32))), run.log.domain, TIME
            ),
            "no head of this log",
        ),
        (lambda run: run.honest[0].replace(b'"size"', b'"sise"'), "not a cosigned head"),
        (lambda run: b"\n", "not a cosigned head"),
        (lambda run: b"\xff\n", "not a cosigned head"),
    ],
    ids=["other head", "other chain", "other root", "longer", "other run", "key", "empty", "bytes"],
)
def test_a_tampered_line_is_named(run: Copy, tampered: Callable[[Copy], bytes], why: str) -> None:
    done = run.fsck(run.honest[0], tampered(run), *run.honest[1:])
    assert done.code == 1
    (problem,) = done.json["problems"]
    assert problem.startswith("cosignatures.jsonl line 2: ")
    assert why in problem


def test_a_file_that_no_verifier_reads_is_a_problem(run: Copy, tmp_path: Path) -> None:
    run.folder.cosignatures.symlink_to(tmp_path / "trust.yaml")
    done = run.checked()
    assert done.code == 1
    assert "link" in done.json["problems"][0]
    run.folder.cosignatures.unlink()
    run.folder.cosignatures.touch()
    os.truncate(run.folder.cosignatures, 1 << 40)
    done = run.checked()
    assert done.code == 1
    assert "too large" in done.json["problems"][0]
