"""Which parts of the service answer, asked at most once a moment, however many ask for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provenance.errors import ProvenanceError
from provenance_api.schemas import Part

FRESH_S = 2.0


@dataclass
class _Probe:
    check: Callable[[], Part]
    part: Part = field(default_factory=lambda: Part(status="unreachable", detail="no answer yet"))
    asked_s: float | None = None
    runs: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Probes:
    """The state of each part. Threads may share it.

    A part is asked in a thread of its own, one at a time. So a part that does not answer delays
    neither the others nor whoever asks: after `patience_s` they get what was known last.

    Args:
        checks: for each part what looks at it; it may raise ProvenanceError.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], Part]],
        patience_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = {name: _Probe(check) for name, check in checks.items()}
        self._patience_s, self._clock = patience_s, clock
        self._lock = threading.Lock()

    def parts(self) -> dict[str, Part]:
        """Every part as it was at most `FRESH_S` ago, or as it was last seen."""
        waits = [self._ask(name, probe) for name, probe in self._probes.items()]
        deadline = self._clock() + self._patience_s
        for done in waits:
            done.wait(max(0.0, deadline - self._clock()))
        with self._lock:
            return {name: probe.part for name, probe in self._probes.items()}

    def _ask(self, name: str, probe: _Probe) -> threading.Event:
        with self._lock:
            is_fresh = probe.asked_s is not None and self._clock() - probe.asked_s < FRESH_S
            if not probe.runs and not is_fresh:
                probe.runs, probe.done, probe.asked_s = True, threading.Event(), self._clock()
                thread = threading.Thread(
                    target=self._look, args=(probe,), name=f"health-{name}", daemon=True
                )
                thread.start()
            return probe.done

    def _look(self, probe: _Probe) -> None:
        try:
            part = probe.check()
        except ProvenanceError as error:
            part = Part(status="unreachable", detail=error.what)
        with self._lock:
            probe.part, probe.runs = part, False
        probe.done.set()
