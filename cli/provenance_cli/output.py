"""How the command line talks: the result on stdout, everything for people on stderr.

A result is printed as one JSON object, as one line per field, or as a text that the command wrote.
Long work reports to a `Progress` (provenance/progress.py). A terminal shows one line that changes.
Any other stderr gets one line per task, when the task ends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from provenance.text.shown import visible

_CLEAR = "\r\x1b[2K"


def note(text: str) -> None:
    """Print a line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def result(value: Mapping[str, Any], as_json: bool, text: str | None = None) -> None:
    """Print the command's result on stdout.

    Args:
        text: what people read instead of the fields.
    """
    if as_json:
        print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False), flush=True)
    else:
        print(fields(value) if text is None else text, flush=True)


def fields(value: Mapping[str, Any]) -> str:
    """One line per field. `format`, which is for programs, and fields of None are left out."""
    shown = {
        name.replace("_", " "): item
        for name, item in value.items()
        if name != "format" and item is not None
    }
    width = max(len(name) for name in shown)
    return "\n".join(f"{name:{width}}  {_plain(item)}" for name, item in shown.items())


def _plain(item: object) -> str:
    text = json.dumps(item, ensure_ascii=False) if isinstance(item, list | dict) else str(item)
    return visible(text)


class Display:
    """The `Progress` of one task.

    A report that begins with "warning" becomes a line of its own, on a terminal and off it.

    ended: what the task made, in a few words; printed with the time it took.
    """

    def __init__(self, name: str) -> None:
        self.ended = ""
        self._name = name
        self._is_terminal = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._part, self._part_begin = "", self._begin

    def __call__(self, text: str, done: int = 0, total: int | None = None, /) -> None:
        """As `Progress`; only a terminal shows it."""
        if text.startswith("warning"):
            self.clear()
            note(f"{self._name}: {text}")
        if not self._is_terminal:
            return
        if text != self._part:
            self._part, self._part_begin = text, time.monotonic()
        line = f"{self._name}: {text}{_count(done, total)}{self._estimate(done, total)}"
        print(f"{_CLEAR}{line}", end="", file=sys.stderr, flush=True)

    def _estimate(self, done: int, total: int | None) -> str:
        if not done or total is None:
            return ""
        left_s = (time.monotonic() - self._part_begin) * (total - done) / done
        return f", about {left_s:.0f} s left"

    def clear(self) -> None:
        """Remove the changing line from the terminal."""
        if self._is_terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Print how long the task took, and `ended`."""
        seconds = time.monotonic() - self._begin
        note(f"{self._name}: done in {seconds:.1f} s" + (f", {self.ended}" if self.ended else ""))


def _count(done: int, total: int | None) -> str:
    if total is None:
        return f" {done}" if done else ""
    return f" {done}/{total}"


@contextmanager
def working(name: str) -> Iterator[Display]:
    """Show long work while it runs. If it succeeds, print how long it took."""
    display = Display(name)
    try:
        yield display
    finally:
        display.clear()
    display.end()
