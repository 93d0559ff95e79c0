"""What mutants of every language share: changes of a text, and where its parts lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Span = tuple[int, int]
ROOT = Path(__file__).resolve().parents[2]
WEAKER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


@dataclass(frozen=True)
class Mutant:
    """A change of one file: the characters from `start` to `end` become `text`.

    `kind` (circuits) says what stands there, for texts that hold many mutants; "" for one that
    cannot be held beside others. `inside` (contracts) is the expression that it changes, if any.
    """

    start: int
    end: int
    text: str
    rule: str
    kind: str = ""
    inside: Span | None = None

    def apply(self, source: str) -> str:
        """The source with the change."""
        return source[: self.start] + self.text + source[self.end :]

    def line(self, source: str) -> int:
        """The number of the line that the change begins in, from 1."""
        return source.count("\n", 0, self.start) + 1

    def words(self, source: str) -> str:
        """What becomes what, in one line."""
        before = " ".join(source[self.start : self.end].split())
        return f"{before or 'nothing'} -> {' '.join(self.text.split()) or 'nothing'}"


def in_order(made: Iterator[Mutant]) -> list[Mutant]:
    """Mutants without repetitions, in the order of their places."""
    found = {(mutant.start, mutant.end, mutant.text): mutant for mutant in made}
    return [found[place] for place in sorted(found)]


def closing(code: str, start: int) -> int:
    """Place of the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(code)):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return i
    raise ValueError("a bracket is not closed")


def parts(code: str, start: int, end: int, separator: str) -> list[tuple[int, int]]:
    """Where the parts of an expression lie that a separator outside of brackets divides."""
    found, depth, begin = [], 0, start
    for i in range(start, end):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[i], 0)
        if depth == 0 and code.startswith(separator, i):
            found.append((begin, i))
            begin = i + len(separator)
    return [*found, (begin, end)]
