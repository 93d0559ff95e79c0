"""One mutant of a file, of contracts and circuits alike, and the report on what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mutation.equivalent import Equivalent, matched, read
from mutation.source import ROOT, Mutant


@dataclass(frozen=True)
class Task:
    """One mutant of a file, and the entry that calls it equivalent, if there is one.

    name: of the file, relative to the repository.
    """

    name: str
    source: str
    mutant: Mutant
    equivalent: Equivalent | None

    def shown(self) -> str:
        """Where it is, by which rule, and what becomes what."""
        line = self.mutant.line(self.source)
        return f"{self.name}:{line}: {self.mutant.rule}: {self.mutant.words(self.source)}"


def tasks_of(name: str, source: str, made: Sequence[Mutant]) -> list[Task]:
    """The mutants of a file; each entry about the file in the list of equivalents must match.

    Raises FaultError if one does not.
    """
    known = matched([entry for entry in read() if entry.file == name], source, made)
    return [Task(name, source, mutant, known.get(mutant)) for mutant in made]


def source_of(name: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def show(todo: Iterable[Task]) -> None:
    """Print mutants that are not run."""
    for task in todo:
        print(task.shown() + (" (equivalent)" if task.equivalent else ""))


def report(what: str, count: int, outcomes: Iterable[tuple[Task, str]]) -> int:
    """Print the outcome of each of `count` mutants as it comes, then how many of each there are.

    Returns exit code 1 if one survives that is not listed as equivalent, or one is killed that is.
    """
    begin, counts, wrong = time.monotonic(), Counter[str](), list[str]()
    for done, (task, outcome) in enumerate(outcomes, 1):
        verdict = outcome.split(" by ")[0]
        if task.equivalent:
            verdict = "is equivalent" if verdict == "survives" else f"is listed, but {verdict}"
        counts[verdict] += 1
        left = (time.monotonic() - begin) / done * (count - done) / 60
        reason = task.equivalent.reason if task.equivalent else outcome
        words = reason if verdict == "is equivalent" else outcome
        print(f"[{done}/{count}, {left:.0f} min left] {task.shown()}: {words}", flush=True)
        if verdict not in ("is killed", "is equivalent", "does not compile"):
            wrong.append(f"{task.shown()}: {verdict}")
    print(f"{what}: {', '.join(f'{n} {words}' for words, n in sorted(counts.items()))}")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0
