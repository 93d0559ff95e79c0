"""The same run released a second time as an int8 file: proven without the weights, recomputed with
them, and tampered with.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provenance_trainer.formats import int8_blocks
from provenance_trainer.model.weights import Weights
from tests.cli.conftest import Job, main_job
from tests.cli.weights.test_weights_evidence import public, status

__all__ = ["public"]
MATRIX = "model.layers.0.self_attn.v_proj.weight"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A main job of its own, whose log the second release makes longer."""
    with main_job(tmp_path_factory.mktemp("int8")) as finished:
        yield finished


@pytest.fixture(scope="module")
def int8(job: Job) -> Path:
    """The released int8 file, logged after the GGUF file, whose verdict must not change."""
    done = job("quantize", job.run, "--format", "int8", "--json")
    assert done.code == 0, done.err
    assert (done.json["format"], done.json["quantization"], done.json["tensors"][MATRIX]) == (
        "safetensors",
        "int8",
        "I8",
    )
    refused_before_anything_is_anchored(job)
    for command in (
        ("prove", job.run, "--weights", "--draws", 4),
        ("release", job.run, "--name", "tiny-int8"),
    ):
        done = job(*command)
        assert done.code == 0, done.err
    (file,) = (job.run / "release").glob("*.safetensors")
    return file


def refused_before_anything_is_anchored(job: Job) -> None:
    """`prove` refuses a file with a row that no proof takes, here every row, and writes nothing."""
    journal, samples = job.run / "provenance" / "journal", job.run / "provenance" / "samples"
    before = journal.read_bytes(), sorted(samples.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8_blocks, "_is_provable", lambda patterns: patterns < 0)
        done = job("prove", job.run, "--weights", "--draws", 4)
    assert done.code == 2
    assert "row 0" in done.err
    assert (journal.read_bytes(), sorted(samples.iterdir())) == before


def judged(job: Job, file: Path, evidence: Path, *options: object) -> dict[str, Any]:
    return job("verify", file, "--evidence", evidence, *options, "--json").json


def test_int8_codes_are_proven_without_the_weights(job: Job, int8: Path, public: Path) -> None:
    verdict = judged(job, int8, public, "--base", "tiny")
    assert verdict["status"] == "verified", verdict["reason"]
    claims = {c["id"]: c for c in verdict["claims"]}
    assert {
        id_: claims[id_]["status"]
        for id_ in ("merge.proven", "quantize.proven", "base.recomputed", "file.recomputed")
    } == {
        "merge.proven": "holds",
        "quantize.proven": "holds",
        "base.recomputed": "holds",
        "file.recomputed": "not_checked",
    }
    assert "not shown" in claims["quantize.proven"]["text"]
    (edge,) = (e for e in verdict["edges"] if e["kind"] == "quantized_from")
    assert edge["grade"] == "declared"  # the merged weights were not at hand
    assert edge["note"].startswith("int8, sampled")


def test_with_the_weights_the_file_is_exact_up_to_ties(job: Job, int8: Path) -> None:
    verdict = judged(job, int8, job.run)
    (claim,) = (c for c in verdict["claims"] if c["id"] == "file.recomputed")
    assert (verdict["status"], claim["status"]) == ("verified", "holds")
    assert "int8 quantization of the merged weights, recomputed up to ties" in claim["text"]


def test_the_other_release_keeps_its_verdict(job: Job, int8: Path, public: Path) -> None:
    verdict = judged(job, job.file, public)
    assert verdict["status"] == "verified"
    assert status(verdict, "quantize.proven") == "holds"


def test_a_file_with_a_changed_code_fails(job: Job, int8: Path, tmp_path: Path) -> None:
    copy = tmp_path / int8.name
    data = bytearray(int8.read_bytes())
    data[Weights(int8).info(MATRIX).start] ^= 1
    copy.write_bytes(data)
    verdict = judged(job, copy, job.run)
    assert verdict["status"] == "failed"


def test_proofs_of_the_other_format_are_refused(job: Job, int8: Path, public: Path) -> None:
    samples = public / "provenance" / "samples"
    shutil.rmtree(samples / "quantize-1")
    shutil.copytree(samples / "quantize-0", samples / "quantize-1")
    verdict = judged(job, int8, public)
    assert verdict["status"] == "failed"
    assert status(verdict, "quantize.proven") == "fails"


def test_another_format_is_refused(job: Job) -> None:
    done = job("quantize", job.run, "--format", "int4")
    assert done.code == 2
    assert "int4" in done.err
