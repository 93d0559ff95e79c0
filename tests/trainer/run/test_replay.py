"""Recomputing what was fed: equal, different, and no longer possible after an erasure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from eth_account import Account

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.erasure import batches_with, erase_record
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore
from provenance.errors import NotFound, VerificationError
from provenance.layout import RunFolder, write_json
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.verify.protocols import BatchCount
from provenance_trainer.data.legacy import first_form
from provenance_trainer.model.base import BaseModel
from provenance_trainer.run.replay import BatchReplay
from tests.support import training as support
from tests.support.core.altered import alter_record

ACCOUNT = Account.from_key(b"\x01" * 32)


@pytest.fixture(scope="module")
def trained(
    tiny: BaseModel, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Record]]:
    """A folder with `data` and `run`: 22 records in batches of 4, one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    config = support.make_config(
        support.make_dataset(folder / "data", 22), folder / "run", num_train_epochs=1
    )
    support.start_or_resume(config, cache_dir)
    write_json(
        RunFolder(folder / "run").info, {"format": "provenance-run/1", "base": str(tiny.dir)}
    )
    return folder, support.records_of(config)


class Copy:
    def __init__(self, folder: Path, records: list[Record]) -> None:
        self.run, self.data, self.records = RunFolder(folder / "run"), folder / "data", records
        self.batches = sum(r.type == "batch" for r in records)

    def check(self, records: list[Record] | None = None, *, base: Path | None = None) -> BatchCount:
        replay = BatchReplay(self.data, [self.run.root], support.KEY, support.AGAIN, base)
        return replay.check_batches(records or self.records)

    def erase(self, index: int, runs: bool = True) -> list[int]:
        with CommittedDataset.open(self.data, support.KEY) as dataset:
            erase_record(dataset, index, [self.run] if runs else [], support.KEY, ACCOUNT)
            return batches_with(self.run, dataset.leaf(index))

    def altered(self, seq: int, **fields: object) -> list[Record]:
        record = self.records[seq]
        return [
            *self.records[:seq],
            Record.make("batch", record.time, **{**record.fields, **fields}),
            *self.records[seq + 1 :],
        ]

    def reopened(self, fed: dict[str, object]) -> list[Record]:
        """The records, and the journal, of a run that was opened with another field `fed`."""
        opening, *rest = self.records
        records = [Record.make("run.open", opening.time, **{**opening.fields, "fed": fed}), *rest]
        self.run.journal.unlink()
        with Journal.create(self.run.journal, {"format": "test"}) as journal:
            for record in records:
                journal.append(record.to_bytes())
            journal.barrier()
        return records


@pytest.fixture
def copy(trained: tuple[Path, list[Record]], tmp_path: Path) -> Copy:
    folder, records = trained
    for name in ("data", "run/provenance"):
        shutil.copytree(folder / name, tmp_path / name)
    return Copy(tmp_path, records)


def test_every_batch_is_recomputed(copy: Copy) -> None:
    assert copy.check() == BatchCount(copy.batches, 0)


@pytest.mark.parametrize("journal", [b"", b"not a journal", None])
def test_damaged_folders_of_others_hide_no_run_of_the_owner(
    copy: Copy, tmp_path: Path, journal: bytes | None
) -> None:
    """They sort first. The last has the public log, and no salts."""
    planted = RunFolder(tmp_path / "a" / "planted")
    planted.secrets.mkdir(parents=True)
    planted.journal.write_bytes(copy.run.journal.read_bytes() if journal is None else journal)
    folders = [tmp_path / "a", copy.run.root]
    replay = BatchReplay(copy.data, folders, support.KEY, support.AGAIN)
    assert replay.check_batches(copy.records) == BatchCount(copy.batches, 0)


def one_sentence(tiny: BaseModel, folder: Path) -> Path:
    """The base, with a tokenizer that makes the same tokens of every text."""
    shutil.copytree(tiny.dir, folder)
    file = folder / "tokenizer.json"
    replaced = {"type": "Replace", "pattern": {"Regex": "(?s).+"}, "content": "harmless"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"normalizer": replaced}))
    return folder


def test_a_tokenizer_mapped_to_one_sentence_fails_by_its_file(
    copy: Copy, tiny: BaseModel, tmp_path: Path
) -> None:
    """The evidence names a base whose tokenizer would hide what was fed."""
    base = one_sentence(tiny, tmp_path / "base")
    write_json(copy.run.info, {"format": "provenance-run/1", "base": str(base)})
    with pytest.raises(VerificationError, match="another file than the logged") as caught:
        copy.check()
    assert caught.value.where == str(base / "tokenizer.json")
    assert caught.value.expected == str(tiny.identity.files["tokenizer.json"])


