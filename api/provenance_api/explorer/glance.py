"""The chain, for pages: asked through the pinned reader, each thing once in a while, in time.

A page must not hang because an endpoint does. So a thread of its own asks; when `patience_s` are
over, a page says that the chain did not answer, and for a while no page waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from provenance.chain.lookup import ChainLookup
from provenance.errors import ProvenanceError
from provenance.ids import DatasetId, RunId
from provenance.judgement.facts import (
    AnchoringFacts,
    BlockRef,
    ChainSnapshot,
    DatasetFacts,
    HeadFacts,
    RunFacts,
)
from provenance.judgement.pinned import final_state
from provenance.verify.case import now
from provenance_api.state import AppState

FRESH_S = 5.0
"""Seconds for which an answer, and the final block, are taken again; and for which nobody waits
for an endpoint that was silent."""
KEPT, WAITING = 1024, 32

_T = TypeVar("_T")


@dataclass(frozen=True)
class Seen(Generic[_T]):
    """What the chain said at a final block.

    block: None if it did not answer in time, is not the pinned one, or its answer cannot be read;
        `problem` then says in a few words which, without any place.
    """

    value: _T | None
    block: BlockRef | None
    problem: str = ""


@dataclass(frozen=True)
class RunSeen:
    """A run in the registry, and its newest head, None if it has none."""

    run: RunFacts
    head: HeadFacts | None


@dataclass(frozen=True)
class Look:
    """The pinned chain: its contracts in the newest final block, and what else an endpoint says."""

    snapshot: ChainSnapshot
    lookup: ChainLookup


class ChainGlance:
    """Looks at the pinned chain. Threads may share it.

    Args:
        patience_s: Seconds that a page waits.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        state: AppState,
        patience_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._patience_s, self._clock = state, patience_s, clock
        # One thread: several endpoints that are asked as one answer one thread at a time.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="glance")
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, tuple[float, Seen[object]]] = OrderedDict()
        self._running: dict[object, Future[Seen[object]]] = {}
        self._pinned: tuple[float, Look] | None = None
        self._silent_until = 0.0

    def run(self, run_id: RunId) -> Seen[RunSeen]:
        """A run and its newest head, at the newest final block."""

        def ask(look: Look) -> RunSeen | None:
            run = look.snapshot.run(run_id)
            if run is None:
                return None
            return RunSeen(run, look.snapshot.head(run_id, run.seq) if run.seq else None)

        return self.look(("run", run_id), ask)

    def dataset(self, dataset_id: DatasetId) -> Seen[DatasetFacts]:
        """The registration of a dataset."""
        return self.look(("dataset", dataset_id), lambda look: look.snapshot.dataset(dataset_id))

    def anchoring(self, run_id: RunId, epoch: int, number: int) -> Seen[AnchoringFacts]:
        """Anchoring `number` of an epoch."""

        def ask(look: Look) -> AnchoringFacts | None:
            if number >= look.snapshot.anchoring_count(run_id, epoch):
                return None
            return look.snapshot.anchoring(run_id, epoch, number)

        return self.look(("anchoring", run_id, epoch, number), ask)

    def look(self, key: object, ask: Callable[[Look], _T | None]) -> Seen[_T]:
        """What `ask` finds; one answer for each `key`, which may be attacker-controlled.

        Besides what `ask` does, an endpoint is asked at most once in `FRESH_S` which chain it has:
        for four blocks, its id, and the code of each pinned contract.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock() - kept[0] < FRESH_S:
                return kept[1]  # type: ignore[return-value]  # of this key
            running = self._running.get(key)
            if running is None:
                if len(self._running) >= WAITING:
                    return Seen(None, None, "too many questions wait for it")
                running = self._running[key] = self._pool.submit(self._answer, key, ask)
            patience_s = 0.0 if self._clock() < self._silent_until else self._patience_s
        try:
            return running.result(patience_s)  # type: ignore[return-value]  # of this key
        except TimeoutError:
            with self._lock:
                self._silent_until = self._clock() + FRESH_S
            return Seen(None, None, "it did not answer in time")

    def close(self) -> None:
        """Wait for no answer any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, key: object, ask: Callable[[Look], object]) -> Seen[object]:
        try:
            look = self._final()
            seen: Seen[object] = Seen(ask(look), look.snapshot.block)
        except ProvenanceError as error:
            seen = Seen(None, None, error.what)
        finally:
            with self._lock:
                self._running.pop(key, None)
        with self._lock:
            self._kept[key] = (self._clock(), seen)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            if seen.block is not None:
                self._silent_until = 0.0
        return seen

    def _final(self) -> Look:
        with self._lock:
            kept = self._pinned
        if kept is not None and self._clock() - kept[0] < FRESH_S:
            return kept[1]
        reader = self._state.reader()
        look = Look(final_state(self._state.trust, reader, now()), reader.lookup())
        with self._lock:
            self._pinned = (self._clock(), look)
        return look
