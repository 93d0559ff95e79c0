"""The independent verifier on the mutations of good proofs that the Go and Solidity verifiers
judge, too.

A seeded sample of each statement runs always; --long runs every mutation.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import InputError
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.kinds import KINDS
from provenance_zk.proof_file import PROOF_FORMAT, ProofFile
from tests.support.places import REPO
from tests.support.processes.golang import GO_ENVIRONMENT

PLAN = json.loads((REPO / "tests" / "vectors" / "zk" / "mutations.json").read_bytes())
GOOD, BAD = 4, 36  # of a sample


@pytest.fixture(scope="session")
def expanded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutations")
    subprocess.run(
        ["go", "run", "./cmd/vectors", "-expand", str(folder)],
        cwd=REPO / "zk" / "prover",
        env=GO_ENVIRONMENT,
        check=True,
        timeout=500,
    )
    return folder


def load(folder: Path, planned: dict[str, Any]) -> dict[str, Any]:
    data = (folder / f"mutations_{planned['kind']}.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == planned["sha256"]
    file: dict[str, Any] = json.loads(data)
    return file


def verdict(file: dict[str, Any], case: dict[str, Any]) -> bool:
    """Malformed counts as not valid."""
    data = bytes.fromhex(case["words"][2:])
    words = [f"0x{data[i : i + 32].hex()}" for i in range(0, len(data), 32)]
    count = len(KINDS[file["kind"]].commitments)
    points = [words[i : i + 2] for i in range(8, 8 + 4 * count, 2)]
    proof = {
        "format": PROOF_FORMAT,
        "kind": file["kind"],
        "vkId": file["vkId"],
        "a": words[:2],
        "b": words[2:6],
        "c": words[6:8],
        "commitments": points[:count],
        "poks": points[count:],
        "public": words[8 + 4 * count :],
    }
    try:
        return is_valid_proof(
            bytes.fromhex(file["words"][2:]), ProofFile.from_json(proof), case["mask"]
        )
    except InputError:
        return False


def disagreements(file: dict[str, Any], cases: list[dict[str, Any]]) -> list[str]:
    return [case["name"] for case in cases if verdict(file, case) is not case["valid"]]


@pytest.mark.parametrize("planned", PLAN["kinds"], ids=lambda planned: planned["kind"])
def test_a_sample_of_mutations_has_the_planned_verdicts(
    expanded: Path, planned: dict[str, Any]
) -> None:
    file = load(expanded, planned)
    draw = random.Random(f"mutations of {planned['kind']}")
    good, bad = (
        [case for case in file["cases"] if case["valid"] is valid] for valid in (True, False)
    )
    assert disagreements(file, draw.sample(good, GOOD) + draw.sample(bad, BAD)) == []


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("planned", PLAN["kinds"], ids=lambda planned: planned["kind"])
def test_every_mutation_has_the_planned_verdict(expanded: Path, planned: dict[str, Any]) -> None:
    file = load(expanded, planned)
    assert len(file["cases"]) > 2000
    assert disagreements(file, file["cases"]) == []


def test_every_statement_is_mutated() -> None:
    assert [planned["kind"] for planned in PLAN["kinds"]] == list(KINDS)
