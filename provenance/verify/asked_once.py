"""The chain as one verification reads it: each question about the final block is asked once.

Several folders may hold a run's log, and each is an attempt of its own; other runs lie behind the
base. They ask the same things, and whoever plants copies must not multiply what an endpoint is
asked. So all attempts are judged at one final block, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from provenance.judgement.facts import (
    Agreement,
    BlockRef,
    ChainIdentity,
    ChainReader,
    ChainSnapshot,
)


class AskedOnce:
    """A `ChainReader` that remembers answers, for one verification. Errors are not remembered.

    Its memory is bounded by what is asked.
    """

    def __init__(self, reader: ChainReader) -> None:
        """reader: is asked; its answers are attacker-controlled."""
        self._reader, self._known = reader, dict[Any, Any]()

    def identity(self) -> ChainIdentity:
        """As `ChainReader`."""
        found: ChainIdentity = _once(self._known, "identity", self._reader.identity)
        return found

    def final(self) -> ChainSnapshot:
        """The state at the block that was final when it was asked for first."""
        if (known := self._known.get("final")) is None:
            known = self._known["final"] = cast(ChainSnapshot, _Snapshot(self._reader.final()))
        found: ChainSnapshot = known
        return found

    def latest(self) -> ChainSnapshot:
        """As `ChainReader`; not remembered, since it moves on."""
        return self._reader.latest()

    def block(self, number: int) -> BlockRef:
        """As `ChainReader`."""
        found: BlockRef = _once(self._known, "block", self._reader.block, number)
        return found

    def agreement(self) -> Agreement | None:
        """As `ChainReader`; not remembered, since it grows."""
        return self._reader.agreement()


class _Snapshot:
    """A `ChainSnapshot` whose every method is asked once for the same arguments."""

    def __init__(self, snapshot: ChainSnapshot) -> None:
        self.block, self._snapshot, self._known = snapshot.block, snapshot, dict[Any, Any]()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        ask = getattr(self._snapshot, name)
        return lambda *args: _once(self._known, name, ask, *args)


def _once(known: dict[Any, Any], name: str, ask: Callable[..., Any], *args: Any) -> Any:
    key = (name, *args)
    if key not in known:
        known[key] = ask(*args)
    return known[key]
