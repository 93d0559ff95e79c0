"""A base whose maker is at hand only in part, or that differs from what its maker logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.ids import RunId
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Edge, Grade, Status, Verdict
from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.verify.case import Artifact, Case, Options
from provenance.verify.claims import Notes, Report
from provenance.verify.s10_policy import decide
from provenance.verify.sources.evidence import FolderSource
from tests.core.verify.test_ancestry import (
    FILES,
    FIRST,
    OUTSIDE,
    PRUNED,
    STEP,
    Generation,
    Several,
    claims,
    generations,
    judge,
    merged,
)
from tests.support.core.log_maker import LogMaker, released
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import MODEL, OWNER, TIME, MemoryRun

README = str(sha256(b"read me"))
TRACED = Policy(require=DEFAULT_REQUIRED | {"base.traced"})


def note(verdict: Verdict, base: NamedFolder) -> str:
    (edge,) = (e for e in verdict.edges if e.kind == "finetuned_from" and e.parent == base.name)
    return str(edge.note)


def demanding(runs: Sequence[Generation]) -> Status:
    """The status under a policy that demands that the base is traced."""
    child = runs[-1]
    child.source = Several(runs)
    return child.judge(TRACED, str(child.model)).status


# The folder of the base's run lacks the signatures of its heads.


def unsigned() -> list[Generation]:
    runs = generations(2)
    runs[0].evidence.signed = []
    return runs


def test_a_run_without_signed_heads_is_found_by_its_head_on_chain() -> None:
    runs = unsigned()
    verdict = judge(runs)
    assert verdict.status is Status.VERIFIED, verdict.reason
    (claim,) = claims(verdict, "base.traced")
    assert claim.holds is None
    assert "heads.jsonl" in str(claim.needs)
    said = note(verdict, merged(0))
    assert f"run 0x{runs[0].run_id.hex()} of me made it by its anchored log" in said
    assert "not checked in full" in said
    assert "no run at hand" not in said
    assert len([e for e in verdict.edges if e.kind == "trained_on"]) == 1
    assert demanding(runs) is Status.INDETERMINATE


@pytest.mark.parametrize("record", ["run.open", "seed", "checkpoint", "merge", "release"])
def test_what_was_revoked_of_a_run_without_signed_heads_counts(record: str) -> None:
    runs = unsigned()
    index = runs[0].index(record) if record != "run.open" else 0
    runs[0].chain.revoke(OWNER, runs[0].run_id, index, "leaked")
    verdict = judge(runs)
    assert verdict.status is Status.REVOKED
    assert "0x" + runs[0].run_id.hex() in verdict.reason


def test_a_log_without_signatures_that_is_not_the_anchored_one_says_nothing() -> None:
    """A stranger edits the log so that it made the base of somebody else; its run is revoked."""
    runs = unsigned()
    mother, child = runs
    log = [*mother.evidence.log]
    log[1] = replace(log[1], time="2027-01-01T00:00:00Z")
    mother.evidence.log = log
    mother.chain.revoke(OWNER, mother.run_id, mother.index("merge"), "leaked")
    verdict = judge(runs)
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])
    assert "no run at hand made it" in note(verdict, merged(0))
    assert child.run_id != mother.run_id


@pytest.mark.parametrize("took", [True, False])
def test_a_run_that_contradicts_itself_and_did_not_make_the_base_accuses_nobody(took: bool) -> None:
    """Its log names the base, which it only began with, or only took as a step's input."""

    def twice(log: list[Record]) -> list[Record]:
        *before, release = log
        step = {**STEP, "inputs": [merged("other").name, FIRST.name if took else OUTSIDE]}
        return [log[0], *before, Record.make("step", TIME, **step), release]

    chain = MemoryChain()
    other = Generation(FIRST, merged("other"), chain, twice)
    assert FIRST.content in str([r.fields for r in other.evidence.log])
    child = Generation(FIRST, merged(1), chain)
    verdict = judge([other, child])
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])


def test_a_folder_without_run_json_is_found_by_its_journals_seed(tmp_path: Path) -> None:
    """Else whoever leaves that file out would keep the run's revocation from being seen."""
    log = released(LogMaker())
    seed = next(r for r in log.records if r.type == "seed")
    run_id = RunId.parse(seed.fields["run_id"])
    folder = RunFolder(tmp_path / "run")
    folder.journal.parent.mkdir(parents=True)
    with Journal.create(folder.journal, {"format": "test"}) as journal:
        for record in log.records:
            journal.append(record.to_bytes())
    source = FolderSource([tmp_path])
    assert len(source.candidates(run_id)) == 1
    assert source.candidates(RunId(bytes(32))) == []
    folder.info.write_text("{}")
    assert len(source.candidates(run_id)) == 1
    folder.journal.write_bytes(b"no journal")
    assert source.candidates(run_id) == []


