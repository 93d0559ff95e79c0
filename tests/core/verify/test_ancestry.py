"""The walk into other runs: a base that another run released, what was revoked of that run,
circles, and lineages without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.errors import MissingEvidence
from provenance.ids import RunId
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Claim, Edge, Grade, Status, Verdict
from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.verify.claims import Notes, Report
from provenance.verify.protocols import Evidence
from provenance.verify.s06_lineage import walk
from provenance.verify.sources.evidence import FolderSource
from tests.support.core.log_maker import MERGED_NAME, LogMaker, released
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import BASE, DATASET, OWNER, TIME, Change, MemoryEvidence, MemoryRun

FILES = {"config.json": str(sha256(b"settings"))}
FIRST = NamedFolder("base", str(BASE), FILES)


def merged(number: object) -> NamedFolder:
    """The model that run `number` makes; every model has its base's files."""
    return NamedFolder("merged", str(sha256(f"merged {number}".encode())), FILES)


class Several:
    """Evidence of several runs."""

    def __init__(self, runs: Sequence[MemoryRun]) -> None:
        self.runs = list(runs)

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        return [found for run in self.runs for found in run.evidence.candidates(run_id)]

    def makers(self, artifact: str) -> Sequence[Evidence]:
        return [found for run in self.runs for found in run.evidence.makers(artifact)]


class Generation(MemoryRun):
    """A run that made one model from another, and a file of it."""

    def __init__(
        self,
        base: NamedFolder,
        made: NamedFolder,
        chain: MemoryChain,
        change: Change = lambda log: log,
    ) -> None:
        self.model = sha256(f"file of {made.content}".encode())
        adapter = str(sha256(f"adapter of {made.content}".encode()))
        names: dict[str, dict[str, Any]] = {
            "checkpoint": {"weights": adapter},
            "merge": {
                "adapter": adapter,
                "base": base.content,
                "base_files": base.files,
                "merged": made.content,
                "merged_files": made.files,
            },
            "quantize": {"source": made.name, "file": str(self.model)},
            "release": {"model": str(self.model)},
        }

        def named(log: list[Record]) -> list[Record]:
            return change([replace(r, fields={**r.fields, **names.get(r.type, {})}) for r in log])

        opening = {"base": {"content": base.content, "files": base.files, "name": "me"}}
        super().__init__(named, opening, chain=chain)

    def index(self, type_: str) -> int:
        return max(i for i, r in enumerate(self.evidence.log) if r.type == type_)


def generations(count: int) -> list[Generation]:
    """Runs of which each began with the model of the one before."""
    chain = MemoryChain()
    models = [FIRST, *(merged(i) for i in range(count))]
    return [Generation(models[i], models[i + 1], chain) for i in range(count)]


def judge(runs: Sequence[Generation], at_hand: Sequence[MemoryRun] | None = None) -> Verdict:
    """The verdict about the file of the last run."""
    last = runs[-1]
    last.source = Several(runs if at_hand is None else at_hand)
    last.chain.mine(3)
    return last.judge(subject=str(last.model))


def claims(verdict: Verdict, id_: str) -> list[Claim]:
    return [claim for claim in verdict.claims if claim.id == id_]


def test_a_base_that_another_run_released_leads_into_that_run() -> None:
    grandmother, mother, child = runs = generations(3)
    verdict = judge(runs)
    assert verdict.status is Status.VERIFIED
    (claim,) = claims(verdict, "base.traced")
    ids = ["0x" + run.run_id.hex() for run in (mother, grandmother)]
    assert (claim.holds, claim.evidence["runs"]) == (True, ", ".join(ids))
    assert all(id_ in claim.text for id_ in ids)
    tuned = {e.parent: str(e.note) for e in verdict.edges if e.kind == "finetuned_from"}
    assert set(tuned) == {FIRST.name, merged(0).name, merged(1).name}
    assert "no run at hand made it" in tuned[FIRST.name]
    assert "made by another run" in tuned[merged(0).name]
    trained = [e for e in verdict.edges if e.kind == "trained_on"]
    names = [run.run_id.hex() for run in (child, mother, grandmother)]
    assert [edge.child[-64:] for edge in trained] == names
    assert {e.grade for e in trained} == {Grade.PROVEN}  # proofs of each run were checked
    assert [e.child for e in verdict.edges if e.kind == "quantized_from"] == [str(child.model)]


