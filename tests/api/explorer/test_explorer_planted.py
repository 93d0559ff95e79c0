"""What somebody planted in a folder costs the explorer neither memory nor time without bound."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from provenance.log.record import Record
from provenance_api.explorer.words import says
from provenance_api.web.texts import ENGLISH
from tests.api.explorer.test_explorer_runs import at
from tests.support.service import ClientFactory, page_of
from tests.support.spine import Run

ENDLESS = 1 << 42  # bytes of a sparse file, which would take an hour to hash


def batch(positions: list[int]) -> Record:
    leaves = ["0x" + "11" * 32] * len(positions)
    fields = {"epoch": 0, "step": 9, "micro": 0, "rank": 0, "tensors": "sha256:" + "22" * 32}
    return Record.make(
        "batch", "2026-01-02T03:04:05Z", **fields, positions=positions, leaves=leaves
    )


@contextmanager
def little_memory(spare: int) -> Iterator[None]:
    """Whatever takes more than so many bytes raises MemoryError."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("last", [10**9, 2**53 - 1])
def test_positions_that_lie_far_apart_take_no_memory(
    make_client: ClientFactory, honest: Run, tmp_path: Path, last: int
) -> None:
    run = honest.copy(tmp_path / "copy")
    index = run.log(batch([0, last]))
    client: TestClient = make_client(run.folder.root)
    with little_memory(1 << 30):
        shown = client.get(at(run, f"/records/{index}"))
        assert shown.status_code == 200, shown.text
        assert f"0, {last}" in shown.json()["says"]
        assert f"0, {last}" in page_of(client, at(run, "/records?type=batch&limit=100"))


def test_positions_in_a_row_are_said_as_a_range() -> None:
    for positions, words in (
        ([4, 5, 6], "4-6"),
        ([4, 6, 5], "4, 6, 5"),
        ([4], "4"),
        ([6, 5], "6, 5"),
    ):
        assert words in str(says("batch", batch(positions).fields, ENGLISH))


def test_a_proof_file_without_end_is_not_hashed(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    with (run.folder.epoch(0) / "proof-0.json").open("r+b") as stream:
        stream.truncate(ENDLESS)
    client = make_client(run.folder.root)
    found = client.get(at(run))
    assert (found.status_code, found.json()["type"]) == (404, "urn:provenance:problem:broken-run")
    assert "file is too large" in found.json()["detail"]


def test_words_and_records_of_any_length_make_no_long_page(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    text = {"ledger": "0x" + "11" * 20, "anchoring": "0x" + "33" * 32, "stage": "a" * 10**6}
    for number in range(3):
        run.log(Record.make("sample", "2026-01-02T03:04:05Z", number=number, **text))
    client = make_client(run.folder.root)
    answer = client.get(at(run, "/proofs"))
    assert answer.status_code == 200
    assert len(answer.content) < 20_000
    assert [s["number"] for s in answer.json()["samples"]][-3:] == [0, 1, 2]
    assert len(page_of(client, at(run, "/proofs"))) < 50_000


def test_names_of_any_length_make_no_long_page(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    run.log(run.release_record("a" * 10**6 + ":" + "b" * 10**6))
    client = make_client(run.folder.root)
    for path in ("/", "/releases", at(run), at(run, "/records")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert len(answer.content) < 50_000, path
        assert len(page_of(client, path)) < 100_000, path
