"""What `doctor` says about one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.errors import ProvenanceError


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed` says whether commands fail without it; `mend` is a command."""

    name: str
    ok: bool
    detail: str
    mend: str = "make setup"
    needed: bool = True

    @classmethod
    def of(cls, name: str, error: ProvenanceError, mend: str, needed: bool = True) -> Finding:
        """What an error says; its own hint comes after the command."""
        facts = [error.what, *(f"{n} {v}" for n, v in _facts(error) if v is not None)]
        return cls(name, False, ", ".join(facts), mend, needed)

    @property
    def is_missing(self) -> bool:
        """Whether commands fail for it."""
        return self.needed and not self.ok

    def line(self) -> str:
        """For people."""
        mark = "ok     " if self.ok else "MISSING" if self.needed else "absent "
        return f"{mark}  {self.name}: {self.detail}" + ("" if self.ok else f"  ->  {self.mend}")

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "ok": self.ok,
            "needed": self.needed,
            "detail": self.detail,
            "mend": self.mend,
        }


def _facts(error: ProvenanceError) -> list[tuple[str, str | None]]:
    return [("where", error.where), ("expected", error.expected), ("actual", error.actual)]
