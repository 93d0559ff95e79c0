"""Logs that were passed over in silence: without an early seed, too large, linked, unreadable.

Each attack succeeded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import MissingEvidence
from provenance.ids import RunId
from provenance.judgement.verdict import Status, Verdict
from provenance.layout import RunFolder, write_json
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.verify.protocols import Evidence
from provenance.verify.s06_lineage.logs import MAX_NAMED
from provenance.verify.sources import evidence as evidence_module
from provenance.verify.sources.evidence import FolderEvidence, FolderSource
from tests.core.verify.lineage.test_hidden_revocations import REVOKED, VERIFIED
from tests.core.verify.test_ancestry import FIRST, Generation, claims, generations, judge, merged
from tests.core.verify.test_hidden_ancestors import Planted
from tests.core.verify.test_partly_known_bases import note
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import OWNER, Change, MemoryEvidence


def late_seed(log: list[Record]) -> list[Record]:
    checkpoint = next(r for r in log if r.type == "checkpoint")
    fields = {**checkpoint.fields, "step": 0, "consumed": 0, "last_batch": None}
    return [*[replace(checkpoint, fields=fields)] * 16, *log]


def foreign_seed(log: list[Record]) -> list[Record]:
    run_id = "0x" + "77" * 32
    return [
        replace(r, fields={**r.fields, "run_id": run_id}) if r.type == "seed" else r for r in log
    ]


def no_seed(log: list[Record]) -> list[Record]:
    return [r for r in log if r.type != "seed"]


SEEDS: dict[str, Change] = {"late": late_seed, "another run's": foreign_seed, "none": no_seed}


@pytest.mark.parametrize("is_revoked", [False, True])
@pytest.mark.parametrize("change", SEEDS.values(), ids=SEEDS)
def test_a_maker_is_found_whatever_its_seed_says(change: Change, is_revoked: bool) -> None:
    """Its log contradicts itself, as it does with a seed in its place."""
    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, change)
    runs = [mother, Generation(merged(0), merged(1), chain)]
    if is_revoked:
        chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    verdict = judge(runs)
    assert verdict.status is Status.FAILED, verdict.reason
    assert "0x" + mother.run_id.hex() in verdict.reason
    assert is_revoked == any(c.holds is False for c in claims(verdict, "not.revoked"))


@pytest.mark.parametrize("change", SEEDS.values(), ids=SEEDS)
def test_a_strangers_log_of_that_kind_accuses_nobody_and_is_said(change: Change) -> None:
    mother, child = generations(2)
    mother.chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    forged = MemoryEvidence(b"\7" * 32, change([*mother.evidence.log[1:]]))
    verdict = judge([child], [Planted(forged), child])  # type: ignore[list-item]
    assert (verdict.status, claims(verdict, "base.traced")) == (VERIFIED, []), verdict.reason
    unconfirmed = "passed over: 1 journal without a head of a publisher's run from before"
    assert f"no run at hand made it; {unconfirmed}" in note(verdict, merged(0))


def test_a_log_has_the_chain_asked_for_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    mother, child = generations(2)
    release = mother.evidence.log[-1]
    many = [
        replace(release, fields={**release.fields, "run_id": "0x" + f"{number:064x}"})
        for number in range(500)
    ]
    asked: list[RunId] = []
    snapshot = type(child.chain.latest())
    found = snapshot.run

    def counted(self: object, run_id: RunId) -> object:
        asked.append(run_id)
        return found(self, run_id)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshot, "run", counted)
    forged = MemoryEvidence(b"\7" * 32, [*mother.evidence.log[:-1], *many])
    judge([child], [Planted(forged), child])  # type: ignore[list-item]
    assert len(set(asked)) <= MAX_NAMED + 3


# On disk.


class Disk:
    """Folders on disk; what is proven is taken from memory."""

    def __init__(self, root: Path, runs: Sequence[Generation]) -> None:
        self.root, self.runs, self.source = root, runs, FolderSource([root])

    def _whole(self, found: Sequence[FolderEvidence]) -> list[Evidence]:
        return [_Whole(each, run) for each in found for run in self.runs if _is_of(each, run)] + [
            each for each in found if not any(_is_of(each, run) for run in self.runs)
        ]

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        return self._whole(self.source.candidates(run_id))

    def makers(self, artifact: str) -> Sequence[Evidence]:
        return self._whole(self.source.makers(artifact))


def _is_of(found: FolderEvidence, run: Generation) -> bool:
    return found.folder.root.name == run.run_id.hex()


class _Whole(MemoryEvidence):
    """The proofs of a run, and the journal of a folder."""

    def __init__(self, folder: FolderEvidence, run: Generation) -> None:
        super().__init__(**vars(run.evidence))
        self.folder = folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Whole) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def records(self, most: int | None = None) -> Sequence[Record]:
        return self.folder.records(most)


def on_disk(root: Path, runs: Sequence[Generation]) -> list[RunFolder]:
    folders = []
    for run in runs:
        folder = RunFolder(root / run.run_id.hex())
        folder.journal.parent.mkdir(parents=True)
        with Journal.create(folder.journal, {"format": "test"}) as journal:
            for record in run.evidence.log:
                journal.append(record.to_bytes())
        write_json(folder.info, {"run_id": "0x" + run.run_id.hex()})
        folders.append(folder)
    return folders


def judged(root: Path, runs: Sequence[Generation]) -> Verdict:
    child = runs[-1]
    child.source = Disk(root, runs)
    child.chain.mine(3)
    return child.judge(subject=str(child.model))


def mother_alone(root: Path, mother: Generation) -> Status:
    mother.chain.revoked.clear()
    mother.source = Disk(root, [mother])
    return mother.judge(subject=str(mother.model)).status


def linked(folder: RunFolder) -> None:
    blob = folder.root / "blob"
    folder.journal.rename(blob)
    folder.journal.symlink_to(blob)


def linked_above(folder: RunFolder) -> None:
    elsewhere = folder.root.parent.parent / "elsewhere"
    folder.evidence.rename(elsewhere)
    folder.evidence.symlink_to(elsewhere)


def piped(folder: RunFolder) -> None:
    folder.journal.unlink()
    os.mkfifo(folder.journal)


def in_its_place(folder: RunFolder) -> None:
    folder.journal.unlink()
    folder.journal.mkdir()


UNREADABLE = {"link": linked, "folder linked": linked_above, "pipe": piped, "folder": in_its_place}


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_a_journal_that_cannot_be_searched_is_said_and_is_no_evidence(
    tmp_path: Path, change: Callable[[RunFolder], None]
) -> None:
    """One rule for the search and for the reading: what is not searched is not believed."""
    runs = mother, _ = generations(2)
    mother.chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    root = tmp_path / "runs"
    folder, _ = on_disk(root, runs)
    assert judged(root, runs).status is REVOKED
    change(folder)
    verdict = judged(root, runs)
    said = "no run at hand made it; passed over: 1 journal that cannot be read in full"
    assert said in note(verdict, merged(0))
    assert (verdict.status, claims(verdict, "base.traced")) == (VERIFIED, [])
    with pytest.raises(MissingEvidence):
        FolderEvidence(folder).records(1)
    assert mother_alone(root, mother) is Status.INDETERMINATE  # it contradicts nothing


def test_a_linked_journal_beside_a_good_one_hides_and_denies_nothing(tmp_path: Path) -> None:
    runs = mother, _ = generations(2)
    root = tmp_path / "runs"
    (folder, _), planted = on_disk(root, runs), RunFolder(root / "aa")
    planted.journal.parent.mkdir(parents=True)
    planted.journal.symlink_to(folder.journal)
    planted.info.symlink_to(folder.info)
    verdict = judged(root, runs)
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    mother.chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    assert judged(root, runs).status is REVOKED


def test_a_run_json_that_is_a_link_names_no_run(tmp_path: Path) -> None:
    (run,) = generations(1)
    (folder,) = on_disk(tmp_path, [run])
    assert FolderEvidence(folder).named_run() == run.run_id
    folder.info.rename(tmp_path / "info")
    folder.info.symlink_to(tmp_path / "info")
    assert FolderEvidence(folder).named_run() is None


@contextmanager
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Smaller ones, which stand for a log of many hundreds of megabytes."""
    with monkeypatch.context() as patch:
        patch.setattr(evidence_module, "MAX_EVIDENCE_BYTES", 1 << 16)
        patch.setattr(evidence_module, "MEAN_RECORD_BYTES", 1 << 10)
        yield


@pytest.mark.parametrize("large", ["checkpoint", "release"])
def test_a_log_beyond_the_limits_is_said_and_counts_as_far_as_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: str
) -> None:
    def padded(log: list[Record]) -> list[Record]:
        more = {"path": "c" * 300_000} if large == "checkpoint" else {"name": "c" * 300_000}
        return [replace(r, fields={**r.fields, **more}) if r.type == large else r for r in log]

    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, padded)
    runs = [mother, Generation(merged(0), merged(1), chain)]
    chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
    on_disk(tmp_path, runs)
    assert judged(tmp_path, runs).status is REVOKED
    with limits(monkeypatch):
        verdict = judged(tmp_path, runs)
    assert verdict.status is VERIFIED  # nobody's head confirms what could be read
    said = note(verdict, merged(0))
    assert "no run at hand made it; passed over: 1 journal" in said
    if large == "checkpoint":
        assert "cannot be read in full (too much evidence)" in said
