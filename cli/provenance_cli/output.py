"""How the command line talks: results on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def note(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def result(value: dict[str, Any], as_json: bool, text: str) -> None:
    """The command's result: JSON for programs, one or more lines of text for people."""
    print(json.dumps(value, indent=2, sort_keys=True) if as_json else text, flush=True)


def fields(value: dict[str, Any], as_json: bool) -> None:
    """A result as a list of its fields, or as one line of JSON."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False), flush=True)
        return
    width = max(len(name) for name in value)
    for name, item in value.items():
        if isinstance(item, list | dict):
            item = json.dumps(item, ensure_ascii=False)
        print(f"{name.replace('_', ' '):{width}}  {item}", flush=True)


@contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Announce a piece of long work and say how long it took; yields a function that shows progress within it."""
    begin = time.monotonic()
    tty = sys.stderr.isatty()

    def progress(text: str) -> None:
        if tty:
            print(f"\r\x1b[2K{name}: {text}", end="", file=sys.stderr, flush=True)
        else:
            note(f"{name}: {text}")

    if tty:
        progress("..")
    try:
        yield progress
    finally:
        if tty:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    note(f"{name}: done in {time.monotonic() - begin:.1f} s")