def test_runs_that_made_the_same_base_are_told_from_those_before_them() -> None:
    chain = MemoryChain()
    first, second = (Generation(FIRST, merged(0), chain) for _ in range(2))
    runs = [first, second, Generation(merged(0), merged(1), chain)]
    runs.append(Generation(merged(1), merged(2), chain))
    ids = [f"run 0x{run.run_id.hex()} of me" for run in runs]
    (of_child,) = claims(judge(runs[:3]), "base.traced")
    by = "by their logs, the base was made by"  # nobody compared a weight
    assert of_child.text.startswith(f"{by} {ids[0]} and by {ids[1]}; release")
    (of_grandchild,) = claims(judge(runs), "base.traced")
    assert of_grandchild.text.startswith(
        f"by its log, the base was made by {ids[2]}; 2 more made what that was made of: "
        f"{ids[0]}, {ids[1]}; "
    )


def test_a_log_of_the_bases_run_without_proofs_hides_no_proofs() -> None:
    """Anybody can copy what is public of it; the folder beside it has the proofs."""
    mother, child = generations(2)
    several = Several([mother, child])
    bare = replace(mother.evidence, keys={}, registered=None)

    class Planted(Several):
        def candidates(self, run_id: RunId) -> Sequence[Evidence]:
            return [*bare.candidates(run_id), *several.candidates(run_id)]

    child.source = Planted([mother, child])
    child.chain.mine(3)
    verdict = child.judge(subject=str(child.model))
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert len(claims(verdict, "base.traced")) == 1


def test_a_run_that_is_not_at_hand_is_not_reached_and_the_edge_says_so() -> None:
    runs = generations(2)
    verdict = judge(runs, runs[1:])
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])
    (tuned,) = (e for e in verdict.edges if e.kind == "finetuned_from")
    assert str(tuned.note) == 'called "me" by the publisher; no run at hand made it'
    runs[1].source = Several(runs[1:])
    demanding = Policy(require=DEFAULT_REQUIRED | {"base.traced"})
    assert runs[1].judge(demanding, str(runs[1].model)).status is Status.INDETERMINATE


@pytest.mark.parametrize("generation", [0, 1])
@pytest.mark.parametrize("record", ["run.open", "seed", "batch", "checkpoint", "merge", "release"])
def test_a_revoked_record_of_an_ancestor_revokes_the_model(record: str, generation: int) -> None:
    runs = generations(3)
    ancestor = runs[generation]
    index = ancestor.index(record) if record != "run.open" else 0
    runs[0].chain.revoke(OWNER, ancestor.run_id, index, "leaked")
    verdict = judge(runs)
    assert verdict.status is Status.REVOKED
    (claim,) = claims(verdict, "not.revoked")
    assert ("0x" + ancestor.run_id.hex() in claim.text, claim.holds) == (True, False)
    assert f"record {index} ({record}) was revoked" in claim.text


def test_a_base_released_with_a_revoked_key_revokes_the_model() -> None:
    """It was logged in time, and claimed when the key was in other hands."""
    runs = generations(2)
    mother, child = runs
    chain = child.chain
    (place,) = (i for i, (_, c) in enumerate(chain.released) if c.run_id == mother.run_id)
    model, claim = chain.released[place]
    first = chain.mine() + 1
    chain.released[place] = (model, replace(claim, block_number=chain.mine()))
    assert judge(runs).status is Status.VERIFIED
    chain.revoke_signer(OWNER, OWNER, first, "laptop stolen")
    verdict = judge(runs)
    assert verdict.status is Status.REVOKED
    (found,) = claims(verdict, "not.revoked")
    assert "0x" + mother.run_id.hex() in found.text
    assert "laptop stolen" in found.text


def test_the_revoked_dataset_of_an_ancestor_revokes_the_model() -> None:
    """The second model was trained on other data; what it began with was trained on this."""
    runs = generations(2)
    mother, child = runs
    for number, (block, facts) in enumerate(child.chain.opened):
        if facts.run_id == child.run_id:
            clean = replace(facts, dataset_id=b"\xdb" * 32)
            child.chain.opened[number] = (block, clean)
    facts = child.chain.latest().dataset(DATASET)
    assert facts is not None
    child.chain.register(b"\xdb" * 32, facts)
    child.chain.revoke_dataset(OWNER, DATASET, "no licence")
    assert judge(runs, [child]).reason.find("dataset was revoked") == -1
    verdict = judge(runs)
    assert "not.revoked" in {c.id for c in verdict.claims if c.holds is False}
    (claim,) = claims(verdict, "not.revoked")
    assert "the dataset was revoked" in claim.text
    assert "0x" + mother.run_id.hex() in claim.text


