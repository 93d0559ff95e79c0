"""A frozen run of an earlier release, laid out with its chain running."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.anvil import EmbeddedChain
from provenance_trainer.model.base import load_base
from tests.cli.conftest import Outcome, make_environment, run_cli
from tests.support.places import REPO

RUN_1 = REPO / "tests" / "frozen" / "run-1"


@dataclass(frozen=True)
class Frozen:
    """A copy of a frozen run whose chain is up."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: object) -> Outcome:
        return run_cli(self.environment, *arguments)

    @property
    def rpc_url(self) -> str:
        """Where its chain answers."""
        process = EmbeddedChain(Path(self.environment["PROVENANCE_HOME"]) / "chain").running()
        assert process is not None
        return process.url

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def file(self) -> Path:
        return next((self.run / "release").glob("*.gguf"))


@contextmanager
def frozen_run(folder: Path) -> Iterator[Frozen]:
    """The run in a new folder, with its chain up while the context lasts."""
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
    # the base lies where this machine keeps it
    info.write_text(json.dumps(json.loads(info.read_text()) | {"base": str(base)}))
    frozen = Frozen(folder, environment)
    up = frozen("chain", "up")
    assert up.code == 0, up.err
    try:
        yield frozen
    finally:
        frozen("chain", "down")