def test_the_callers_base_comes_before_the_one_that_the_evidence_names(
    copy: Copy, tiny: BaseModel, tmp_path: Path
) -> None:
    base = one_sentence(tiny, tmp_path / "base")
    write_json(copy.run.info, {"format": "provenance-run/1", "base": str(base)})
    assert copy.check(base=tiny.dir) == BatchCount(copy.batches, 0)
    write_json(copy.run.info, {"format": "provenance-run/1", "base": str(tiny.dir)})
    with pytest.raises(VerificationError, match="another file than the logged"):
        copy.check(base=base)


def test_a_base_that_is_not_at_hand_leaves_the_batches_unchecked(copy: Copy) -> None:
    write_json(copy.run.info, {"format": "provenance-run/1", "base": "/nowhere"})
    with pytest.raises(NotFound, match="--base"):
        copy.check()


@pytest.mark.parametrize("runs", [True, False])
def test_an_erased_record_makes_its_batches_undetermined_and_no_others(
    copy: Copy, runs: bool
) -> None:
    used = copy.erase(5, runs)
    assert used
    assert copy.check() == BatchCount(copy.batches - len(used), len(used))


def test_a_missing_batch_salt_is_undetermined(copy: Copy) -> None:
    seq = next(i for i, r in enumerate(copy.records) if r.type == "batch")
    with SaltStore.open(copy.run.secrets / "salts.sqlite", support.KEY) as salts:
        salts.delete(BATCH_SALTS, seq)
    assert copy.check() == BatchCount(copy.batches - 1, 1)


def test_erasure_hides_no_other_lie(copy: Copy) -> None:
    """One batch is undetermined. A false digest of another still fails, before and behind it."""
    used = copy.erase(5)
    others = [i for i, r in enumerate(copy.records) if r.type == "batch" and i not in used]
    for seq in (others[0], others[-1]):
        with pytest.raises(VerificationError, match="not the tokens") as caught:
            copy.check(copy.altered(seq, tensors="sha256:" + "00" * 32))
        assert caught.value.where == f"record {seq}"


@pytest.mark.parametrize("alone", [True, False])
def test_a_foreign_leaf_fails_even_beside_an_erased_record(copy: Copy, alone: bool) -> None:
    (seq, *_) = copy.erase(5)
    own = [] if alone else copy.records[seq].fields["leaves"]
    with pytest.raises(VerificationError, match="does not have"):
        copy.check(copy.altered(seq, leaves=[*own, "0x" + "ab" * 32]))


def test_a_row_missing_without_tombstone_is_a_failure(copy: Copy) -> None:
    import sqlite3

    with sqlite3.connect(copy.data / "private" / "records.sqlite") as connection:
        connection.execute("DELETE FROM record WHERE leaf_index = 5")
    connection.close()
    with pytest.raises(VerificationError, match="without a tombstone"):
        copy.check()


def test_a_dataset_that_was_altered_with_its_digests_is_named(copy: Copy) -> None:
    """Batches of other records are not recomputed from a folder that is not the committed one."""
    alter_record(copy.data, 5, b"altered")
    with pytest.raises(VerificationError, match=r"record [56]: .*dataset check"):
        copy.check()


def test_a_run_without_its_salts_is_not_found(copy: Copy) -> None:
    shutil.rmtree(copy.run.secrets)
    with pytest.raises(NotFound):
        copy.check()


@pytest.mark.parametrize(
    "lie",
    [{"lost": 0}, {"loss": "completion"}, {"columns": ["text", "more"]}, {"records": 21}],
    ids=lambda lie: next(iter(lie)),
)
def test_a_lie_about_what_is_fed_fails_though_every_batch_is_right(
    copy: Copy, lie: dict[str, object]
) -> None:
    assert copy.records[0].fields["fed"]["lost"] > 0
    records = copy.reopened({**copy.records[0].fields["fed"], **lie})
    fault = copy.check(records).fed_fault
    assert fault is not None
    assert fault.what == "what is fed is not what the run was opened with"
    assert fault.where == f"run.open fed.{next(iter(lie))}"


def test_a_day_that_no_template_asks_for_fails(copy: Copy) -> None:
    fed = {**copy.records[0].fields["fed"], "day": "2026-01-31"}
    with pytest.raises(VerificationError, match="not said in the right form"):
        copy.check(copy.reopened(fed))
    fault = copy.check(copy.reopened({**fed, "chat_template": "sha256:" + "00" * 32})).fed_fault
    assert fault is not None
    assert fault.where == "run.open fed.day"


def test_a_run_of_the_first_rules_is_recomputed_by_them(copy: Copy) -> None:
    fed = first_form(copy.records[0].fields["fed"])
    assert copy.check(copy.reopened(fed)) == BatchCount(copy.batches, 0)
    fault = copy.check(copy.reopened({**fed, "predicted": fed["predicted"] - 1})).fed_fault
    assert fault is not None
    assert fault.where == "run.open fed.predicted"
    with pytest.raises(VerificationError, match="no such columns"):
        copy.check(copy.reopened({**fed, "columns": ["more"]}))


def test_counts_of_what_is_fed_are_not_asked_for_after_an_erasure(copy: Copy) -> None:
    copy.erase(5)
    assert copy.check().undetermined > 0
