"""Events of the pinned contracts as values, for pages that list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.chain.lookup.decoded import Decoded, decoded_event
from provenance.chain.lookup.forms import Log
from provenance.errors import UnavailableError
from provenance.ids import RunId, to_hex
from provenance_api.explorer.glance import ChainGlance, Look, Seen


@dataclass(frozen=True)
class Event:
    """An event by the values of its names."""

    name: str
    values: dict[str, str]
    block: int
    transaction: str

    def of(self, name: str) -> str | None:
        """A value; None if this event has none of the name."""
        return self.values.get(name)


Events = tuple[Event, ...]


def read(contract: str, logs: Sequence[Log]) -> Events:
    """Events whose every value is there, the newest first.

    Raises:
        UnavailableError: one is not what the contract can have emitted.
    """
    return tuple(_event(log, decoded_event(contract, log)) for log in reversed(logs))


def _event(log: Log, event: Decoded | None) -> Event:
    if event is None or not event.whole:
        raise UnavailableError("endpoint tells of an event that the contract does not have")
    values = {field.name: field.value for field in event.fields if field.value is not None}
    return Event(event.name, values, log.block_number, to_hex(log.tx_hash))


def commits(glance: ChainGlance, run_id: RunId) -> Seen[Events]:
    """Heads of a run as they were committed. The chain is asked once."""

    def ask(look: Look) -> Events:
        last = look.snapshot.block.number
        return read("registry", look.lookup.events("registry", ["HeadCommitted"], last, run_id))

    return glance.look(("commits", run_id), ask)
