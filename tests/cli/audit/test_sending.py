"""What an auditor's account sends cannot be taken back: too much is refused before."""

from __future__ import annotations

from typing import Any, cast

import pytest

from provenance.chain.waits import Waits
from provenance.chain.writer import Writer
from provenance.errors import Conflict, OutcomeUnknown
from provenance.ids import Address, RunId
from provenance.judgement.facts import MAX_ATTESTED, Attested
from provenance_cli.audit.sending import Sending

RUN, AUDITOR = RunId(b"\1" * 32), Address("0x" + "aa" * 20)


class Chain:
    """Says in which blocks a digest was sent, one after the other, and how many there are."""

    def __init__(self, blocks: list[int], total: int = 0) -> None:
        self.blocks, self.total, self.waited = blocks, total, list[int]()

    def latest(self) -> Chain:
        return self

    def attested_block(self, *_: Any) -> int:
        return self.blocks.pop(0)

    def attested(self, *_: Any) -> Attested:
        return Attested((), self.total)

    def until_final(self, block: int) -> None:
        self.waited.append(block)


def sending(chain: Chain) -> Sending:
    return Sending(cast(Writer, chain), cast(Waits, chain), AUDITOR, AUDITOR)


@pytest.mark.parametrize("after", [0, 9])
def test_what_a_reorganisation_took_away_is_not_called_sent(after: int) -> None:
    chain = Chain([7, after])
    with pytest.raises(OutcomeUnknown, match=r"expected block 7, actual (not sent|block 9)"):
        sending(chain).sent_in(RUN, b"\2" * 32)
    assert chain.waited == [7]
    assert sending(Chain([7, 7])).sent_in(RUN, b"\2" * 32) == 7


def test_more_than_verifiers_read_is_not_sent() -> None:
    """A file with many lines of an auditor, which a publisher has, would end all verdicts."""
    full = sending(Chain([], MAX_ATTESTED - 1))
    full.require_room(RUN, 1)
    with pytest.raises(Conflict, match=f"{MAX_ATTESTED - 1} sent, 2 to send"):
        full.require_room(RUN, 2)
    sending(Chain([], MAX_ATTESTED + 1)).require_room(RUN, 0)
