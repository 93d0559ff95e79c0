"""What a verdict prints was compared with something, or says whose word it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provenance.digest import sha256
from provenance.errors import VerificationError
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance.log.record import Record
from provenance.verify import Artifact, Options, Verifier, verify_artifact
from provenance.verify.protocols import Difference
from provenance_cli.judge.verdict_text import render
from tests.core.verify.test_planted_evidence import Folders
from tests.core.verify.test_recomputation import Inspector
from tests.core.verify.test_recomputation import Run as Weighed
from tests.support.memory_run import MODEL, MemoryRun

OTHER = sha256(b"another file")


def claim(verdict: Verdict, id_: str) -> Claim:
    return next(c for c in verdict.claims if c.id == id_)


def asked_with_run(run: MemoryRun) -> Claim:
    """The claim `release.named` about a file that the named run never released."""
    verdict = run.judge(subject=str(OTHER), release=run.run_id)
    assert verdict.status is Status.FAILED
    return claim(verdict, "release.named")


def forged(run: MemoryRun) -> list[Record]:
    """The run's log with a release behind it that nobody claimed."""
    last = run.evidence.log[-1]
    return [*run.evidence.log, replace(last, fields={**last.fields, "model": str(sha256(b"x"))})]


def test_what_a_run_released_instead_is_what_the_chain_says() -> None:
    run = MemoryRun()
    run.evidence.log = forged(run)
    assert asked_with_run(run).expected == str(MODEL)


def test_a_forged_journal_alone_says_nothing_of_what_was_released() -> None:
    run = MemoryRun()
    run.evidence.log = forged(run)[-1:]
    assert asked_with_run(run).expected == "a release by a trusted publisher"


def test_a_damaged_copy_hides_not_what_was_released() -> None:
    run = MemoryRun()
    good, bad = run.evidence, replace(run.evidence)

    def damaged(most: int | None = None) -> list[Record]:
        raise VerificationError("journal is damaged before its end")

    bad.records = damaged  # type: ignore[method-assign]
    run.source = Folders(run, [bad, good])
    assert asked_with_run(run).expected == str(MODEL)


def test_weights_that_were_not_compared_with_the_log_are_called_so(tmp_path: Path) -> None:
    run = Weighed(tmp_path)
    memory = run.memory
    verifier = Verifier(
        trust=memory.trust,
        reader=memory.chain,
        source=memory.source,
        prover=memory.believer,
        inspector=Inspector(quantized=[Difference("w", "1", "2")]),  # type: ignore[arg-type]
    )
    artifact = Artifact(OTHER, "model.q", path=Path("model.q"))
    verdict = verify_artifact(artifact, verifier, Options(release=memory.run_id))
    assert "were not compared with the log" in claim(verdict, "file.recomputed").text


@pytest.mark.parametrize("old", [True, False])
def test_notes_say_whose_word_they_are(old: bool) -> None:
    base = {"content": str(sha256(b"base")), "name": "llama"}
    run = MemoryRun(opening={"base": base} | ({"fed": None} if old else {}))
    verdict = run.judge()
    notes = {e.kind: str(e.note) for e in verdict.edges}
    assert notes["finetuned_from"].startswith('called "llama" by the publisher; ')
    assert notes["quantized_from"] == '"Q8_0" by the log'
    assert ("binds no files" in notes["finetuned_from"]) is old
    printed = render(verdict)
    assert f"note: {notes['finetuned_from']}" in printed
    assert 'note: "Q8_0" by the log' in printed
