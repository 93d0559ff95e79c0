"""Runs of earlier releases verify with today's code, and their verdicts say the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.frozen import RUN_1, Frozen, frozen_run


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen_run(tmp_path_factory.mktemp("frozen") / "run-1") as frozen:
        yield frozen


def edges(verdict: dict[str, Any]) -> list[list[str]]:
    """Kind, parent and child. The dataset's edge leads to the batches since the second format."""
    found = [[e["kind"], e["parent"], e["child"]] for e in verdict["edges"]]
    return [edge for edge in found if edge[0] not in ("trained_on", "adapter_from")]


def said(verdict: dict[str, Any]) -> dict[str, Any]:
    """The facts of a verdict, without its wording, which may change."""
    return {
        "status": verdict["status"],
        "word": verdict["word"],
        "claims": {c["id"]: c["status"] for c in verdict["claims"]},
        "edges": edges(verdict),
        "release": verdict["release"],
    }


# Claims of later releases: what this run's log does not say yet, and what it always kept to.
LATER = {
    "data.fed": "not_checked",
    "training.learned": "not_checked",
    "history.consistent": "holds",
}
# Grades of today: a sampled proof is no proof of all of it, and a table that nobody tied to the
# logged weights carries nothing. The adapter follows from the batches by the log's word alone.
GRADES = {
    "trained_on": "proven",
    "adapter_from": "anchored",
    "finetuned_from": "anchored",
    "quantized_from": "recomputed",
}
MERGED_FROM = {"evidence_alone": "declared", "everything": "recomputed"}
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
    expected, actual = json.loads((RUN_1 / "verdicts.json").read_text())[name], said(done.json)
    assert {id_: actual["claims"].pop(id_) for id_ in LATER} == LATER
    expected["edges"] = [edge[:3] for edge in expected["edges"] if edge[0] != "trained_on"]
    assert actual == expected
    grades = {e["kind"]: e["grade"] for e in done.json["edges"] if e["kind"] != "committed_as"}
    assert grades == GRADES | {"merged_from": MERGED_FROM[name]}


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
