"""Several endpoints asked as one: an answer counts if k of them give it.

`Rpc` asks a `Quorum` as it asks one `Endpoint`, so no read of a verdict can go to a single one.
Each endpoint has a thread and a connection of its own, and all are asked at once: a read takes as
long as the k-th fastest, and for others that are still asked, at most `GRACE_S` more.

An endpoint that contradicts k others is asked nothing more. So what a verdict rests on was said by
endpoints of which none contradicted the others anywhere.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from provenance.chain.answers import RpcError, hostile
from provenance.chain.endpoint import Transport
from provenance.chain.quorum.compared import (
    BLOCK,
    CALL,
    REVERTED,
    TAGS,
    canonical,
    is_pinned,
    question,
    require_read,
    shown,
)
from provenance.errors import ConfigError, ProvenanceError, UnavailableError
from provenance.judgement.facts import Agreement
from provenance.text.counted import counted

GRACE_S = 1.0
"""Seconds for which the others are waited for once it is clear what the endpoints agree on."""
MAX_BACK = 8
"""So many blocks below the newest one are tried before endpoints count as on different chains."""


@dataclass
class _Task:
    """One question to one endpoint. `is_moot`: nobody waits for the answer any more."""

    method: str
    params: Sequence[Any]
    answers: SimpleQueue[_Answer]
    is_moot: bool = False
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class _Answer:
    """What an endpoint said (canonical), or the error that stands in its place."""

    who: str
    value: Any = None
    error: ProvenanceError | None = None

    @property
    def key(self) -> str | None:
        """Equal for equal values; None where there is none."""
        return None if self.error is not None else repr(self.value)

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.who} did not answer: {self.why}"
        return f"{self.who} says {shown(self.value)}"

    @property
    def why(self) -> str:
        """What was wrong, in the words of the error."""
        if self.error is None:
            return ""
        return self.error.what + (f", {self.error.actual}" if self.error.actual else "")


class _Asker:
    """One endpoint, asked in a thread of its own, one question after the other."""

    def __init__(self, endpoint: Transport) -> None:
        self.shown = endpoint.shown
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._endpoint, self._runs = endpoint, False
        self._last: _Task | None = None

    @property
    def is_behind(self) -> bool:
        """Whether an earlier question is not answered yet."""
        return self._last is not None and not self._last.done.is_set()

    def ask(self, task: _Task) -> None:
        """Ask, and put the answer into the task's queue."""
        if not self._runs:
            self._runs = True
            # It must not keep a command from ending, nor the quorum from being thrown away.
            threading.Thread(target=_work, args=(self._endpoint, self.tasks), daemon=True).start()
        self._last = task
        self.tasks.put(task)

    def rest(self) -> None:
        """End the thread after what it was asked; the next question begins another."""
        if self._runs:
            self.tasks.put(None)
            self._runs = False


def _work(endpoint: Transport, tasks: SimpleQueue[_Task | None]) -> None:
    """Answer tasks until there is None."""
    while (task := tasks.get()) is not None:
        if not task.is_moot:
            task.answers.put(_answer(endpoint, task))
        task.done.set()
    endpoint.close()


def _answer(endpoint: Transport, task: _Task) -> _Answer:
    where = f"{endpoint.shown} {task.method}"
    try:
        with hostile(where):
            value = endpoint.request(task.method, task.params)
            return _Answer(endpoint.shown, canonical(task.method, value, where))
    except ProvenanceError as error:
        if task.method == CALL and isinstance(error, RpcError) and error.is_revert:
            return _Answer(endpoint.shown, REVERTED)
        return _Answer(endpoint.shown, error=error)


def _stop(queues: Sequence[SimpleQueue[_Task | None]]) -> None:
    for queue in queues:
        queue.put(None)


