"""A run that two auditors trained again and signed, for the tests of `provenance audit`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Job, Outcome

AUDITORS = ("anna", "bert")


@dataclass(frozen=True)
class Audited:
    """A copy of the job's run that two auditors signed, each in a file of their own.

    trust: names both as auditors, and needs both. on_chain: the same, with the contract to which
        they must have sent their word. draw: what `audit draw` said.
    """

    job: Job
    folder: Path
    run: Path
    report: Path
    trust: Path
    on_chain: Path
    draw: dict[str, Any]

    def __call__(self, *arguments: object) -> Outcome:
        return self.job(*arguments)

    def signed(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def verify(self, run: Path, trust: Path | None = None) -> dict[str, Any]:
        options = ("--evidence", run, "--trust", trust or self.trust, "--json")
        return self("verify", self.job.file, *options).json

    def copy(self, folder: Path) -> Path:
        """A copy of the run."""
        shutil.copytree(self.run, folder / "run")
        return folder / "run"

    def trusting(self, path: Path, *auditors: tuple[str, str], needed: int = 1) -> Path:
        """Write a trust file with these auditors (address, name), whose word must be on chain."""
        value = yaml.safe_load((self.job.folder / "trust.yaml").read_text())
        named = [{"address": address, "name": name} for address, name in auditors]
        path.write_text(yaml.safe_dump(value | {"auditors": {"needed": needed, "named": named}}))
        return path

    def key(self, name: str) -> str:
        """Make a key; returns its address."""
        made = self("key", "create", "--name", name, "--json")
        assert made.code == 0, made.err
        return str(made.json["address"])


@pytest.fixture(scope="session")
def audited(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("audited")
    run, report, trust = folder / "run", folder / "report.json", folder / "trust.yaml"
    shutil.copytree(job.run, run)
    draw = job("audit", "draw", run, "--segments", "all", "--json")
    assert draw.code == 0, draw.err
    audited = Audited(job, folder, run, report, trust, folder / "on-chain.yaml", draw.json)
    named = [(audited.key(name), name) for name in AUDITORS]
    audited.trusting(audited.on_chain, *named, needed=2)
    value = yaml.safe_load(audited.on_chain.read_text())
    del value["contracts"]["attestations"]
    trust.write_text(yaml.safe_dump(value))
    options = ("--with-data", job.dataset, "--segments", "all", "--nonce", "chain", "--out", report)
    done = job("audit", "replay", run, *options)
    assert done.code == 0, done.err
    for name in AUDITORS:
        done = job("audit", "sign", run, report, "--key", name, "--out", audited.signed(name))
        assert done.code == 0, done.err
    return audited
