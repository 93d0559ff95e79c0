"""When a verdict may be served again, and when it must be made anew."""

from __future__ import annotations

import os
from concurrent.futures import wait
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from provenance.digest import Digest, sha256
from provenance.errors import UnavailableError
from provenance.judgement.verdict import Status
from provenance_api.evidence import Redaction, Stamp
from provenance_api.judge import Judge
from provenance_api.state import Limits
from tests.support.chain import Lab
from tests.support.service import StateFactory
from tests.support.spine import Run


class Counting:
    """Counts how often something is made."""

    def __init__(self, make: Any) -> None:
        self._make, self.calls = make, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self._make()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A judge with a clock in the test's hand, and counters of what it asked for."""

    def __init__(self, make_state: StateFactory, *folders: Path, **changes: Any) -> None:
        state = make_state(*folders, **changes)
        self.reader, self.prover, self.clock = (
            Counting(state.reader),
            Counting(state.prover),
            Clock(),
        )
        limits = changes.get("limits", Limits(fresh_s=1.0))
        self.judge = Judge(
            make_state(*folders, reader=self.reader, prover=self.prover, limits=limits), self.clock
        )

    def status(self, digest: Digest) -> Status:
        verdict = self.judge.warm(digest)
        return (verdict or self.judge.submit(digest).result(timeout=60)).status


@pytest.fixture
def bench(make_state: StateFactory, honest: Run, tmp_path: Path) -> Any:
    run = honest.copy(tmp_path / "copy")
    bench = Bench(make_state, run.folder.root)
    yield bench, run
    bench.judge.close()


def test_fresh_verdict_needs_neither_chain_nor_disk(bench: Any) -> None:
    bench, run = bench
    assert [bench.status(run.model) for _ in range(3)] == 3 * [Status.VERIFIED]
    assert (bench.reader.calls, bench.prover.calls) == (1, 1)


def test_a_stale_verdict_is_kept_after_a_look_at_the_chain(bench: Any) -> None:
    bench, run = bench
    bench.status(run.model)
    bench.clock.now_s += 2
    assert bench.judge.warm(run.model) is None
    assert bench.status(run.model) is Status.VERIFIED
    assert (bench.reader.calls, bench.prover.calls) == (2, 1)


def test_the_next_check_begins_while_the_last_one_still_counts(bench: Any) -> None:
    """So of many who ask, nobody waits for it; and no verdict is served beyond its time."""
    bench, run = bench
    bench.status(run.model)
    bench.clock.now_s += 0.4
    assert bench.judge.warm(run.model) is not None
    assert bench.reader.calls == 1
    bench.clock.now_s += 0.2
    assert bench.judge.warm(run.model) is not None
    bench.judge.submit(run.model).result(timeout=60)
    assert (bench.reader.calls, bench.prover.calls) == (2, 1)
    bench.clock.now_s += 0.9
    assert bench.judge.warm(run.model) is not None
    bench.clock.now_s += 1.1
    assert bench.judge.warm(run.model) is None


def test_new_final_block_makes_a_new_verdict(bench: Any, lab: Lab) -> None:
    bench, run = bench
    bench.status(run.model)
    lab.mine()
    bench.clock.now_s += 2
    assert bench.status(run.model) is Status.VERIFIED
    assert bench.prover.calls == 2


def test_changed_evidence_makes_a_new_verdict(bench: Any) -> None:
    bench, run = bench
    bench.status(run.model)
    run.rewrite(lambda records: [*records[:3], *records[4:]])
    bench.clock.now_s += 2
    assert bench.status(run.model) is Status.FAILED


def test_chain_that_went_down_ends_a_kept_verdict(bench: Any) -> None:
    bench, run = bench
    bench.status(run.model)
    bench.clock.now_s += 2

    class Down:
        def __getattr__(self, name: str) -> Any:
            def refuse(*_: object) -> None:
                raise UnavailableError("chain does not answer")

            return refuse

    bench.reader._make = Down
    assert bench.status(run.model) is Status.INDETERMINATE
    assert bench.judge.submit(run.model).result(timeout=60).status is Status.INDETERMINATE


@pytest.mark.parametrize("kind", ["unknown", "no evidence"])
def test_a_verdict_without_release_or_evidence_is_not_kept(
    kind: str, make_state: StateFactory, honest: Run, tmp_path: Path
) -> None:
    bench = Bench(make_state, tmp_path if kind == "no evidence" else honest.folder.root)
    digest = honest.model if kind == "no evidence" else sha256(b"unknown")
    assert bench.status(digest) in (Status.NOT_FOUND, Status.INDETERMINATE)
    assert bench.judge.warm(digest) is None
    bench.judge.close()


def test_cache_is_bounded(make_state: StateFactory, honest: Run, revoked: Run) -> None:
    limits = Limits(fresh_s=60.0, cache_entries=1)
    bench = Bench(make_state, honest.folder.root, revoked.folder.root, limits=limits)
    bench.status(honest.model)
    assert bench.judge.warm(honest.model)
    bench.status(revoked.model)
    assert bench.judge.warm(honest.model) is None
    assert bench.judge.warm(revoked.model)
    bench.judge.close()


def test_requests_for_one_digest_share_one_verification(bench: Any) -> None:
    bench, run = bench
    futures = {bench.judge.submit(run.model) for _ in range(8)}
    wait(futures)
    assert len(futures) == 1
    assert bench.prover.calls == 1


def test_queue_is_bounded(make_state: StateFactory, honest: Run) -> None:
    bench = Bench(make_state, honest.folder.root, limits=Limits(queue=2, workers=1))
    free, make = Event(), bench.reader._make

    def make_when_free() -> Any:
        assert free.wait(60)
        return make()

    bench.reader._make = make_when_free
    held = [bench.judge.submit(sha256(bytes([i]))) for i in range(2)]
    try:
        with pytest.raises(UnavailableError, match="too many"):
            bench.judge.submit(sha256(b"one more"))
    finally:
        free.set()
    wait(held)
    assert bench.status(sha256(b"one more")) is Status.NOT_FOUND
    bench.judge.close()


def test_a_stamp_follows_public_evidence_only(honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    stamp = Stamp.of(run.folder)
    assert stamp.is_current
    run.folder.secrets.mkdir(exist_ok=True)
    (run.folder.secrets / "salts").write_bytes(b"x")
    assert stamp.is_current
    os.utime(run.folder.journal, ns=(1, 1))
    assert not stamp.is_current


def test_redaction_keeps_facts_and_drops_places(tmp_path: Path) -> None:
    redaction = Redaction((tmp_path / "runs",))
    journal, endpoint = f"{tmp_path}/runs/a/provenance/journal", "https://node.example/v3/key"
    text = f"{journal} record 3: {endpoint} eth_call, expected sha256:ab"
    assert (
        redaction.text(text)
        == "evidence/a/provenance/journal record 3: (endpoint) eth_call, expected sha256:ab"
    )
    assert Redaction((Path(),)).text("a.b: x") == "a.b: x"
