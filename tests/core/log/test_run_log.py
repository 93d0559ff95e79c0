"""What is appended to a finished run's log is checked first; what is refused leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import Conflict, VerificationError
from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.run_log import open_log
from provenance.log.tree import read_records
from tests.support.core.log_maker import LogMaker, derived, trained


def written(folder: Path, records: list[Record]) -> RunFolder:
    run = RunFolder(folder)
    with Journal.create(run.journal, {"format": "provenance-journal/1"}) as journal:
        for record in records:
            journal.append(record.to_bytes())
    return run


def test_a_record_that_contradicts_the_log_is_not_appended(tmp_path: Path) -> None:
    maker = trained(LogMaker())
    run = written(tmp_path, maker.records)
    before = list(maker.records)
    maker.merge(checkpoint=2)
    wrong = maker.records.pop()
    derived(maker)
    with open_log(run) as log:
        with pytest.raises(VerificationError, match="another checkpoint"):
            log.append(wrong)
        assert log.records == before
        with pytest.raises(Conflict, match="lacks a record"):
            log.last_merge()
        for record in maker.records[-2:]:
            log.append(record)
        assert log.last_merge().record == maker.records[-2]
        assert log.last_quantization().index == log.history.size - 1
    assert read_records(run.journal) == maker.records


def test_a_log_that_contradicts_itself_is_not_opened(tmp_path: Path) -> None:
    maker = trained(LogMaker())
    maker.batch()
    run = written(tmp_path, maker.records)
    with pytest.raises(VerificationError, match=r"before run\.close"), open_log(run):
        pass
