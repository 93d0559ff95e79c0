"""A statement is added by one line of the table: Python, Go, Solidity and the pages then know it.

The toy is a format of blocks of 18 bytes. Its circuit in Go is a file of its own (`toy/toy.go`),
laid over the sources for the compiler alone; nothing is written into the repository.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from provenance.chain.anvil import EmbeddedChain
from provenance.errors import InputError
from provenance.statements import kinds_of
from tests.support.places import REPO
from tests.support.processes.golang import GO_ENVIRONMENT

TOYS = Path(__file__).resolve().parent / "toy"
GENERATOR = REPO / "zk" / "generate_statements.py"


def table() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((REPO / "zk" / "statements.json").read_text("utf-8"))
    return value


LAST = len(table()["kinds"])
NUMBER = LAST + 1  # kinds are numbered without gap
TOY: dict[str, Any] = {
    "number": NUMBER,
    "name": "toy",
    "shows": "blocks of a toy file are the codes of a tensor's blocks",
    "contract": "ModelLedger",
    "stage": "quantize",
    "quantization": "Toy4",
    "public": ["root"],
    "words": ["index", "code"],
    "block": {"bytes": 18, "codes_at": 2},
    "blocks_per_proof": 8,
    "slots": {"means": "blocks per proof b", "from": 1, "to": "MAX_BLOCKS"},
    "depth": {"means": "levels above the pages", "from": 1, "to": "MAX_LEVELS"},
}


def generate(mode: str, folder: Path, value: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    source = folder / "statements.json"
    source.write_text(json.dumps(value), encoding="utf-8")
    command = [sys.executable, str(GENERATOR), mode, "--table", str(source), "--out", str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that is generated from the table with the toy."""
    folder, value = tmp_path_factory.mktemp("toy"), table()
    value["kinds"].append(TOY)
    done = generate("--write", folder, value)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def statements(generated: Path) -> Iterator[ModuleType]:
    name = "toy_statements"
    spec = importlib.util.spec_from_file_location(name, generated / "provenance" / "statements.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


def test_python_knows_the_toy(statements: ModuleType) -> None:
    toy = statements.kind_named("toy")
    assert statements.kind_numbered(NUMBER) is toy
    assert statements.quantization_kind("Toy4") is toy
    assert statements.kinds_of("ModelLedger") == (*kinds_of("ModelLedger"), "toy")
    assert statements.STAGES[toy.stage] == 2
    assert toy.public(8) == ("root", "index_0", "index_1", *(f"code_{i}" for i in range(5)))
    assert toy.public_names(8) == toy.public(8)
    assert toy.fits(toy.blocks_per_proof, 1)
    assert not toy.fits(65, 1)
    assert not toy.fits(8, 8)
    with pytest.raises(InputError):
        statements.kind_numbered(NUMBER + 1)


def test_go_compiles_a_circuit_of_the_toy(generated: Path) -> None:
    prover = REPO / "zk" / "prover"
    laid = {
        prover / "kinds" / "table.go": generated / "zk" / "prover" / "kinds" / "table.go",
        prover / "circuits" / "toy.go": TOYS / "toy.go",
        prover / "circuits" / "toy_test.go": TOYS / "toy_test.go",
    }
    overlay = generated / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(to): str(by) for to, by in laid.items()}}))
    command = ["go", "test", f"-overlay={overlay}", "-run", "^TestToyStatement$", "./circuits"]
    done = subprocess.run(command, cwd=prover, env=GO_ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no tests to run" not in done.stdout


def test_contracts_know_the_toy(generated: Path, tmp_path: Path) -> None:
    (library,) = (generated / "contracts").rglob("Kinds.sol")
    for source in (library, TOYS / "Toy.sol"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    command = ["node", str(TOYS / "compile.mjs"), str(REPO), str(tmp_path)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    chain = EmbeddedChain(tmp_path / "chain")
    chain.up()
    try:
        at = "0x" + "70" * 20
        rpc = chain.rpc()
        call = [{"to": at}, "latest", {at: {"code": compiled.stdout}}]
        assert rpc.request("eth_call", call) == "0x"
    finally:
        chain.down()


def test_pages_list_the_toy(generated: Path) -> None:
    page = (generated / "docs" / "formats" / "statements.md").read_text("utf-8")
    assert f"| {NUMBER} | `toy` | blocks per proof b: 1 to 64 |" in page
    assert "| `toy` | blocks of a toy file are" in page


def test_a_table_that_was_changed_is_seen(tmp_path: Path) -> None:
    value = table()
    assert generate("--write", tmp_path, value).returncode == 0
    assert generate("--check", tmp_path, value).returncode == 0
    value["kinds"].append(TOY)
    stale = generate("--check", tmp_path, value)
    assert stale.returncode == 1
    assert len(stale.stdout.splitlines()) == 4  # Python, Go, Solidity and the page of statements


# What is wrong, and what the error must say.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a number twice": ({"number": LAST}, "without gap"),
    "a gap": ({"number": NUMBER + 1}, "without gap"),
    "a name twice": ({"name": "merge"}, "one name"),
    "no name of a kind": ({"name": "Toy"}, "underscores"),
    "an unknown contract": ({"contract": "ToyLedger"}, "unknown contract ToyLedger"),
    "an unknown stage": ({"stage": "toy"}, "unknown stage toy"),
    "unknown words": ({"words": ["code"]}, "words must be"),
    "codes of no file": ({"block": {"bytes": 0, "codes_at": 0}}, "code words need"),
    "an unknown field": ({"toy": True}, "unknown field toy"),
    "a quantization twice": ({"quantization": "int8"}, "one quantization"),
    "codes of no quantization": ({"quantization": None}, "need a quantization"),
    "weights of no stage": ({"stage": None}, "has a stage"),
    "a stage of no weights": ({"contract": "DatasetAudits"}, "has a stage"),
    "an unknown word in a rule": ({"slots": TOY["slots"] | {"form": 1}}, "unknown field form"),
    "a word of depth in slots": ({"slots": TOY["slots"] | {"ranked": 1}}, "unknown field ranked"),
    "two rules in one": ({"depth": TOY["depth"] | {"one_of": [1]}}, "or one_of"),
    "a rule without numbers": ({"depth": {"means": "levels"}}, "or one_of"),
    "a rule without meaning": ({"depth": {"one_of": [1]}}, "means is missing"),
    "an unknown constant": ({"depth": TOY["depth"] | {"to": "MAX_LEVEL"}}, "constant MAX_LEVEL"),
    "a rule of contracts alone": ({"on_chain": {}}, "unknown field on_chain"),
    "an unknown word of a block": (
        {"block": {"bytes": 18, "codes_at": 2, "scale": 2}},
        "bytes and codes_at",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_table_is_refused(fault: str, tmp_path: Path) -> None:
    value, (change, text) = table(), FAULTS[fault]
    value["kinds"].append(TOY | change)
    done = generate("--write", tmp_path, value)
    assert done.returncode != 0
    *_, last = done.stderr.splitlines()
    assert last.startswith("ValueError: ")
    assert text in last
    assert not list(tmp_path.rglob("*.go"))


def test_the_repository_is_what_its_table_makes() -> None:
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True)
    assert done.returncode == 0, done.stdout
