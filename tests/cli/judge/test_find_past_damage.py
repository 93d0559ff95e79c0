"""`find` goes on past what is damaged in a folder, and names that folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.verify.sources.evidence import FolderSource
from provenance_cli.judge.find import find
from tests.support.core.log_maker import MERGED_NAME, LogMaker, released


def journal(folder: RunFolder) -> None:
    folder.journal.parent.mkdir(parents=True)
    with Journal.create(folder.journal, {"format": "test"}) as written:
        for record in released(LogMaker()).records:
            written.append(record.to_bytes())


def damage_journal(folder: RunFolder) -> None:
    data = bytearray(folder.journal.read_bytes())
    data[len(data) // 2] ^= 1
    folder.journal.write_bytes(data)


def damage_start(folder: RunFolder) -> None:
    folder.journal.write_bytes(b"no journal")


def damage_heads(folder: RunFolder) -> None:
    folder.heads.write_bytes(b"no head\n")


@pytest.mark.parametrize("damage", [damage_journal, damage_start, damage_heads])
def test_a_damaged_folder_of_others_ends_no_search(
    tmp_path: Path, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """The damaged one sorts first; what the honest one holds is found all the same."""
    bad, good = RunFolder(tmp_path / "a-damaged"), RunFolder(tmp_path / "b-honest")
    for folder in (bad, good):
        journal(folder)
    damage(bad)  # type: ignore[operator]
    assert len(FolderSource([tmp_path]).runs()) == 2
    find(what=MERGED_NAME, evidence=[tmp_path], offline=True, json=True)
    said = capsys.readouterr()
    found = {Path(match["where"]).name for match in json.loads(said.out)["matches"]}
    assert "b-honest" in found
    assert "a-damaged" in said.err
    assert "damaged" in said.err
    assert "b-honest" not in said.err
    if damage is damage_heads:
        assert "a-damaged" in found  # its records are whole
