"""Heads that nobody's key signed cost a bounded time, and hide no fork that it did sign."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from provenance.errors import VerificationError
from provenance.judgement import head_signatures
from provenance.judgement.verdict import Status
from provenance.log.anchoring import SignedHead
from provenance.log.tree import Head
from provenance.signing import Domain, sign_head
from provenance.verify.case import MAX_ATTEMPTS
from provenance.verify.s04_log import MAX_SIGNATURES
from tests.core.verify.test_planted_evidence import Folders
from tests.support.memory_run import DOMAIN, KEY, MemoryRun


def forged(run: MemoryRun, count: int, kind: str) -> list[SignedHead]:
    """Heads of the run with signatures that have the right form."""
    names = [hashlib.sha256(f"{kind} {i}".encode()).digest() for i in range(count)]
    heads = [Head(run.run_id, 1 + i % 5, name) for i, name in enumerate(names)]
    return [
        SignedHead(head, 1, name + name + b"\x1b") for head, name in zip(heads, names, strict=True)
    ]


class Tried:
    """Counts the signatures that are tried. Each takes 3 ms of a CPU; these take none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        head_signatures._is_by_key.cache_clear()
        self._check = head_signatures.verify_head
        monkeypatch.setattr(head_signatures, "verify_head", self)

    def __call__(self, head: Head, domain: Domain, given: bytes, signer: str) -> None:
        self.count += 1
        if given[:32] == given[32:64]:
            raise VerificationError("signed by another key")
        self._check(head, domain, given, signer)


def test_forged_heads_cost_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: 40,000 lines in one planted file took two minutes of CPU."""
    run, tried = MemoryRun(), Tried(monkeypatch)
    planted = replace(run.evidence, log=[], signed=forged(run, 40_000, "planted"))
    verdict = Folders(run, [planted, run.evidence]).judge()
    assert tried.count <= MAX_SIGNATURES + 1
    assert verdict.status is Status.INDETERMINATE  # one that was not tried may be a signed fork
    assert "40000 heads at hand are not of this log" in verdict.reason
    assert "--evidence FOLDER" in verdict.reason


def test_each_attempt_tries_only_what_no_other_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    run, tried = MemoryRun(), Tried(monkeypatch)
    copies = [
        replace(run.evidence, registered=None, signed=forged(run, 1_000, f"copy {i}"))
        for i in range(MAX_ATTEMPTS - 1)
    ]
    Folders(run, [*copies, run.evidence]).judge()
    assert tried.count <= (MAX_ATTEMPTS + 1) * MAX_SIGNATURES


def test_a_few_forged_heads_hide_neither_the_release_nor_a_signed_fork() -> None:
    run = MemoryRun()
    few = replace(run.evidence, log=[], signed=forged(run, 40, "few"))
    assert Folders(run, [few, run.evidence]).judge().status is Status.VERIFIED
    fork = Head(run.run_id, 3, b"\5" * 32)
    own = SignedHead(fork, 1, sign_head(KEY, fork, DOMAIN))
    hidden = replace(few, signed=[*few.signed, own])
    assert Folders(run, [hidden, run.evidence]).judge().status is Status.FAILED


def test_a_fork_behind_more_heads_than_are_tried_is_not_verified() -> None:
    """The attack: the owner hides its own fork behind heads that it made up."""
    run = MemoryRun()
    fork = Head(run.run_id, 3, b"\5" * 32)
    own = SignedHead(fork, 1, sign_head(KEY, fork, DOMAIN))
    many = [SignedHead(h.head, 1, b"short") for h in forged(run, MAX_SIGNATURES, "many")]
    hidden = replace(run.evidence, log=[], signed=[*many, own])
    assert Folders(run, [hidden, run.evidence]).judge().status is Status.INDETERMINATE
