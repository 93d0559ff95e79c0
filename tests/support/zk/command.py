"""How tests see the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provenance.errors import ProvenanceError


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `error` is what it raised."""

    code: int
    out: str
    err: str
    error: ProvenanceError | None

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


Call = Callable[..., Outcome]
