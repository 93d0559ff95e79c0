"""Somebody plants weights of terabytes beside evidence: sparse files, which take no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from provenance.artifacts import content
from provenance.artifacts.content import TensorInfo
from provenance.artifacts.listing import MAX_ENTRIES
from provenance.digest import Digest
from provenance.judgement.verdict import Status, Verdict
from provenance.verify.at_hand import MAX_WEIGHT_BYTES
from tests.core.verify.test_recomputation import Inspector, Run, claims

SIZE = 1 << 43
GIVEN = {"file and base": (True, True), "file": (True, False), "an id alone": (False, False)}


@pytest.fixture(autouse=True)
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is hashed; a file of terabytes is not hashed in a test."""
    asked: list[int] = []
    hash_all: Callable[[BinaryIO, Sequence[TensorInfo]], list[Digest]] = content._hash_all

    def counting(stream: BinaryIO, infos: Sequence[TensorInfo]) -> list[Digest]:
        asked.append(sum(info.end - info.start for info in infos))
        assert asked[-1] < 1 << 30, "the planted file is hashed"
        return hash_all(stream, infos)

    monkeypatch.setattr(content, "_hash_all", counting)
    return asked


def plant(folder: Path, size: int = SIZE) -> None:
    """A well-formed file of one tensor of zeros."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + size)


def judge(run: Run, given: str) -> Verdict:
    file, base = GIVEN[given]
    return run.judge(Inspector(), file=file, base=run.base if base else None)


@pytest.mark.parametrize("given", GIVEN)
def test_merged_weights_of_terabytes_are_not_read(
    tmp_path: Path, hashes: list[int], given: str
) -> None:
    run = Run(tmp_path)
    plant(run.merged)
    verdict = judge(run, given)
    (claim,) = claims(verdict, "file.recomputed")
    assert claim.holds is None
    if given != "an id alone":
        assert verdict.status is Status.INDETERMINATE
        assert "too large to be read" in claim.text
        assert str(run.merged) in str(claim.needs)
    if given == "file and base":
        (claim,) = claims(verdict, "merge.recomputed")
        assert (claim.holds, "too large" in claim.text) == (None, True)
        (claim,) = claims(verdict, "base.recomputed")
        assert claim.holds  # by the adapter
    assert hashes  # the rest was


@pytest.mark.parametrize("given", GIVEN)
def test_an_adapter_of_terabytes_is_another_one(tmp_path: Path, given: str) -> None:
    run = Run(tmp_path)
    plant(run.adapter)
    verdict = judge(run, given)
    (learned,) = claims(verdict, "training.learned")
    assert learned.holds is None  # nothing was counted, and nothing is contradicted
    if given == "file and base":
        (merge,) = claims(verdict, "merge.recomputed")
        assert (merge.holds, "too large" in merge.text) == (None, True)
        (base,) = claims(verdict, "base.recomputed")
        assert base.text.startswith("merged weights differ")  # these show what is adapted


def test_weights_in_many_files_are_not_read(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for number in range(MAX_ENTRIES + 1):
        (run.merged / f"{number}.safetensors").touch()
    (claim,) = claims(judge(run, "file"), "file.recomputed")
    assert (claim.holds, "too large" in claim.text) == (None, True)


def test_weights_of_a_size_that_the_model_can_have_are_read(tmp_path: Path) -> None:
    """Eight bytes for each byte of the base, and a little more."""
    run = Run(tmp_path)
    plant(run.merged, 60 << 20)
    (claim,) = claims(judge(run, "file and base"), "merge.recomputed")
    assert (claim.holds, "not the logged ones" in claim.text) == (False, True)
    assert MAX_WEIGHT_BYTES < SIZE
