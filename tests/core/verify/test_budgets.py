"""Hostile sizes: each is refused by name before memory is taken for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.artifacts.content import content_digest
from provenance.errors import InputError
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.log.anchoring import read_heads
from provenance.log.frames import Place, make_frame, make_header, parse_header, read_frames
from provenance.log.record import Record
from provenance.verify.s01_artifact import identify
from provenance.verify.sources.evidence import MAX_EVIDENCE_BYTES, FolderEvidence, FolderSource
from tests.support.processes.memory import MB, refused_within

BOUND = 20 * MB
GB = 1 << 30


def sparse(path: Path, size: int, start: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)
    return path


@pytest.fixture
def evidence(tmp_path: Path) -> FolderEvidence:
    return FolderEvidence(RunFolder(tmp_path / "run"))


def test_a_file_of_zeros_is_no_model(tmp_path: Path) -> None:
    file = sparse(tmp_path / "model.gguf", 2 * GB)
    assert "zeros" in refused_within(BOUND, lambda: identify(str(file), None))


def journal_start() -> bytes:
    header = make_header({})
    frame, _ = make_frame(0, parse_header(header, Path("x"))[1].prev, b"{}")
    return header + frame


def test_a_journal_that_goes_on_in_zeros_without_end(evidence: FolderEvidence) -> None:
    """A crash leaves such an end. Nobody logged a second record, so it is missed."""
    sparse(evidence.folder.journal, 256 * MB, journal_start())
    frames = read_frames(evidence.folder.journal, allow_torn=False)
    assert "unfinished" in refused_within(BOUND, lambda: list(frames))


def test_a_journal_whose_frame_has_a_gigabyte(evidence: FolderEvidence) -> None:
    start = journal_start() + (200 * MB).to_bytes(4, "big")
    sparse(evidence.folder.journal, 256 * MB, start)
    frames = read_frames(evidence.folder.journal, allow_torn=False)
    assert "unfinished" in refused_within(BOUND, lambda: list(frames))


def test_records_beyond_the_anchored_head_are_not_read(evidence: FolderEvidence) -> None:
    """What follows may be without end; only what the head covers is the log."""
    data = make_header({})
    place = parse_header(data, Path("x"))[1]
    record = Record.make("eval", step=0, metrics={}, subject="x").to_bytes()
    frame, _ = make_frame(0, place.prev, record)
    sparse(evidence.folder.journal, 2 * GB, data + frame)
    assert [r.type for r in evidence.records(1)] == ["eval"]


def journal_of(evidence: FolderEvidence, payload: bytes) -> None:
    header = make_header({})
    frame, _ = make_frame(0, parse_header(header, Path("x"))[1].prev, payload)
    evidence.folder.journal.parent.mkdir(parents=True)
    evidence.folder.journal.write_bytes(header + frame)


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1", b'{"a":[]}'])
def test_a_record_of_very_many_values(evidence: FolderEvidence, value: bytes) -> None:
    """Its 18 MB would take hundreds: each value is an object of its own."""
    values = b",".join([value] * (18 * MB // (len(value) + 1)))
    journal_of(evidence, b'{"metrics":[' + values + b'],"type":"eval"}')
    words = refused_within(18 * MB + BOUND, lambda: evidence.records(1))
    assert "too many values" in words


def test_the_leaves_of_very_many_records_are_read(evidence: FolderEvidence) -> None:
    """A long record is not refused for being long: an epoch may leave most of a dataset unused."""
    rest = [f"0x{i:064x}" for i in range(300_000)]
    record = Record.make("epoch", epoch=0, consumed=0, remainder=rest)
    journal_of(evidence, record.to_bytes())
    assert list(evidence.records(1)) == [record]


def test_a_journal_whose_record_has_300_mb(evidence: FolderEvidence) -> None:
    start = make_header({}) + (300 * MB).to_bytes(4, "big")
    sparse(evidence.folder.journal, 400 * MB, start)
    assert "too much evidence" in refused_within(BOUND, lambda: evidence.records(1))


def test_records_that_take_too_much_together(evidence: FolderEvidence) -> None:
    """Each is within the limits; before the log under a head is known, few are read."""
    header = make_header({})
    place = parse_header(header, Path("x"))[1]
    evidence.folder.journal.parent.mkdir(parents=True)
    with evidence.folder.journal.open("wb") as stream:
        stream.write(header)
        for _ in range(3):
            text = "x" * (100 << 20)
            record = Record.make("eval", step=0, metrics={}, subject=text).to_bytes()
            frame, _digest = make_frame(place.seq, place.prev, record)
            stream.write(frame)
            place = Place(place.seq + 1, _digest, place.offset + len(frame))
    with pytest.raises(InputError, match="too much evidence"):
        evidence.records(16)


READ_HEADS = [lambda e: e.heads(), lambda e: read_heads(e.folder.heads)]
"""As evidence, and as commands read the heads of a run folder."""


@pytest.mark.parametrize("read", READ_HEADS)
def test_endless_heads(evidence: FolderEvidence, read: Callable[[FolderEvidence], object]) -> None:
    sparse(evidence.folder.heads, 2 * GB)
    assert "heads" in refused_within(BOUND, lambda: read(evidence))


@pytest.mark.parametrize("read", READ_HEADS)
@pytest.mark.parametrize("target", ["/dev/zero", "large", "honest", "nowhere"])
def test_heads_that_are_a_link(
    evidence: FolderEvidence,
    tmp_path: Path,
    target: str,
    read: Callable[[FolderEvidence], object],
) -> None:
    """Also to a file that would be read: a verifier's own, which nobody named."""
    sparse(tmp_path / "large", 2 * GB)
    (tmp_path / "honest").write_bytes(b"")
    evidence.folder.heads.parent.mkdir(parents=True)
    evidence.folder.heads.symlink_to(tmp_path / target)
    words = refused_within(BOUND, lambda: read(evidence))
    assert str(evidence.folder.heads) in words
    assert "link" in words


