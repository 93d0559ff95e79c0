"""Faults as people mend them: several at once, with the nearest name for one that is misspelt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from provenance.causes import near
from provenance.errors import ConfigError, ProvenanceError

_T = TypeVar("_T")
_NEAR = 0.6  # share of letters in common, 0 to 1; below it, a hint would mislead


class Faults(ConfigError):
    """Several faults that were found before anything was spent, each on a line of its own."""

    code = "faults"

    def __init__(self, faults: Sequence[ProvenanceError]) -> None:
        super().__init__(f"{len(faults)} faults found, nothing was spent")
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type[Faults], tuple[tuple[ProvenanceError, ...]]]:
        """How it passes from process to process."""
        return type(self), (self.faults,)

    def __str__(self) -> str:
        lines = [f"  {number}. {fault}" for number, fault in enumerate(self.faults, 1)]
        return "\n".join([f"{self.what}:", *lines])

    def to_json(self) -> dict[str, Any]:
        """The errors' facts, as programs get them."""
        return {**super().to_json(), "faults": [fault.to_json() for fault in self.faults]}


class Findings:
    """Faults that checks find, gathered."""

    def __init__(self) -> None:
        self.faults: list[ProvenanceError] = []

    def run(self, check: Callable[[], _T]) -> _T | None:
        """What a check returns; None if it raises, and what it raises is kept."""
        try:
            return check()
        except Faults as error:
            self.add(error.faults)
        except ProvenanceError as error:
            self.add([error])
        return None

    def add(self, faults: Iterable[ProvenanceError]) -> int:
        """Keep faults that a check lists; returns how many are new.

        Two checks may stumble over one fault, which is kept once.
        """
        before = len(self.faults)
        for fault in faults:
            if str(fault) not in map(str, self.faults):
                self.faults.append(fault)
        return len(self.faults) - before

    def require_none(self) -> None:
        """End the work if anything was found.

        Raises:
            Faults: several faults. ProvenanceError: the only one.
        """
        if len(self.faults) == 1:
            raise self.faults[0]
        if self.faults:
            raise Faults(self.faults)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean X?` for the nearest known name; None if none is near."""
    found = near(name, known, _NEAR)
    return f"did you mean {found}?" if found else None
