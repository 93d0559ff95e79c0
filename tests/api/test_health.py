"""`/healthz` costs nothing: parts are asked once a moment, and a silent one delays nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from provenance.errors import UnavailableError
from provenance_api.health import FRESH_S, Probes
from provenance_api.schemas import Part


class Slow:
    """A part that answers when it is let."""

    def __init__(self) -> None:
        self.asked, self.may = 0, threading.Event()

    def __call__(self) -> Part:
        self.asked += 1
        assert self.may.wait(30)
        return Part(status="ok", detail=f"asked {self.asked} times")


@pytest.fixture
def slow() -> Iterator[Slow]:
    part = Slow()
    yield part
    part.may.set()


def test_a_silent_part_delays_neither_the_others_nor_who_asks(slow: Slow) -> None:
    probes = Probes({"chain": slow, "prover": lambda: Part(status="ok")}, patience_s=0.05)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: probes.parts(), range(50)))
    assert slow.asked == 1
    assert {answer["prover"].status for answer in answers} == {"ok"}
    assert {answer["chain"].status for answer in answers} == {"unreachable"}


def test_a_part_is_asked_once_a_moment() -> None:
    now, part = [0.0], Slow()
    part.may.set()
    probes = Probes({"chain": part}, clock=lambda: now[0])
    for _ in range(100):
        assert probes.parts()["chain"].detail == "asked 1 times"
    now[0] += FRESH_S
    assert probes.parts()["chain"].detail == "asked 2 times"


def test_a_part_that_fails_is_named_and_seen_again_when_it_is_back() -> None:
    now, down = [0.0], [True]

    def chain() -> Part:
        if down[0]:
            raise UnavailableError("chain does not answer")
        return Part(status="ok")

    probes = Probes({"chain": chain}, clock=lambda: now[0])
    assert probes.parts()["chain"] == Part(status="unreachable", detail="chain does not answer")
    now[0], down[0] = FRESH_S, False
    assert probes.parts()["chain"].status == "ok"
