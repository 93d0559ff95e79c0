"""Training again from the command line: `audit replay`, and `verify --replay`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provenance.ids import Word
from provenance.log.audit.draw import drawn
from tests.cli.conftest import Job

ZERO = "0x" + "00" * 32


def test_with_base_data_and_replay_nothing_is_left_unchecked(job: Job) -> None:
    material = ("--base", "tiny", "--with-data", job.dataset)
    done = job("verify", job.file, "--evidence", job.run, *material, "--replay", "all", "--json")
    assert done.code == 0
    assert done.json["not_checked"] == []
    assert {e["kind"]: e["grade"] for e in done.json["edges"]}["adapter_from"] == "recomputed"
    assert not [limit for limit in done.json["limits"] if "gradients" in limit]
    assert {tuple(s["here"].items()) for s in done.json["training"]["segments"]} == {
        (("exact", 1),)
    }


def test_a_replay_says_what_came_out(job: Job) -> None:
    done = job("audit", "replay", job.run, "--with-data", job.dataset, "--nonce", ZERO, "--json")
    assert done.code == 0
    assert (done.json["class"], done.json["nonce"]) == ("exact", ZERO)
    (one,) = done.json["replayed"]
    assert {found["class"] for found in one["checkpoints"]} == {"exact"}
    again = job("audit", "replay", job.run, "--with-data", job.dataset, "--nonce", ZERO, "--json")
    assert again.json["replayed"][0]["segment"] == one["segment"]


def test_a_checkpoint_that_is_gone_costs_time_alone(job: Job, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(job.run, copy)
    gone = min(copy.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    shutil.rmtree(gone)
    nonces = (Word(bytes(31) + bytes([i])) for i in range(99))
    second = next(nonce for nonce in nonces if drawn(2, 1, nonce) == [1])
    done = job("audit", "replay", copy, "--with-data", job.dataset, "--nonce", second)
    assert done.code == 0
    assert f"{copy}: {gone.name} is gone: training begins earlier" in done.err
    assert f": from the seed, since {gone.name} is gone or of no use" in done.out
    assert "1 of 2 segments trained again: exact" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--segments", "99"), "--segments: the run has not so many segments, expected 1 to"),
        (("--segments", "0"), "--segments: not a number of segments, expected 1, 2, .. or all"),
        (("--segments", "some"), "--segments: not a number of segments"),
        (("--nonce", "0x12"), "--nonce: "),
        (("--base", "no-such-model"), "no such base model"),
    ],
)
def test_what_a_replay_refuses(job: Job, options: tuple[str, str], message: str) -> None:
    done = job("audit", "replay", job.run, "--with-data", job.dataset, *options)
    assert done.code == 2
    assert message in done.err


def test_another_dataset_is_named(job: Job, tmp_path: Path) -> None:
    done = job("audit", "replay", job.run, "--with-data", tmp_path / "none")
    assert done.code == 2
    assert "no such folder" in done.err


@pytest.mark.parametrize("given", [(), ("--base", "tiny"), ("--with-data", "DATASET")])
def test_verification_names_what_training_again_takes(job: Job, given: tuple[str, ...]) -> None:
    named = [job.dataset if option == "DATASET" else option for option in given]
    done = job("verify", job.file, "--evidence", job.run, *named, "--replay", "1")
    assert done.code == 2
    assert "--replay: training again takes the dataset with its salts and the base" in done.err
