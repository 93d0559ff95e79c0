"""How the command line talks: the result on stdout, everything for people on stderr.

A result is one JSON object, or its fields a line each, or a text of the command's own. Work reports
to a `Progress` (provenance/progress.py): a terminal shows one line that changes, any other stderr
gets one line per stage when it ends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_CLEAR = "\r\x1b[2K"


def note(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def result(value: Mapping[str, Any], as_json: bool, text: str | None = None) -> None:
    """The command's result.

    Args:
        text: what people read instead of the fields.
    """
    if as_json:
        print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False), flush=True)
    else:
        print(fields(value) if text is None else text, flush=True)


def fields(value: Mapping[str, Any]) -> str:
    """A line for each field that says something; `format` is for programs."""
    shown = {
        name.replace("_", " "): item
        for name, item in value.items()
        if name != "format" and item is not None
    }
    width = max(len(name) for name in shown)
    return "\n".join(f"{name:{width}}  {_plain(item)}" for name, item in shown.items())


def _plain(item: object) -> object:
    return json.dumps(item, ensure_ascii=False) if isinstance(item, list | dict) else item


class Display:
    """A `Progress` for one stage; `ended` is said beside its time when it ends.

    Warnings among the sentences become lines of their own, on a terminal and off it.
    """

    def __init__(self, name: str) -> None:
        self.ended = ""
        self._name = name
        self._is_terminal = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._part, self._part_begin = "", self._begin

    def __call__(self, stage: str, done: int = 0, total: int | None = None, /) -> None:
        """Show where the work stands."""
        if stage.startswith("warning"):
            self.clear()
            note(f"{self._name}: {stage}")
        if not self._is_terminal:
            return
        if stage != self._part:
            self._part, self._part_begin = stage, time.monotonic()
        line = f"{self._name}: {stage}{_count(done, total)}{self._estimate(done, total)}"
        print(f"{_CLEAR}{line}", end="", file=sys.stderr, flush=True)

    def _estimate(self, done: int, total: int | None) -> str:
        if not done or total is None:
            return ""
        left_s = (time.monotonic() - self._part_begin) * (total - done) / done
        return f", about {left_s:.0f} s left"

    def clear(self) -> None:
        """Take the changing line away."""
        if self._is_terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Say how long it took."""
        seconds = time.monotonic() - self._begin
        note(f"{self._name}: done in {seconds:.1f} s" + (f", {self.ended}" if self.ended else ""))


def _count(done: int, total: int | None) -> str:
    if total is None:
        return f" {done}" if done else ""
    return f" {done}/{total}"


@contextmanager
def stage(name: str) -> Iterator[Display]:
    """Show a piece of long work while it goes on, and say how long it took once it succeeded."""
    display = Display(name)
    try:
        yield display
    finally:
        display.clear()
    display.end()
