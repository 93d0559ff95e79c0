"""Endpoints of a quorum that name different newest blocks, one of them a liar. No node is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from provenance.chain.quorum import Quorum
from provenance.chain.rpc import Rpc
from provenance.errors import UnavailableError
from provenance.ids import to_hex

TAGS = ("finalized", "latest")
Answers = Callable[[str], Any]
"""From a tag or number to what is answered."""


class Asked:
    """An endpoint that answers in the same process."""

    def __init__(self, shown: str, answers: Answers) -> None:
        self.shown, self._answers = shown, answers

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        return self._answers(params[0])

    def close(self) -> None:
        return

    def agreement(self) -> None:
        return


def block(number: int, mark: int = 0) -> dict[str, str]:
    digest = number.to_bytes(31, "big") + bytes([mark])
    return {"number": hex(number), "hash": to_hex(digest), "timestamp": "0x1"}


def at(height: int, mark: int = 0, pause_s: float = 0.0) -> Answers:
    """A node whose newest block has this height; another mark is another chain."""

    def answers(name: str) -> Any:
        time.sleep(pause_s)
        number = height if name in TAGS else int(name, 16)
        return block(number, mark) if number <= height else None

    return answers


def ahead(height: int, below: Answers) -> Answers:
    """Claims this height; about numbers it answers as `below`."""
    return lambda name: block(height) if name in TAGS else below(name)


def silent(name: str) -> Any:
    raise UnavailableError("no", where="x")


def broken(name: str) -> Any:
    raise RuntimeError("whatever a library raises")


def quorum_of(*answers: Answers, needed: int = 2) -> Quorum:
    names = "abcdefgh"
    asked = [Asked(name, each) for name, each in zip(names, answers, strict=False)]
    return Quorum(asked, needed, grace_s=0.1)


LIARS = {
    "lies about blocks": ahead(200, at(10**6, mark=1)),
    "has no blocks": ahead(200, lambda name: None),
    "does not answer again": ahead(200, silent),
    "breaks": ahead(200, broken),
    "says the truth": ahead(200, at(10**6)),
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", LIARS)
def test_one_that_claims_to_be_ahead_does_not_keep_the_others_from_agreeing(
    name: str, tag: str
) -> None:
    """Honest heights differ by one, so the liar is the second voice at the higher of them."""
    quorum = quorum_of(at(100), at(99), LIARS[name])
    agreed = Rpc(quorum).block(tag)
    assert agreed.number == (100 if name == "says the truth" else 99)
    notes = quorum.agreement().notes
    assert not [note for note in notes if note.startswith(("a ", "b did", "b said"))]
    if name == "lies about blocks" and tag == "finalized":
        assert any(note.startswith("c said otherwise") for note in notes)
        assert any("0x64, no 2 agree: a says" in note for note in notes)


@pytest.mark.parametrize("below", [20, 99])
@pytest.mark.parametrize("tag", TAGS)
def test_the_others_may_be_far_behind(tag: str, below: int) -> None:
    quorum = quorum_of(at(100), at(below), LIARS["lies about blocks"])
    assert Rpc(quorum).block(tag).number == below


def test_a_false_height_accuses_nobody() -> None:
    """It was measured from the highest claim: honest ones were 10^18 blocks behind."""
    quorum = quorum_of(at(100), at(100), ahead(10**18, at(10**6)), at(98), needed=3)
    assert Rpc(quorum).block("finalized").number == 100
    assert quorum.agreement().notes == ("d was 2 blocks behind",)


@pytest.mark.parametrize("tag", TAGS)
def test_a_slow_voice_that_is_needed_against_a_liar_is_waited_for(tag: str) -> None:
    quorum = quorum_of(at(100), at(100, pause_s=0.4), LIARS["lies about blocks"])
    assert Rpc(quorum).block(tag).number == 100


@pytest.mark.parametrize("tag", TAGS)
def test_forks_of_which_neither_has_a_majority_are_no_block(tag: str) -> None:
    with pytest.raises(UnavailableError, match="endpoints disagree"):
        Rpc(quorum_of(at(100), at(100, mark=1))).block(tag)
    with pytest.raises(UnavailableError, match="endpoints disagree"):
        Rpc(quorum_of(at(100), at(99, mark=1), at(98, mark=2))).block(tag)


def test_what_an_endpoint_raises_is_its_silence() -> None:
    """The attack: an exception that no endpoint should cause ended the verdict of all."""
    quorum = quorum_of(broken, at(5), at(5))
    assert Rpc(quorum).block(5).number == 5
    (note,) = quorum.agreement().notes
    assert note == "a did not always answer: endpoint answered something else, RuntimeError"
