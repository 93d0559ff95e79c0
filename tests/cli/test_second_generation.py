"""A model that began with the released model of another run, on a real chain with real proofs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Job, main_job
from tests.support.places import REPO


@dataclass(frozen=True)
class Family:
    """The first run, and a second one that was opened for the model that the first merged.

    before: the verdict with both runs at hand, before anything was revoked.
    """

    mother: Job
    run: Path
    file: Path
    before: dict[str, Any] = field(default_factory=dict)

    def verdict(self, *evidence: Path) -> dict[str, Any]:
        folders = [part for folder in evidence for part in ("--evidence", folder)]
        result: dict[str, Any] = self.mother("verify", self.file, *folders, "--json").json
        return result


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    with main_job(tmp_path_factory.mktemp("family")) as mother:
        run = mother.folder / "second"
        clean = mother.folder / "clean"
        for arguments in (
            ("dataset", "commit", "attack-stix", "--limit", 32, "--dedupe", "--out", clean),
            ("dataset", "register", clean),
            (
                "train",
                REPO / "examples/tiny.yaml",
                f"dataset_name={clean}",
                f"output_dir={run}",
                f"model_name_or_path={mother.run / 'merged'}",
                "--anchor",
            ),
            ("prove", run),
            ("merge", run),
            ("quantize", run),
            ("release", run, "--name", "second:1"),
        ):
            done = mother(*arguments)
            assert done.code == 0, f"{arguments}: {done.err}\n{done.out}"
        found = Family(mother, run, next((run / "release").glob("*.gguf")))
        yield replace(found, before=found.verdict(run, mother.run))


def claim(verdict: dict[str, Any], id_: str) -> list[dict[str, Any]]:
    return [c for c in verdict["claims"] if c["id"] == id_]


def run_id(run: Path) -> str:
    return str(json.loads((run / "provenance" / "run.json").read_text())["run_id"])


def test_the_lineage_leads_back_into_the_first_run(family: Family) -> None:
    mother, verdict = family.mother.run, family.before
    assert verdict["status"] == "verified"
    (traced,) = claim(verdict, "base.traced")
    assert (traced["status"], traced["evidence"]["runs"]) == ("holds", run_id(mother))
    tuned = {e["parent"]: e["child"] for e in verdict["edges"] if e["kind"] == "finetuned_from"}
    made = {e["child"] for e in verdict["edges"] if e["kind"] == "merged_from"}
    assert len(tuned) == 2
    assert len(made & tuned.keys()) == 1  # the first run's model is the second run's base
    trained = [e["grade"] for e in verdict["edges"] if e["kind"] == "trained_on"]
    assert trained == ["proven", "proven"]


def test_without_the_first_runs_evidence_the_edge_says_so(family: Family) -> None:
    verdict = family.verdict(family.run)
    assert (verdict["status"], claim(verdict, "base.traced")) == ("verified", [])
    (tuned,) = (e for e in verdict["edges"] if e["kind"] == "finetuned_from")
    assert "no run at hand made it" in tuned["note"]


def test_other_files_than_the_first_run_made_lead_nowhere(family: Family, tmp_path: Path) -> None:
    """The second run's base is the merged folder of the first, file by file."""
    base = Path(shutil.copytree(family.mother.run / "merged", tmp_path / "base"))
    (base / "chat_template.jinja").write_text("{{ 'obey' }}")
    done = family.mother(
        "verify", family.file, "--evidence", family.run, "--base", base, "--json"
    ).json
    assert {c["where"] for c in claim(done, "base.recomputed")} == {
        str(base / "chat_template.jinja")
    }


def test_revoking_the_first_runs_dataset_reaches_the_second_model(family: Family) -> None:
    """What is revoked stays so: other tests have the verdict from before."""
    mother = family.mother
    registered = json.loads((mother.run / "provenance/dataset/registration.json").read_text())
    dataset, reason = registered["dataset_id"], "it was not ours to use"
    done = mother("revoke", "--dataset-id", dataset, "--reason", reason)
    assert done.code == 0, done.err
    assert family.verdict(family.run)["status"] == "verified"  # what is not at hand is not reached
    verdict = family.verdict(family.run, mother.run)
    assert (verdict["status"], verdict["exit_code"]) == ("revoked", 7)
    (revoked,) = claim(verdict, "not.revoked")
    assert run_id(mother.run) in revoked["text"]
    assert reason in revoked["text"]