def test_a_stranger_who_says_that_they_made_the_base_is_not_reached() -> None:
    """Anyone can log a merge to a known model. Only a trusted publisher's release counts."""
    runs = generations(2)
    mother, child = runs
    before = child.trust.publishers[0]
    block = next(c.block_number for _, c in mother.chain.released if c.run_id == mother.run_id)
    late = Publisher(before.address, before.name, from_block=block + 1)
    child.trust = replace(child.trust, publishers=(late,))
    verdict = judge(runs)
    assert claims(verdict, "base.traced") == []
    assert len([e for e in verdict.edges if e.kind == "trained_on"]) == 1


def test_evidence_that_is_not_the_anchored_log_is_not_reached() -> None:
    """A false copy beside the true one hides nothing; alone it says nothing."""
    runs = generations(2)
    mother, child = runs
    false = MemoryEvidence(mother.run_id, [*mother.evidence.log], [*mother.evidence.signed])
    seed = false.log[1]
    false.log[1] = replace(seed, time="2027-01-01T00:00:00Z")
    copy = Generation(FIRST, merged(0), MemoryChain())
    copy.evidence = false
    verdict = judge(runs, [copy, child])
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])
    verdict = judge(runs, [copy, mother, child])
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]


def test_damaged_evidence_of_others_is_passed_over() -> None:
    runs = generations(2)
    damaged = Generation(FIRST, merged(0), MemoryChain())
    damaged.evidence.log = damaged.evidence.log[5:]
    verdict = judge(runs, [damaged, *runs])
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]


def test_an_ancestor_that_contradicts_itself_fails() -> None:
    """Its log is anchored and released, but the epoch names an anchoring that the chain lacks."""

    def another(log: list[Record]) -> list[Record]:
        return [
            replace(r, fields={**r.fields, "number": 7}) if "number" in r.fields else r for r in log
        ]

    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, another)
    runs = [mother, Generation(merged(0), merged(1), chain)]
    verdict = judge(runs)
    (claim,) = claims(verdict, "base.traced")
    assert (verdict.status, claim.holds) == (Status.FAILED, False)
    assert "0x" + mother.run_id.hex() in claim.text


PRUNED = NamedFolder("base", str(sha256(b"pruned")), FILES)
OUTSIDE = str(sha256(b"a list of what is to be pruned"))
STEP: dict[str, Any] = {
    "kind": "prune",
    "inputs": [merged(0).name, OUTSIDE],
    "outputs": [PRUNED.name],
    "tool": {"name": "pruner", "version": "1.2", "digest": str(sha256(b"tool"))},
    "parameters": {},
    "metrics": {},
}


def pruned(**fields: Any) -> list[Generation]:
    """The second run began with what a step of the first one made of its merged model."""

    def with_step(log: list[Record]) -> list[Record]:
        *before, release = log
        return [*before, Record.make("step", TIME, **{**STEP, **fields}), release]

    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, with_step)
    return [mother, Generation(PRUNED, merged(1), chain)]


def test_a_base_that_a_step_made_leads_through_the_step_and_no_higher_than_anchored() -> None:
    runs = pruned()
    verdict = judge(runs)
    assert verdict.status is Status.VERIFIED
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    derived = {e.parent: e for e in verdict.edges if e.kind == "derived_from"}
    assert set(derived) == {merged(0).name, OUTSIDE}
    assert {e.child for e in derived.values()} == {PRUNED.name}
    assert {(e.grade, e.note) for e in derived.values()} == {
        (Grade.ANCHORED, 'the publisher says: "prune by pruner 1.2"')
    }
    assert FIRST.name in {e.parent for e in verdict.edges if e.kind == "finetuned_from"}


def test_a_step_on_the_file_leads_through_the_file() -> None:
    """The first run's file was read back into a model: its quantization is on the way."""
    file = str(sha256(f"file of {merged(0).content}".encode()))
    runs = pruned(kind="dequantize", inputs=[file])
    assert str(runs[0].model) == file
    verdict = judge(runs)
    assert verdict.status is Status.VERIFIED
    quantized = {e.child: e.parent for e in verdict.edges if e.kind == "quantized_from"}
    assert quantized[file] == merged(0).name
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index("quantize"), "wrong codes")
    assert judge(runs).status is Status.REVOKED


def test_the_grade_of_a_step_cannot_be_raised() -> None:
    report = Report(edges=[Edge("derived_from", "a", "b", Grade.DECLARED)])
    Notes(report).upgrade("derived_from", Grade.RECOMPUTED)
    assert report.edges[0].grade is Grade.ANCHORED


@pytest.mark.parametrize("record", ["step", "merge"])
def test_a_revoked_step_revokes_what_was_made_of_it(record: str) -> None:
    runs = pruned()
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index(record), "wrong mask")
    verdict = judge(runs)
    assert verdict.status is Status.REVOKED
    assert f"({record}) was revoked" in claims(verdict, "not.revoked")[0].text


