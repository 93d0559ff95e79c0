"""A committed dataset with real Poseidon leaves, a home with its keys, and a command line that uses
both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provenance.dataset.saltstore import load_or_create_key
from provenance.dataset.writer import ManifestFacts
from provenance.errors import ProvenanceError
from provenance_cli.dataset.app import dataset
from provenance_cli.judge.proof import proof_app
from provenance_zk.training.commitments import DatasetCommitter
from tests.support.chain import PASSWORD, cache_folder, write_keystore
from tests.support.zk.command import Call, Outcome
from tests.support.zk.desk import Desk
from tests.support.zk.python_tree import PythonTree

APPS = {"dataset": dataset, "proof": proof_app}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    for name, value in {
        "HOME": folder,
        "CACHE": cache_folder(),
        "PASSWORD_FILE": tmp_path / "password",
        "TRUST": tmp_path / "trust.yaml",
    }.items():
        monkeypatch.setenv(f"PROVENANCE_{name}", str(value))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    write_keystore(folder / "keystore" / "default.json", b"\x01" * 32)
    return folder


@pytest.fixture
def call(home: Path) -> Call:
    """`call("dataset", "erase", ..)`; `typed` is what stands on standard input."""

    def run(app: str, *args: object, typed: str = "") -> Outcome:
        done = CliRunner().invoke(APPS[app], [str(arg) for arg in args], input=typed)
        error = done.exception if isinstance(done.exception, ProvenanceError) else None
        if (
            done.exception is not None
            and error is None
            and not isinstance(done.exception, SystemExit)
        ):
            raise done.exception
        return Outcome(
            error.exit_code if error else done.exit_code, done.stdout, done.stderr, error
        )

    return run


@pytest.fixture
def commit(tmp_path: Path, home: Path) -> Callable[..., Path]:
    """Commit texts from a JSON-lines file that stays beside the dataset."""

    def make(texts: Sequence[str], name: str = "data") -> Path:
        source = tmp_path / f"{name}.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        facts = ManifestFacts(
            str(source),
            "CC0-1.0",
            "text",
            files=[{"path": source.name, "size": source.stat().st_size, "sha256": ""}],
        )
        rows = [{"text": text} for text in texts]
        committer = DatasetCommitter(PythonTree(), load_or_create_key(home / "salts.key"))
        committer.commit(rows, tmp_path / name, facts)
        return tmp_path / name

    return make


@pytest.fixture
def desk(tmp_path: Path, call: Call) -> Desk:
    return Desk(tmp_path, call)
