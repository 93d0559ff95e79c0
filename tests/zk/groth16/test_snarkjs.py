"""Exported proofs: three files, with the commitments added to the constant input.

What the verifier refuses is not exported. That snarkjs accepts the files is shown by
contracts/test/groth16/groth16.snarkjs.test.js.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from py_ecc.bn128 import FQ, G1, add, neg

from provenance.errors import InputError, NotFound
from provenance_cli.main import load_command
from provenance_zk.field import R
from provenance_zk.groth16.snarkjs import KEY_FILE, PROOF_FILE, PUBLIC_FILE, export
from provenance_zk.proof_file import ProofFile
from tests.zk.conftest import ToyKey

PUBLIC = (5, 6, 7, 8, 9)
DLOGS = (2, 3, 4)


@pytest.fixture(scope="session")
def proof(toy: ToyKey) -> ProofFile:
    return toy.prove(PUBLIC, DLOGS)


def point(value: list[str]) -> Any:
    return FQ(int(value[0])), FQ(int(value[1]))


def test_commitments_are_added_to_the_constant_and_nowhere_else(
    toy: ToyKey, proof: ProofFile
) -> None:
    bare = export(toy.words, replace(proof, commitments=((0, 0),) * 3))
    key, other = export(toy.words, proof)[KEY_FILE], bare[KEY_FILE]
    total = None
    for _ in range(sum(DLOGS)):
        total = add(total, G1)
    assert add(point(key["IC"][0]), neg(point(other["IC"][0]))) == total
    assert {**key, "IC": key["IC"][1:]} == {**other, "IC": other["IC"][1:]}
    assert key["nPublic"] == len(key["IC"]) - 1 == len(PUBLIC)


def test_infinity_is_written_as_snarkjs_writes_it(toy: ToyKey, proof: ProofFile) -> None:
    files = export(toy.words, replace(proof, a=(0, 0), b=(0, 0, 0, 0)))
    assert files[PROOF_FILE]["pi_a"] == ["0", "1", "0"]
    assert files[PROOF_FILE]["pi_b"] == [["0", "0"], ["1", "0"], ["0", "0"]]
    assert files[PUBLIC_FILE] == [str(value) for value in PUBLIC]


@pytest.mark.parametrize(
    "change",
    [
        {"public": (5 + R, 6, 7, 8, 9)},
        {"public": (5, 6, 7, 8)},
        {"a": (1, 3)},
        {"b": (1, 2, 3, 4)},
        {"vk_id": bytes(32)},
        {"commitments": ((1, 2), (1, 2), (1, 3))},
    ],
    ids=str,
)
def test_what_the_verifier_refuses_is_not_exported(
    toy: ToyKey, proof: ProofFile, change: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        export(toy.words, replace(proof, **change))


def test_the_export_command_writes_the_three_files(
    toy: ToyKey,
    proof: ProofFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PROVENANCE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "proof.json").write_bytes(proof.to_bytes())
    arguments = [
        "export",
        str(tmp_path / "proof.json"),
        "--snarkjs",
        str(tmp_path / "out"),
        "--keys",
        str(tmp_path / "keys"),
        "--json",
    ]
    with pytest.raises(NotFound):
        load_command("proof")(arguments, standalone_mode=False)
    assert not (tmp_path / "out").exists()
    words = tmp_path / "keys" / f"0x{proof.vk_id.hex()}" / "vk.words"
    words.parent.mkdir(parents=True)
    words.write_bytes(toy.words)
    load_command("proof")(arguments, standalone_mode=False)
    printed = capsys.readouterr()
    files = [Path(name) for name in json.loads(printed.out)["files"]]
    assert {file.name: json.loads(file.read_bytes()) for file in files} == export(toy.words, proof)
    assert "knowledge of the commitments" in printed.err