@pytest.mark.parametrize("read", READ_HEADS)
def test_heads_that_are_a_pipe(
    evidence: FolderEvidence, read: Callable[[FolderEvidence], object]
) -> None:
    evidence.folder.heads.parent.mkdir(parents=True)
    os.mkfifo(evidence.folder.heads)
    words = refused_within(BOUND, lambda: read(evidence))
    assert str(evidence.folder.heads) in words
    assert "pipe" in words


def test_heads_in_a_folder_that_is_a_link(evidence: FolderEvidence, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "heads.jsonl").write_bytes(b"")
    evidence.folder.root.mkdir()
    evidence.folder.evidence.symlink_to(tmp_path / "elsewhere")
    assert "link" in refused_within(BOUND, evidence.heads)


def test_heads_are_read_once_and_count_as_evidence(evidence: FolderEvidence) -> None:
    evidence.folder.heads.parent.mkdir(parents=True)
    evidence.folder.heads.write_bytes(b"torn" * (3 << 20))
    for _ in range(MAX_EVIDENCE_BYTES // (12 << 20) + 1):
        assert evidence.heads() == []
    fresh = FolderEvidence(evidence.folder)
    fresh._reader._left = (12 << 20) - 1
    with pytest.raises(InputError, match="too much evidence"):
        fresh.heads()


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("epochs/0/proof-0.json", lambda e: e.epoch_proofs(0)),
        ("samples/merge-0/proof-0.json", lambda e: e.sample_proofs("merge", 0)),
        ("samples/merge-0/tables.json", lambda e: e.sample_tables("merge", 0)),
        ("dataset/registration.json", lambda e: e.registration()),
        ("keys/0x" + 64 * "1" + "/vk.words", lambda e: e.key_words("0x" + 64 * "1")),
        ("keys/0x" + 64 * "1" + "/p_bases.bin", lambda e: e.key_bases("0x" + 64 * "1")),
    ],
)
def test_evidence_files_of_64_mb_and_links_to_them(
    evidence: FolderEvidence, tmp_path: Path, file: str, read: Callable[[FolderEvidence], object]
) -> None:
    at = evidence.folder.evidence / file
    large = sparse(tmp_path / "large", 64 << 20, b'{"a": "')
    at.parent.mkdir(parents=True)
    at.symlink_to(large)
    assert "link" in refused_within(BOUND, lambda: read(evidence))
    at.unlink()
    sparse(at, 2 * GB, b'{"a": "')
    assert "too large" in refused_within(BOUND, lambda: read(evidence))


def test_very_many_proofs(evidence: FolderEvidence) -> None:
    folder = evidence.folder.epoch(0)
    folder.mkdir(parents=True)
    first = folder / "proof-0.json"
    first.write_text(json.dumps({"a": "x" * 60_000}))
    for n in range(1, 4500):
        os.link(first, folder / f"proof-{n}.json")
    assert "too much evidence" in refused_within(300 * MB, lambda: evidence.epoch_proofs(0))


def test_a_folder_linked_into_the_evidence(evidence: FolderEvidence, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "proof-0.json").write_text("{}")
    evidence.folder.epoch(0).parent.mkdir(parents=True)
    evidence.folder.epoch(0).symlink_to(elsewhere)
    assert "link" in refused_within(BOUND, lambda: evidence.epoch_proofs(0))


def test_a_safetensors_header_of_49_mb(tmp_path: Path) -> None:
    size = 49_000_000
    file = sparse(tmp_path / "model.safetensors", size + 8, size.to_bytes(8, "little") + b"{")
    assert "header" in refused_within(BOUND, lambda: content_digest(file))


def test_run_folders_without_end(tmp_path: Path) -> None:
    for n in range(5000):
        (tmp_path / f"{n}" / "provenance").mkdir(parents=True)
        (tmp_path / f"{n}" / "provenance" / "journal").touch()
    words = refused_within(BOUND, lambda: FolderSource([tmp_path]).runs())
    assert words.startswith("UnavailableError: ")  # they contradict nothing
    assert "run folders" in words


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    run = RunFolder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xff")))
    sparse(run.journal, 10)
    run.info.write_text(json.dumps({"run_id": "0x" + 64 * "2"}))
    (found,) = FolderSource([tmp_path]).candidates(RunId(b"\x22" * 32))
    words = refused_within(BOUND, lambda: found.records())
    words.encode("utf-8")
    assert "journal" in words


def test_a_folder_in_the_place_of_a_journal(evidence: FolderEvidence) -> None:
    evidence.folder.journal.mkdir(parents=True)
    assert "not a regular file" in refused_within(BOUND, evidence.records)
