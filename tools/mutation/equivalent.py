"""The list of mutants that change no statement, with the reason of each."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation.faults import FaultError
from mutation.source import ROOT, Mutant

LIST = ROOT / "tools" / "mutants_equivalent.toml"


@dataclass(frozen=True)
class Equivalent:
    """An entry: the file, the rule, the text of the changed line, what becomes what, and why.

    `count` is how many such lines the file has; the reason must be true of each.
    """

    file: str
    rule: str
    line: str
    change: str
    reason: str
    count: int = 1

    def is_of(self, source: str, mutant: Mutant) -> bool:
        """Whether the entry is about a mutant; one without a change is about any of its line."""
        line = source.split("\n")[mutant.line(source) - 1].strip()
        return (mutant.rule, line) == (self.rule, self.line) and (
            self.change in ("", mutant.words(source))
        )


def read(path: Path = LIST) -> list[Equivalent]:
    """The entries of the list; every one must give a reason."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    found = [Equivalent(**{"change": "", **entry}) for entry in entries]
    for entry in found:
        if not entry.reason.strip():
            raise FaultError(f"{entry.file}: {entry.line}: an equivalent mutant without a reason")
        if not (ROOT / entry.file).is_file():
            raise FaultError(f"{entry.file}: an equivalent mutant is listed of a file that is gone")
    return found


def matched(
    entries: Sequence[Equivalent], source: str, made: Sequence[Mutant]
) -> dict[Mutant, Equivalent]:
    """Which mutants of a file the entries about it are about: each about one, or its count."""
    out = dict[Mutant, Equivalent]()
    for entry in entries:
        found = [mutant for mutant in made if entry.is_of(source, mutant)]
        if len(found) != entry.count:
            raise FaultError(
                f"{entry.file}: the entry `{entry.line}` ({entry.rule}) of {LIST.name} is about "
                f"{len(found)} mutants, want {entry.count}: take it out, or give change or count"
            )
        out.update(dict.fromkeys(found, entry))
    return out
