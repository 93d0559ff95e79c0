"""What people see of long work: one changing line on a terminal, one line per task elsewhere."""

from __future__ import annotations

import io
import json
import sys
import time

import pytest

from provenance_cli.output import fields, result, working


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list whose only item is the time, in seconds; tests move it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_off_a_terminal_a_task_is_one_line(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with working("merge") as progress:
        for done in range(291):
            progress("merging", done, 291)
        clock[0] += 2.5
        progress.ended = "291 tensors"
    assert capsys.readouterr().err == "merge: done in 2.5 s, 291 tensors\n"


def test_on_a_terminal_the_line_has_task_count_and_estimate(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with working("[1/4] merge") as progress:
        progress("merging", 0, 8)
        clock[0] += 3
        progress("merging", 2, 8)
        progress("hashing")
        progress("reading", 5)
    lines = terminal.getvalue().replace("\x1b[2K", "").split("\r")
    assert lines[1:] == [
        "[1/4] merge: merging 0/8",
        "[1/4] merge: merging 2/8, about 9 s left",
        "[1/4] merge: hashing",
        "[1/4] merge: reading 5",
        "[1/4] merge: done in 3.0 s\n",
    ]


def test_a_task_that_fails_is_not_said_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), working("merge"):
        raise ValueError("no")
    assert capsys.readouterr().err == ""


def test_a_warning_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with working("train") as progress:
        progress("warning: chain is slow")
    warning, _ = capsys.readouterr().err.splitlines()
    assert warning == "train: warning: chain is slow"


def test_fields_leave_out_the_format_and_empty_values() -> None:
    value = {"format": "x/1", "vk_id": "0x1", "beacon": None, "kinds": ["a"]}
    assert fields(value) == 'vk id  0x1\nkinds  ["a"]'


def test_json_keeps_everything(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"format": "x/1", "name": "ä", "beacon": None}
    result(value, True, "not this")
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert "ä" in out
