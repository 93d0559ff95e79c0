"""Runs of earlier releases verify with today's code, and their verdicts say the same."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provenance_trainer.model.base import load_base
from tests.cli.conftest import Outcome, make_environment, run_cli

RUN_1 = Path(__file__).parent / "run-1"


@dataclass(frozen=True)
class Frozen:
    """A copy of a frozen run whose chain is up."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: object) -> Outcome:
        return run_cli(self.environment, *arguments)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def file(self) -> Path:
        return next((self.run / "release").glob("*.gguf"))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    folder = tmp_path_factory.mktemp("frozen") / "run-1"
    shutil.copytree(RUN_1, folder)
    environment = make_environment(folder)
    home = Path(environment["PROVENANCE_HOME"])
    (home / "chain").mkdir(parents=True)
    (home / "chain" / "state.json").write_bytes(
        gzip.decompress((RUN_1 / "chain-state.json.gz").read_bytes())
    )
    shutil.copyfile(RUN_1 / "salts.key", home / "salts.key")
    (home / "salts.key").chmod(0o600)
    for secret in (folder / "run/provenance/secrets", folder / "dataset/private"):
        secret.chmod(0o700)  # git keeps no modes
        for file in secret.iterdir():
            file.chmod(0o600)
    info = folder / "run" / "provenance" / "run.json"
    base = load_base("tiny", Path(environment["PROVENANCE_CACHE"]) / "models").dir
    info.write_text(
        json.dumps(json.loads(info.read_text()) | {"base": str(base)})
    )  # where this machine keeps it
    frozen = Frozen(folder, environment)
    up = frozen("chain", "up")
    assert up.code == 0, up.err
    yield frozen
    frozen("chain", "down")


def said(verdict: dict[str, Any]) -> dict[str, Any]:
    """What a verdict says, without the words it says it in."""
    return {
        "status": verdict["status"],
        "word": verdict["word"],
        "claims": {c["id"]: c["status"] for c in verdict["claims"]},
        "edges": [[e["kind"], e["parent"], e["child"], e["grade"]] for e in verdict["edges"]],
        "release": verdict["release"],
    }


WITH_EVERYTHING = ("--base", "tiny", "--with-data", "dataset")


@pytest.mark.parametrize(
    ("name", "more"), [("evidence_alone", ()), ("everything", WITH_EVERYTHING)]
)
def test_a_frozen_run_verifies_with_the_claims_it_had(
    frozen: Frozen, name: str, more: tuple[str, ...]
) -> None:
    arguments = [str(frozen.folder / a) if a == "dataset" else a for a in more]
    done = frozen("verify", frozen.file, "--evidence", frozen.run, *arguments, "--json")
    assert done.code == 0, done.err
    expected = json.loads((RUN_1 / "verdicts.json").read_text())[name]
    assert said(done.json)["claims"] == expected["claims"]
    assert said(done.json) == expected


def test_the_slow_verifier_agrees_about_a_frozen_run(frozen: Frozen) -> None:
    assert frozen("verify", frozen.file, "--evidence", frozen.run, "--slow").code == 0


def test_a_flipped_bit_of_a_frozen_journal_is_seen(frozen: Frozen, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(frozen.run, run)
    journal = run / "provenance" / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(bytes(data))
    assert frozen("verify", frozen.file, "--evidence", run).code != 0
