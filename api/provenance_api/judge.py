"""Verdicts for digests: `provenance.verify` in a small thread pool, with a bounded cache.

A kept verdict is served again as long as the final block and the evidence are those that it was
made from. Both are checked at least once per `Limits.fresh_s`: ahead of time where somebody asks in
the second half of it, so that nobody waits for it while many ask. Verdicts that may change without
either (not found, pending, indeterminate) are never kept.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from provenance.artifacts.tensors import Tensor
from provenance.digest import Digest
from provenance.errors import UnavailableError
from provenance.judgement.facts import ChainReader
from provenance.judgement.verdict import Status, Verdict
from provenance.layout import RunFolder
from provenance.verify import Artifact, Verifier, verify_artifact
from provenance.verify.asked_once import AskedOnce
from provenance.verify.case import now
from provenance.verify.protocols import (
    EpochEvidence,
    ProofVerifier,
    RegistrationEvidence,
    SampleEvidence,
)
from provenance.verify.sources.evidence import FolderEvidence
from provenance_api.db import current
from provenance_api.evidence import Redaction, Stamp, StampedSource
from provenance_api.state import AppState
from provenance_api.tenants.source import SeenSource, records_beyond

SHOWN = frozenset({Status.VERIFIED, Status.REVOKED, Status.POLICY_DENIED})
KEPT = frozenset({Status.VERIFIED, Status.FAILED, Status.REVOKED, Status.POLICY_DENIED})
Asked = tuple[str | None, Digest]
"""By which tenant a verdict was asked for, None for nobody, and on which file."""


@dataclass(frozen=True)
class _Entry:
    verdict: Verdict
    final: bytes
    stamp: Stamp
    checked_s: float


class _MissingProver:
    """Stands in for a prover that cannot be reached, so that the verdict is `indeterminate`."""

    def __init__(self, error: UnavailableError) -> None:
        self._error = error

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        raise self._error

    def check_epoch(self, evidence: EpochEvidence) -> None:
        raise self._error

    def check_samples(self, evidence: SampleEvidence) -> NoReturn:
        raise self._error

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> NoReturn:
        raise self._error


class Judge:
    """Makes verdicts with one trust file and one policy. Threads may share it.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, state: AppState, clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._redaction = Redaction(state.shelf.roots)
        self._pool = ThreadPoolExecutor(state.limits.workers, thread_name_prefix="verify")
        self._lock = threading.Lock()
        self._entries: OrderedDict[Asked, _Entry] = OrderedDict()
        self._running: dict[Asked, Future[Verdict]] = {}

    def warm(self, digest: Digest) -> Verdict | None:
        """The kept verdict for the current scope, if it was checked within `Limits.fresh_s`.

        This does no I/O. In the second half of that time the next check begins, in the thread pool.
        """
        fresh_s, key = self._state.limits.fresh_s, (current().tenant, digest)
        with self._lock:
            entry = self._entries.get(key)
            age_s = 0.0 if entry is None else self._clock() - entry.checked_s
            if entry is None or age_s >= fresh_s:
                return None
            self._entries.move_to_end(key)
        if age_s >= fresh_s / 2:
            with suppress(UnavailableError):  # too many wait; this verdict is fresh for a while yet
                self.submit(digest)
        return entry.verdict

    def submit(self, digest: Digest) -> Future[Verdict]:
        """Judge in the thread pool, by the evidence that the current scope may read.

        A tenant's requests for the same digest share one verification.

        Raises:
            UnavailableError: too many verifications wait already.
        """
        key = (current().tenant, digest)
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return running
            if len(self._running) >= self._state.limits.queue:
                raise UnavailableError(
                    "too many verifications are waiting", hint="ask again in a few seconds"
                )
            future = self._running[key] = self._pool.submit(self._verdict, key)
        future.add_done_callback(lambda _: self._forget(key))
        return future

    def claimed(self, model: Digest) -> frozenset[bytes]:
        """Digests of the release records by which trusted publishers claimed a file on chain.

        Also in blocks that are not final yet: the verdict on the file says so.

        Raises:
            UnavailableError: the chain does not answer.
        """
        found = self._state.trust.releases(self._state.reader().latest(), model)
        return frozenset(claim.record for claim, _ in found)

    def records_beyond(self, folder: RunFolder) -> int | None:
        """How many records a folder's journal has after the log that the chain has of its run.

        None if it does not begin with that log.

        Raises:
            UnavailableError: the chain does not answer.
        """
        return records_beyond(FolderEvidence(folder), self._state.reader().final())

    def close(self) -> None:
        """Wait for the running verifications, and begin no more."""
        self._pool.shutdown()

    def _forget(self, key: Asked) -> None:
        with self._lock:
            self._running.pop(key, None)

    def _verdict(self, key: Asked) -> Verdict:
        reader = self._state.reader()
        final = self._final_hash(reader)
        return self._kept(key, final) or self._made(key, final, reader)

    def _final_hash(self, reader: ChainReader) -> bytes | None:
        """Hash of the final block; None if the chain does not answer, or nothing new since long."""
        try:
            block = reader.final().block
            self._state.trust.require_current(block, now())
        except UnavailableError:
            return None  # the verification says why
        return block.hash

    def _kept(self, key: Asked, final: bytes | None) -> Verdict | None:
        with self._lock:
            entry = self._entries.get(key)
        if entry is None or final != entry.final or not entry.stamp.is_current:
            return None
        self._keep(key, entry.verdict, entry.final, entry.stamp)
        return entry.verdict

    def _made(self, key: Asked, final: bytes | None, reader: ChainReader) -> Verdict:
        reader = AskedOnce(reader)
        source = SeenSource(self._state.shelf, key[0], reader)
        verdict, stamp = self._judged(key, reader, source)
        if verdict.status is Status.INDETERMINATE:
            verdict = self._without_lenders(key, reader, source.lenders) or verdict
        # Final block and stamp were read before the verification. If one changes during it, the
        # entry is out of date and is not served; it is never served for the new state.
        if verdict.status in KEPT and final is not None and stamp is not None:
            self._keep(key, verdict, final, stamp)
        return verdict

    def _judged(
        self, key: Asked, reader: ChainReader, source: SeenSource
    ) -> tuple[Verdict, Stamp | None]:
        stamped = StampedSource(source)
        verifier = Verifier(
            trust=self._state.trust,
            reader=reader,
            source=stamped,
            prover=self._prover(),
            policy=self._state.policy,
        )
        artifact = Artifact(key[1], str(key[1]))
        return self._redaction.verdict(verify_artifact(artifact, verifier)), stamped.stamp

    def _without_lenders(
        self, key: Asked, reader: ChainReader, lenders: Collection[str]
    ) -> Verdict | None:
        """The verdict without the folders of one tenant or another, where it shows more so.

        What a tenant puts beside another's run must not take its verdict from it.
        """
        for lender in sorted(lenders):
            source = SeenSource(self._state.shelf, key[0], reader, without=lender)
            verdict, _ = self._judged(key, reader, source)
            if verdict.status in SHOWN:
                return verdict
        return None

    def _prover(self) -> ProofVerifier:
        try:
            return self._state.prover()
        except UnavailableError as error:
            return _MissingProver(error)

    def _keep(self, key: Asked, verdict: Verdict, final: bytes, stamp: Stamp) -> None:
        with self._lock:
            self._entries[key] = _Entry(verdict, final, stamp, self._clock())
            self._entries.move_to_end(key)
            while len(self._entries) > self._state.limits.cache_entries:
                self._entries.popitem(last=False)
