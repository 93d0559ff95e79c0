"""`chain deploy --ceremony` from end to end: keys of ceremonies made by the commands, contracts
with them, a run proven under them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from provenance.chain.deploy import Deployment
from provenance.chain.session import deployment_path, embedded
from provenance.errors import NotFound, ProvenanceError
from provenance.judgement.verdict import Status
from provenance.settings import Settings
from provenance_cli.setup.chain import app as chain_app
from provenance_cli.setup.keys import app as key_app
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import ensure_keys, find_key
from provenance_zk.training.registration import Keys
from tests.support.chain import PASSWORD, Lab, write_keystore
from tests.support.spine import build_run, register_rows

# What a deployment without further statements needs.
SHAPES = (("epoch", 256, 0), ("tree", 256, 5), ("tree", 256, 6))
WITHOUT = ("--no-audit-keys", "--model-keys", "")


def call(app: Any, *args: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, args), "--json"])
    if isinstance(done.exception, ProvenanceError):
        raise done.exception
    assert done.exit_code == 0, done.output
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def hold_ceremony(folder: Path, kind: str, slots: int, depth: int) -> dict[str, Any]:
    """Two contributors a phase, the fewest there may be; returns what the last sealing says."""
    call(key_app, "ceremony", "begin", folder, "--kind", kind, "--slots", slots, "--depth", depth)
    sealed: dict[str, Any] = {}
    for phase in (1, 2):
        for i, name in enumerate(("Ada", "Berta")):
            mine = folder.parent / f"{folder.name}-{phase}-{i}.bin"
            call(
                key_app,
                "ceremony",
                "contribute",
                folder / f"phase{phase}-{i:03}.bin",
                "--name",
                name,
                "--out",
                mine,
            )
            call(key_app, "ceremony", "accept", folder, mine)
        beacon = ("--source", f"test beacon {phase}", "--beacon", os.urandom(32).hex())
        sealed = call(key_app, "ceremony", "seal", folder, "--min", 2, *beacon)
    return sealed


@dataclass(frozen=True)
class Machine:
    settings: Settings
    prover: ZkProver
    folder: Path

    @property
    def trust(self) -> Path:
        return self.folder / "trust.yaml"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of its own with an empty cache; its chain is up, nothing is deployed."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "password").chmod(0o600)
    settings = Settings(
        home=folder / "home", cache=folder / "cache", password_file=folder / "password"
    )
    write_keystore(settings.home / "keystore" / "default.json", b"\x01" * 32)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": settings.home,
            "CACHE": settings.cache,
            "PASSWORD_FILE": settings.password_file,
        }.items():
            patch.setenv(f"PROVENANCE_{name}", str(value))
        patch.delenv("PROVENANCE_RPC_URL", raising=False)
        embedded(settings).up()
        yield Machine(settings, ZkProver(find_binary(settings.zkprover), timeout_s=300), folder)
        embedded(settings).down()


@pytest.fixture(scope="module")
def sealed(machine: Machine) -> list[dict[str, Any]]:
    """What the last sealing of each of SHAPES says: minutes of work, most of it for the trees."""
    return [
        hold_ceremony(machine.folder / f"{kind}-{depth}", kind, slots, depth)
        for kind, slots, depth in SHAPES
    ]


@pytest.fixture(scope="module")
def lab(machine: Machine, sealed: list[dict[str, Any]]) -> Lab:
    """The machine after `chain deploy --ceremony`."""
    assert len(sealed) == len(SHAPES)
    call(chain_app, "deploy", "--ceremony", *WITHOUT, "--trust-out", machine.trust)
    deployment, cache = (
        Deployment.load(deployment_path(machine.settings)),
        machine.settings.cache / "keys",
    )
    named = [deployment.key(kind, depth=depth).vk_id for kind, depth in (("epoch", 0), ("tree", 5))]
    epoch, tree = (find_key(cache, bytes.fromhex(vk_id[2:])) for vk_id in named)
    keys = Keys(epoch, tree)
    return Lab(machine.settings, deployment, machine.prover, keys, machine.trust)


def test_a_development_key_is_not_deployed_where_a_ceremony_is_demanded(machine: Machine) -> None:
    """The cache holds a development key of a wanted shape; nothing may be deployed with it."""
    made = ensure_keys(machine.prover, machine.settings.cache / "keys", *SHAPES[0])
    record = deployment_path(machine.settings)
    before = record.read_bytes() if record.exists() else None
    with pytest.raises(NotFound, match="no ceremony key") as refused:
        call(chain_app, "deploy", "--ceremony", "--audit-keys", "--model-keys", "")
    assert (refused.value.exit_code, made.klass) == (4, "dev")
    assert (record.read_bytes() if record.exists() else None) == before


@pytest.mark.long
def test_the_trust_file_names_class_and_transcript_of_each_key(
    machine: Machine, sealed: list[dict[str, Any]], lab: Lab
) -> None:
    assert {(k.vk_id, k.klass, k.transcript) for k in lab.trust.keys} == {
        (key["vk_id"], "ceremony", key["transcript"]) for key in sealed
    }
    assert sorted(k.vk_id for k in lab.deployment.keys) == sorted(key["vk_id"] for key in sealed)
    for key in lab.deployment.keys:  # and the chain has the bytes themselves
        assert (
            lab.chain.rpc().code(key.address)
            == b"\0" + find_key(machine.settings.cache / "keys", bytes.fromhex(key.vk_id[2:])).words
        )


@pytest.mark.long
def test_deploying_again_keeps_what_is_deployed(machine: Machine, lab: Lab) -> None:
    again = call(chain_app, "deploy", "--ceremony", *WITHOUT)
    assert (again["ledger"], again["registry"]) == (lab.deployment.ledger, lab.deployment.registry)


@pytest.mark.long
def test_a_run_proven_under_the_keys_is_marked_by_no_development_key(
    lab: Lab, tmp_path: Path
) -> None:
    """Only the local chain leaves a mark; outside `local` there is none, and nothing is denied."""
    run = build_run(lab, register_rows(lab, tmp_path, 16), tmp_path)
    verdict = run.judge()
    assert (verdict.status, verdict.exit_code) == (Status.VERIFIED, 0)
    assert [line for line in verdict.development if "development key" in line] == []
    assert len(verdict.development) == 1
    elsewhere = lab.judge(run.file, run.folder.root, trust=replace(lab.trust, environment="test"))
    assert (elsewhere.status, elsewhere.word, elsewhere.development) == (
        Status.VERIFIED,
        "Verified",
        (),
    )