def test_what_a_step_takes_leads_into_the_run_that_made_it() -> None:
    """One run merged, another one pruned that model beside its own, a third began with it."""
    chain = MemoryChain()
    maker = Generation(FIRST, merged("maker"), chain)

    def with_step(log: list[Record]) -> list[Record]:
        *before, release = log
        inputs = [merged("own").name, merged("maker").name]
        return [*before, Record.make("step", TIME, **{**STEP, "inputs": inputs}), release]

    mixer = Generation(FIRST, merged("own"), chain, with_step)
    child = Generation(PRUNED, merged("child"), chain)
    verdict = judge([maker, mixer, child])
    trained = {e.child[-64:] for e in verdict.edges if e.kind == "trained_on"}
    assert trained == {run.run_id.hex() for run in (maker, mixer, child)}
    chain.revoke(OWNER, maker.run_id, maker.index("merge"), "leaked")
    assert judge([maker, mixer, child]).status is Status.REVOKED


def test_an_ancestor_whose_samples_are_false_fails() -> None:
    def sampled(log: list[Record]) -> list[Record]:
        *before, release = log
        ledger, anchoring = "0x" + "cc" * 20, "0x" + "00" * 32
        fields = {"stage": "merge", "number": 0, "ledger": ledger, "anchoring": anchoring}
        return [*before, Record.make("sample", TIME, **fields), release]

    chain = MemoryChain()
    runs = [Generation(FIRST, merged(0), chain, sampled), Generation(merged(0), merged(1), chain)]
    assert judge(runs[:1]).status is Status.FAILED
    verdict = judge(runs)
    (claim,) = claims(verdict, "base.traced")
    assert (verdict.status, claim.holds) == (Status.FAILED, False)
    assert "contract" in claim.text


@pytest.mark.parametrize(
    ("least", "status"),
    [(Grade.ANCHORED, Status.VERIFIED), (Grade.SAMPLED, Status.POLICY_DENIED)],
)
def test_a_policy_demands_grades_of_edges_that_only_other_runs_have(
    least: Grade, status: Status
) -> None:
    *_, child = runs = pruned()
    child.source = Several(runs)
    child.chain.mine(3)
    assert child.judge(Policy(edges={"derived_from": least}), str(child.model)).status is status


def test_a_circle_is_refused() -> None:
    chain = MemoryChain()
    one, two = merged("one"), merged("two")
    runs = [Generation(one, two, chain), Generation(two, one, chain)]
    verdict = judge(runs)
    (claim,) = claims(verdict, "base.traced")
    assert (verdict.status, claim.holds) == (Status.FAILED, False)
    assert "circle" in claim.text


def test_a_merge_that_changed_nothing_made_no_base() -> None:
    """Else anyone's empty run of a base would put every model of that base into a circle."""
    chain = MemoryChain()
    runs = [Generation(FIRST, FIRST, chain), Generation(FIRST, merged(0), chain)]
    verdict = judge(runs)
    assert (verdict.status, claims(verdict, "base.traced")) == (Status.VERIFIED, [])


def test_a_lineage_of_300_nodes_is_refused() -> None:
    runs = generations(101)  # each has batches, an adapter and a model of its own, beside the rest
    verdict = judge(runs)
    (claim,) = claims(verdict, "base.traced")
    assert (verdict.status, claim.holds) == (Status.FAILED, False)
    assert "too many nodes" in claim.text
    assert claim.expected == f"<= {walk.MAX_NODES}"
    assert walk.MAX_NODES < int(str(claim.actual)) <= walk.MAX_NODES + 3


def test_folders_are_searched_for_the_run_that_made_a_model(tmp_path: Path) -> None:
    for number, log in enumerate((released(LogMaker()), LogMaker())):
        folder = RunFolder(tmp_path / str(number))
        if not log.records:
            log.open()
        folder.journal.parent.mkdir(parents=True)
        with Journal.create(folder.journal, {"format": "test"}) as journal:
            for record in log.records:
                journal.append(record.to_bytes())
    source = FolderSource([tmp_path])
    assert [e.folder.root.name for e in source.makers(MERGED_NAME)] == ["0"]
    assert source.makers(str(sha256(b"nobody made this"))) == []
    (tmp_path / "1" / "provenance" / "journal").unlink()
    (tmp_path / "1" / "provenance" / "journal").symlink_to(tmp_path / "0/provenance/journal")
    good, linked = source.makers(MERGED_NAME)  # what cannot be searched is not left out
    assert (good.folder.root.name, linked.folder.root.name) == ("0", "1")
    with pytest.raises(MissingEvidence):  # links are not followed
        linked.records()
