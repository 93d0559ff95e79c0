"""The state of the chain that a trust file pins."""

from __future__ import annotations

import datetime

from provenance.errors import UnavailableError
from provenance.judgement.facts import ChainReader, ChainSnapshot
from provenance.judgement.trust import Trust


def final_state(trust: Trust, reader: ChainReader, now: datetime.datetime) -> ChainSnapshot:
    """The newest final state, if it is of the pinned chain and contracts, and young enough.

    Args:
        reader: its answers are attacker-controlled.
        now: the caller's clock.

    Raises:
        UnavailableError: it is not, the trust file has expired, or the chain does not answer.
    """
    difference = trust.first_difference(reader.identity())
    if difference is not None:
        what, expected, actual = difference
        raise UnavailableError(
            f"the chain is not the pinned one: {what} differs", expected=expected, actual=actual
        )
    snapshot = reader.final()
    trust.require_current(snapshot.block, now)
    return snapshot
