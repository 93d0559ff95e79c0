"""Verification by someone who has the file and the public evidence, but neither adapter nor merged
weights. Tampered evidence fails.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Job, run_cli


@pytest.fixture
def public(job: Job, tmp_path: Path) -> Path:
    """The run folder as a regulator gets it: no weights, no secrets."""
    folder = tmp_path / "run"
    shutil.copytree(
        job.run / "provenance",
        folder / "provenance",
        ignore=shutil.ignore_patterns("secrets", ".nodes"),
    )
    return folder


def judged(job: Job, folder: Path, *options: object) -> dict[str, Any]:
    return job("verify", job.file, "--evidence", folder, *options, "--json").json


def status(verdict: dict[str, Any], id_: str) -> str:
    return next(c["status"] for c in verdict["claims"] if c["id"] == id_)


def test_merge_and_quantization_are_proven_without_the_weights(job: Job, public: Path) -> None:
    verdict = judged(job, public, "--base", "tiny")
    assert verdict["status"] == "verified"
    assert (
        status(verdict, "merge.proven"),
        status(verdict, "quantize.proven"),
        status(verdict, "base.recomputed"),
    ) == ("holds",) * 3
    assert {"file.recomputed", "merge.recomputed"} <= set(verdict["not_checked"])
    ties = {
        e["note"].split()[-2] if e["grade"] == "recomputed" else "declared": e["grade"]
        for e in verdict["edges"]
        if e["kind"] == "committed_as"
    }
    assert ties == {"base": "recomputed", "declared": "declared"}
    for edge in (e for e in verdict["edges"] if e["kind"] in ("merged_from", "quantized_from")):
        assert edge["grade"] == "declared"  # adapter and merged weights were not at hand
        assert "99 %" in edge["note"]
        assert "a table is not tied to the logged weights" in edge["note"]


def test_every_missing_key_is_named_at_once_with_the_value_that_deploys_it(
    job: Job, tmp_path: Path
) -> None:
    """The contracts seem to pin fewer keys: what is said comes before any weight is read."""
    home, opening = tmp_path / "home", ("--nonce", "0x" + "11" * 32, "--out", tmp_path / "out")
    shutil.copytree(job.environment["PROVENANCE_HOME"], home)
    value = json.loads((home / "deployment.json").read_text())
    value["keys"] = [
        k for k in value["keys"] if (k["kind"], k["depth"]) not in (("merge", 130), ("q8_0", 2))
    ]
    (home / "deployment.json").write_text(json.dumps(value))
    environment = job.environment | {"PROVENANCE_HOME": str(home)}
    done = run_cli(environment, "proof", "open", job.run, *opening)
    assert done.code == 2
    assert "contracts lack 2 keys, expected merge:2:8; q8_0:2, actual" in done.err
    assert "--model-keys q8_0:1,int8:1,int8:2,merge:1:8,merge:2:8,q8_0:2 " in done.err
    done = run_cli(
        job.environment | {"PROVENANCE_CACHE": str(tmp_path)}, "proof", "open", job.run, *opening
    )
    assert done.code == 4
    for name in ("merge:1:8 (0x", "merge:2:8 (0x", "q8_0:1 (0x", "q8_0:2 (0x"):
        assert name in done.err


def test_slow_verifier_agrees_on_sampled_blocks(job: Job, public: Path) -> None:
    verdict = judged(job, public, "--slow")
    assert (status(verdict, "merge.proven"), status(verdict, "quantize.proven")) == (
        "holds",
        "holds",
    )


def test_a_digest_alone_leaves_the_quantization_unchecked(job: Job, public: Path) -> None:
    from provenance.digest import hash_file

    done = job("verify", hash_file(job.file), "--evidence", public, "--json")
    assert status(done.json, "merge.proven") == "holds"
    assert status(done.json, "quantize.proven") == "not_checked"


def test_proving_the_weights_again_changes_nothing(job: Job) -> None:
    before = (job.run / "provenance" / "journal").read_bytes()
    assert job("prove", job.run, "--weights", "--draws", 4).code == 0
    assert (job.run / "provenance" / "journal").read_bytes() == before


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def swap(folder: Path) -> None:
    first, second = folder / "proof-0.json", folder / "proof-1.json"
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def low_rank_edit(folder: Path) -> None:
    """Change the root of one factor, as an adapter that was edited after the draw would need."""
    edit(
        folder / "tables.json",
        lambda t: t["adapter"]["tensors"][1].update(root="0x" + "0" * 63 + "7"),
    )


ATTACKS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a proof of other blocks": (
        "merge",
        lambda f: edit(
            f / "proof-0.json", lambda p: p["public"].__setitem__(6, "0x" + "0" * 63 + "1")
        ),
    ),
    "another root in a proof": (
        "merge",
        lambda f: edit(
            f / "proof-0.json", lambda p: p["public"].__setitem__(3, "0x" + "0" * 63 + "1")
        ),
    ),
    "proofs exchanged": ("merge", swap),
    "proof words changed": (
        "merge",
        lambda f: edit(f / "proof-1.json", lambda p: p.update(c=p["a"])),
    ),
    "a factor of another adapter": ("merge", low_rank_edit),
    "another code": (
        "quantize",
        lambda f: edit(
            f / "proof-0.json", lambda p: p["public"].__setitem__(2, "0x" + "0" * 63 + "1")
        ),
    ),
    "quantization proofs exchanged": ("quantize", swap),
    "tensors of equal shape exchanged": (
        "quantize",
        lambda f: edit(f / "tables.json", lambda t: t["merged"]["tensors"].reverse()),
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_tampered_evidence_fails(job: Job, public: Path, name: str) -> None:
    stage, attack = ATTACKS[name]
    attack(public / "provenance" / "samples" / f"{stage}-0")
    verdict = judged(job, public)
    assert verdict["status"] == "failed"
    assert status(verdict, f"{stage}.proven") == "fails"


MISSING: dict[str, Callable[[Path], None]] = {
    "a proof": lambda f: max(f.glob("proof-*.json")).unlink(),
    "tables": lambda f: (f / "tables.json").unlink(),
}


@pytest.mark.parametrize("name", MISSING)
def test_evidence_that_was_taken_away_verifies_nothing(job: Job, public: Path, name: str) -> None:
    """It contradicts nothing, so the verdict does not fail either."""
    MISSING[name](public / "provenance" / "samples" / "merge-0")
    verdict = judged(job, public)
    assert (verdict["status"], verdict["exit_code"]) == ("indeterminate", 3)
    assert status(verdict, "merge.proven") == "not_checked"
    assert status(verdict, "quantize.proven") == "holds"


NONCE = "0x" + "5a" * 32


@pytest.fixture(scope="module")
def openings(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("openings")
    done = job("proof", "open", job.run, "--nonce", NONCE, "--draws", 2, "--out", out, "--json")
    assert done.code == 0, done.err
    assert set(done.json["proofs"]) == {"merge", "quantize"}
    return out


def test_openings_at_the_callers_nonce_hold(job: Job, public: Path, openings: Path) -> None:
    verdict = judged(job, public, "--openings", openings, "--nonce", NONCE)
    assert verdict["status"] == "verified", verdict["reason"]
    assert [c["status"] for c in verdict["claims"] if c["id"] == "openings.proven"] == [
        "holds",
        "holds",
    ]


def test_openings_at_another_nonce_fail(job: Job, public: Path, openings: Path) -> None:
    verdict = judged(job, public, "--openings", openings, "--nonce", "0x" + "5b" * 32)
    assert verdict["status"] == "failed"
    assert status(verdict, "openings.proven") == "fails"


def test_the_drawn_proofs_do_not_pass_as_openings(
    job: Job, public: Path, openings: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(openings, forged)
    for file in (public / "provenance" / "samples" / "merge-0").glob("proof-*.json"):
        shutil.copyfile(file, forged / "merge" / file.name)
    verdict = judged(job, public, "--openings", forged, "--nonce", NONCE)
    assert verdict["status"] == "failed"


@pytest.mark.parametrize(
    "options",
    [
        ("--nonce", NONCE),
        ("--openings", "."),
        ("--openings", ".", "--nonce", "0x12"),
        ("--openings", "/nonexistent", "--nonce", NONCE),
    ],
)
def test_openings_need_a_folder_and_a_nonce(job: Job, options: tuple[str, ...]) -> None:
    done = job("verify", job.file, "--evidence", job.run, *options)
    assert done.code == 2
    assert "error:" in done.err
