"""docs/formats/audits.md and the code say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

from provenance.dataset.tombstone import FILE_NAME, Tombstone
from provenance_cli.dataset.contains import EXIT_CODES
from provenance_zk.audits.judgement import CLAIMS
from provenance_zk.audits.sorted_proofs import FOLDER, chunk_file, words_of
from provenance_zk.audits.statement_file import DATASET_KINDS
from tests.docs.documents import ROOT, code, example, table
from tests.zk.audits.test_proof_verify import absent, member, sorted_statement

PAGE = ROOT / "docs" / "formats" / "audits.md"


def test_the_claims_are_those_of_the_code() -> None:
    assert {
        code(claim)[0]: int(step) for step, claim, _ in table(PAGE, "## Verdict on a file")
    } == CLAIMS


def test_the_fields_of_a_statement_are_those_of_the_code() -> None:
    shown = {code(row[0])[0]: row[1] for row in table(PAGE, "## Statement file")}
    assert code(shown["kind"]) == list(DATASET_KINDS)
    assert (
        set(shown)
        == set(member().to_json())
        == set(absent().to_json())
        == set(sorted_statement(0).to_json()) | {"digest"}
    )


def test_the_answers_have_the_exit_codes_of_the_code() -> None:
    (one, _) = table(PAGE, "## Answers of the owner")
    assert [int(x) for x in one[1:]] == [
        EXIT_CODES[answer] for answer in ("present", "absent", "undetermined")
    ]


def test_the_file_names_are_those_of_the_code() -> None:
    shown = [code(row[0])[0] for row in table(PAGE, "<!-- layout: audits -->")]
    folder = Path(FOLDER)
    paths = [str(chunk_file(folder, 7)), str(words_of(folder, b"\x07" * 32)), FILE_NAME]
    for pattern, path in zip(shown, paths, strict=True):
        assert re.fullmatch(re.sub(r"<\w+>", r"\\w+", re.escape(pattern)), path), path


def test_the_example_tombstone_reads_back() -> None:
    line = example(PAGE, "tombstone").encode()
    tombstone = Tombstone.parse(line)
    assert tombstone.to_line() == line
    shown = [code(row[0])[0] for row in table(PAGE, "## Erasure and tombstones")]
    assert sorted(shown) == sorted(json.loads(line))