class Quorum:
    """Endpoints of which `needed` must give the same answer. One thread uses it at a time.

    Args:
        endpoints: at least two, of different hosts or ports. What they answer is
            attacker-controlled; of the endpoints themselves only `shown` is ever told.
        needed: more than half of them, so that there is never more than one such answer.
    """

    def __init__(
        self, endpoints: Sequence[Transport], needed: int, grace_s: float = GRACE_S
    ) -> None:
        """Nothing is asked yet.

        Raises:
            ConfigError: too few or too many are needed, or one endpoint stands twice.
        """
        names = [endpoint.shown for endpoint in endpoints]
        if not len(names) < 2 * needed <= 2 * len(names):
            raise ConfigError(
                "not a quorum of these endpoints",
                where=", ".join(names),
                expected=f"more than half of {len(names)}, and at most all",
                actual=needed,
                hint="set chain.quorum of the trust file, or other PROVENANCE_READ_URLS",
            )
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ConfigError(
                "an endpoint stands twice, and would be counted twice",
                where="PROVENANCE_READ_URLS",
                expected="endpoints of different hosts or ports",
                actual=twice[0],
            )
        self.shown = ", ".join(names)
        self._needed, self._grace_s = needed, grace_s
        self._askers = [_Asker(endpoint) for endpoint in endpoints]
        self._questions = 0
        self._silent: dict[str, str] = {}
        self._false: dict[str, str] = {}
        self._behind: dict[str, int] = {}
        self._split: dict[str, str] = {}
        weakref.finalize(self, _stop, [asker.tasks for asker in self._askers])

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """What `needed` endpoints say.

        A block by a tag is the newest one that so many have in common; those whose own word for
        the tag is an older one do not count for it.

        Raises:
            UnavailableError: there is no such answer; it names who said what.
            RpcError: they say that a contract refused the call.
            InternalError: no read of a verdict.
        """
        require_read(method)
        if method == BLOCK and params[0] in TAGS:
            return self._common_block(params[0])
        answers = self._ask(method, params, self._trusted(), self._most)
        value = self._agreed(answers, question(method, params), accuse=is_pinned(method))
        if value == REVERTED:
            raise RpcError(f"{self.shown} {method}", {"message": REVERTED})
        return value

    def close(self) -> None:
        """Close all connections; the next request opens others."""
        for asker in self._askers:
            asker.rest()

    def agreement(self) -> Agreement:
        """How the endpoints agreed so far."""
        notes = [f"{who} said otherwise: {what}" for who, what in self._false.items()]
        notes += [
            f"{who} did not always answer: {why}"
            for who, why in self._silent.items()
            if who not in self._false
        ]
        notes += [f"{who} was {counted(n, 'block')} behind" for who, n in self._behind.items()]
        notes += [
            f"of {asked}, no {self._needed} agree: {said}" for asked, said in self._split.items()
        ]
        names = tuple(asker.shown for asker in self._askers)
        return Agreement(self._needed, names, self._questions, tuple(notes))

    def _trusted(self) -> list[_Asker]:
        return [asker for asker in self._askers if asker.shown not in self._false]

    def _agreed(self, answers: Sequence[_Answer], asked: str, accuse: bool = True) -> Any:
        """The value of the quorum. accuse: whoever says otherwise is asked nothing more."""
        value = self._value(answers)
        if value is None:
            raise self._no_quorum(answers, asked)
        for each in answers:
            if accuse and each.key not in (None, repr(value)):
                self._false[each.who] = f"{asked}: {shown(each.value)}, others {shown(value)}"
        return value

    def _value(self, answers: Sequence[_Answer]) -> Any:
        counts = Counter(each.key for each in answers if each.key is not None)
        best = counts.most_common(1)
        if not best or best[0][1] < self._needed:
            return None
        return next(each.value for each in answers if each.key == best[0][0])

    def _most(self, answers: Sequence[_Answer]) -> int:
        """How many answers count: those of the largest group that says the same."""
        counts = Counter(each.key for each in answers if each.key is not None)
        return max(counts.values(), default=0)

    def _common_block(self, tag: str) -> Any:
        """The newest block that `needed` endpoints have for a tag and agree about.

        One that claims to be ahead, or lies about a block at whose height others stand, must not
        keep those behind it from agreeing: lower blocks are tried. For `finalized` those are the
        heights that endpoints name, as no other is called final; for `latest`, whose tips may
        differ for a while, the `MAX_BACK` blocks below.
        """
        for counting in (_answered, self._unless_all):
            answers = self._ask(BLOCK, [tag, False], self._trusted(), counting)
            heights = {a.who: int(a.value["number"], 16) for a in answers if a.error is None}
            if len(heights) < self._needed:
                raise self._no_quorum(answers, f"{BLOCK} {tag}")
            number, votes = self._agreed_block(heights, tag == "finalized")
            if self._value(votes) is not None or len(answers) == len(self._trusted()):
                break  # otherwise one that is slow may be the voice that is missing
        asked = question(BLOCK, [hex(number), False])
        if tag == "finalized":
            self._behind = {who: number - h for who, h in heights.items() if h < number}
        return self._agreed(votes, asked, accuse=tag == "finalized")

    def _agreed_block(
        self, heights: Mapping[str, int], is_final: bool
    ) -> tuple[int, list[_Answer]]:
        """The newest number about which `needed` agree, with their answers; else the last tried.

        Args:
            heights: of each endpoint, the number that it gave (attacker-controlled); at least
                `needed`.
        """
        newest = sorted(heights.values())[-self._needed]
        tried = {height for height in heights.values() if height <= newest}
        if not is_final:
            tried |= set(range(max(0, newest - MAX_BACK), newest))
        silent: set[str] = set()  # asked once: whoever hangs would hold up each lower number
        last: tuple[int, list[_Answer]] = newest, []
        for number in sorted(tried, reverse=True):
            able = {who for who, height in heights.items() if height >= number} - silent
            if len(able) < self._needed:
                continue
            params = [hex(number), False]
            having = [asker for asker in self._trusted() if asker.shown in able]
            answers = self._ask(BLOCK, params, having, self._most)
            last = number, answers
            if self._value(answers) is not None:
                break
            silent |= able - {a.who for a in answers if a.error is None}
            if is_final and len({a.key for a in answers if a.error is None}) > 1:
                self._split[question(BLOCK, params)] = "; ".join(sorted(map(str, answers)))
        return last

    def _unless_all(self, answers: Sequence[_Answer]) -> int:
        """Counts so that all are waited for: never enough, and never too few."""
        return self._needed - 1

    def _ask(
        self,
        method: str,
        params: Sequence[Any],
        askers: Sequence[_Asker],
        counting: Callable[[Sequence[_Answer]], int],
    ) -> list[_Answer]:
        """Answers of all askers, or of as many as are there when it is clear how it ends.

        counting: how many answers count. Enough is `needed` of them.
        """
        self._questions += 1
        queue: SimpleQueue[_Answer] = SimpleQueue()
        idle = [not asker.is_behind for asker in askers]
        tasks = [_Task(method, params, queue) for _ in askers]
        for asker, task in zip(askers, tasks, strict=True):
            asker.ask(task)
        answers: list[_Answer] = []
        deadline: float | None = None
        while len(answers) < len(tasks):
            open_ = len(tasks) - len(answers)
            count = counting(answers)
            if deadline is None and (count >= self._needed or count + open_ < self._needed):
                deadline = time.monotonic() + self._grace_s
            waiting = (not t.done.is_set() and i for t, i in zip(tasks, idle, strict=True))
            if deadline is not None and not any(waiting):
                deadline = 0.0  # only those that owe an earlier answer: they are not waited for
            try:
                answers.append(queue.get(timeout=_left_s(deadline)))
            except Empty:
                break
        for task in tasks:
            task.is_moot = True
        self._note(askers, answers)
        return answers

    def _note(self, askers: Sequence[_Asker], answers: Sequence[_Answer]) -> None:
        """Remember who did not answer."""
        said = {answer.who: answer for answer in answers}
        for asker in askers:
            answer = said.get(asker.shown)
            if answer is None:
                self._silent.setdefault(asker.shown, "not in time")
            elif answer.error is not None:
                self._silent.setdefault(asker.shown, answer.why)

    def _no_quorum(self, answers: Sequence[_Answer], asked: str) -> UnavailableError:
        values = {each.key for each in answers if each.key is not None}
        said = {each.who: str(each) for each in answers}
        said |= {who: f"{who} said otherwise before: {what}" for who, what in self._false.items()}
        names = [asker.shown for asker in self._askers]
        return UnavailableError(
            "endpoints disagree" if len(values) > 1 or self._false else "too few endpoints answer",
            where=asked,
            expected=f"the same answer from {self._needed} of {len(names)}",
            actual="; ".join(said.get(name, f"{name} was not asked or is late") for name in names),
            hint="find out which one is right; chain.quorum of the trust file says how many must",
        )


def _answered(answers: Sequence[_Answer]) -> int:
    return sum(answer.error is None for answer in answers)


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