def test_what_a_step_takes_does_not_answer_for_the_weights_of_a_base() -> None:
    """A run lists as input the weights of its base, whose maker was revoked."""
    chain = MemoryChain()
    maker = Generation(FIRST, merged("maker"), chain)
    files = FILES | {"vocab.txt": README}
    base = NamedFolder("base", merged("maker").content, files)

    def with_step(log: list[Record]) -> list[Record]:
        *before, release = log
        inputs = [replace(merged(0), files=files).name, base.content]
        return [*before, Record.make("step", TIME, **{**STEP, "inputs": inputs}), release]

    mother = Generation(base, replace(merged(0), files=files), chain, with_step)
    child = Generation(PRUNED, merged(1), chain)
    chain.revoke(OWNER, maker.run_id, maker.index("merge"), "leaked")
    assert judge([maker, mother, child]).status is Status.REVOKED


# One file more, less or other lies in the folder of the base.

DIFFERENT = {
    "was not logged there": FILES | {"vocab.txt": README},
    "is missing": {},
    "is not the logged one": {"config.json": README},
}


def edited(files: dict[str, str], mother_base: NamedFolder = FIRST) -> list[Generation]:
    """The second run began with the first one's weights beside these files."""
    chain = MemoryChain()
    made = merged(0) if mother_base.files == FILES else replace(merged(0), files=mother_base.files)
    mother = Generation(mother_base, made, chain)
    base = NamedFolder("base", merged(0).content, files)
    return [mother, Generation(base, replace(merged(1), files=files), chain)]


@pytest.mark.parametrize(("how", "files"), DIFFERENT.items(), ids=DIFFERENT)
def test_another_file_in_the_base_is_named_with_the_run_that_made_the_weights(
    how: str, files: dict[str, str]
) -> None:
    runs = edited(files)
    verdict = judge(runs)
    assert verdict.status is Status.VERIFIED, verdict.reason
    said = note(verdict, NamedFolder("base", merged(0).content, files))
    assert f"run 0x{runs[0].run_id.hex()} of me made these weights" in said
    path = "vocab.txt" if "vocab.txt" in files else "config.json"
    assert f'"{path}" {how}' in said
    (claim,) = claims(verdict, "base.traced")
    assert (claim.holds, path in claim.text) == (None, True)
    assert demanding(runs) is Status.INDETERMINATE


@pytest.mark.parametrize("record", ["checkpoint", "merge", "release"])
def test_one_more_file_hides_no_revocation_of_the_weights(record: str) -> None:
    runs = edited(DIFFERENT["was not logged there"])
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index(record), "leaked")
    verdict = judge(runs)
    assert verdict.status is Status.REVOKED
    assert "made the base's weights" in verdict.reason


def test_a_run_that_changed_nothing_made_no_weights() -> None:
    """Else anybody's revoked empty run of a public base would revoke every model of that base."""
    chain = MemoryChain()
    empty = Generation(FIRST, FIRST, chain)
    base = replace(FIRST, files=FILES | {"vocab.txt": README})
    child = Generation(base, replace(merged(1), files=base.files), chain)
    chain.revoke(OWNER, empty.run_id, empty.index("merge"), "empty")
    verdict = judge([empty, child])
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])
    assert "no run at hand made it" in note(verdict, base)


def test_a_later_run_made_no_weights_of_an_earlier_base() -> None:
    chain = MemoryChain()
    files = FILES | {"vocab.txt": README}
    base = NamedFolder("base", merged(0).content, files)
    child = Generation(base, replace(merged(1), files=files), chain)
    later = Generation(FIRST, merged(0), chain)
    chain.revoke(OWNER, later.run_id, later.index("merge"), "leaked")
    assert judge([child], [child, later]).status is Status.VERIFIED


def test_the_run_that_made_the_very_folder_counts_before_one_with_other_files() -> None:
    chain = MemoryChain()
    files = FILES | {"vocab.txt": README}
    other = Generation(replace(FIRST, files=files), replace(merged(0), files=files), chain)
    mother = Generation(FIRST, merged(0), chain)
    runs = [other, mother, Generation(merged(0), merged(1), chain)]
    verdict = judge(runs)
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    assert "made by another run" in note(verdict, merged(0))


# A policy about grades, where a run before is at hand.


@pytest.mark.parametrize("kind", ["merged_from", "quantized_from", "trained_on"])
def test_the_edges_of_a_run_before_deny_nothing_that_passes_without_it(kind: str) -> None:
    """Else evidence would have to be kept away for a verdict, and taking it away would help."""
    run = MemoryRun()
    artifact = Artifact(MODEL, "model")
    own = [Edge(kind, "a", "b", Grade.PROVEN)]
    before = [Edge(kind, "c", "a", Grade.DECLARED)]
    policy = Policy(require=frozenset(), edges={kind: Grade.PROVEN})
    for ancestors in ([], before):
        report = Report(edges=own, ancestors=ancestors)
        case = Case(artifact, run.verifier(policy), Options(), Notes(report))
        assert decide(case, report).status is Status.VERIFIED
    report = Report(edges=before, ancestors=own)
    case = Case(artifact, run.verifier(policy), Options(), Notes(report))
    assert decide(case, report).status is Status.POLICY_DENIED
