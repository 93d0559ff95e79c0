"""`fsck` names the lines of attestations.jsonl that are no auditor's word about the log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from provenance.ids import RunId, Word
from provenance.layout import RunFolder
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.attestation import Audit, words_of
from provenance.log.audit.kept import to_line
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.run_log import run_id_of
from provenance.log.tree import read_records
from provenance.merkle import Tree
from provenance_cli.judge.log_export import domain_of_run
from tests.cli.conftest import Job
from tests.support.core.auditors import MadeAuditor

AUDITOR = MadeAuditor.make("auditor")


def attested(folder: RunFolder, **changes: Any) -> bytes:
    """A line about a run, signed by an auditor."""
    records = read_records(folder.journal)
    segments = segments_of(read_history(records))
    size = [record.type for record in records].index("run.close") + 1
    outcomes = dict.fromkeys(range(len(segments)), Agreement.EXACT)
    fields: dict[str, Any] = {
        "run_id": run_id_of(folder),
        "size": size,
        "root": Tree([record.entry for record in records[:size]]).root(),
        "segments": len(segments),
        "nonce": Word(bytes(32)),
        "replayed": words_of(segments, outcomes),
        "stack": {},
        "block": 1,
        "block_hash": bytes(32),
    }
    audit = Audit(**(fields | changes))
    return to_line(AUDITOR.sign(audit, domain_of_run(folder)))


@pytest.fixture
def folder(job: Job, tmp_path: Path) -> RunFolder:
    shutil.copytree(job.run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_good_lines_are_no_problem(job: Job, folder: RunFolder) -> None:
    folder.attestations.write_bytes(attested(folder))
    done = job("fsck", folder.root, "--offline", "--json")
    assert (done.code, done.json["problems"]) == (0, [])


def test_each_bad_line_is_named(job: Job, folder: RunFolder) -> None:
    lines = [
        attested(folder),
        b"x" * 400 + b"\n",
        attested(folder, run_id=RunId(b"\x01" * 32)),
        attested(folder, root=bytes(32)),
        attested(folder, size=10**6),
        attested(folder).replace(b'"exact"', b'"close"', 1),
    ]
    folder.attestations.write_bytes(b"".join(lines))
    done = job("fsck", folder.root, "--offline", "--json")
    assert done.code == 1
    assert [problem.split(":")[0] for problem in done.json["problems"]] == [
        f"attestations.jsonl line {number}" for number in range(2, 7)
    ]


def test_a_link_is_named(job: Job, folder: RunFolder) -> None:
    folder.attestations.symlink_to(folder.journal)
    done = job("fsck", folder.root, "--offline", "--json")
    assert done.code == 1
    assert done.json["problems"][0].startswith("attestations.jsonl cannot be checked: ")
