"""Step 5: what happened in the run, as its log tells it, and whether the chain saw it begin."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ChainSnapshot, RunFacts
from provenance.log.fold import read_history
from provenance.log.history import History
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log

MAX_SIBLINGS_ASKED = 256  # runs of one account; anybody may open more
_DRAW_DELAY = 2  # blocks from opening a run to its draw: a constant of the registry, `DRAW_DELAY`


def check_history(case: Case, chain: Chain, log: Log) -> History:
    """The records agree with each other, and the run was registered before its first batch.

    Raises:
        Stopped: the claim `history.consistent` or `run.preregistered` fails.
    """
    notes, run = case.notes, log.run
    with notes.guarded("history.consistent"):
        history = read_history(log.records)
    notes.holds("history.consistent", _told(history))
    with notes.guarded("run.preregistered"):
        _check_opening(log, history)
        _check_seed(run, history)
        siblings = _siblings(case, chain, log)
        notes.found_siblings([to_hex(run_id) for run_id in siblings.found])
    notes.holds(
        "run.preregistered",
        f"opened before training, seed drawn from block {run.draw_block}; {siblings}",
    )
    return history


def _told(history: History) -> str:
    resumes = f", {counted(len(history.resumes), 'resume')}" if history.resumes else ""
    return (
        f"{counted(history.size, 'record')} follow from each other: "
        f"{counted(len(history.batches), 'batch', 'batches')} in "
        f"{counted(len(history.epochs), 'epoch')}, fed in turn after the seed and before the run "
        f"was closed, {counted(len(history.checkpoints), 'checkpoint')}{resumes}"
    )


def _check_opening(log: Log, history: History) -> None:
    run, opening = log.run, history.opening
    if opening.digest != run.preregistration:
        raise VerificationError(
            "run was registered with another run.open record",
            where="record 0",
            expected=to_hex(run.preregistration),
            actual=opening.digest.hex0x,
        )
    if run.owner != log.claim.owner:
        raise VerificationError(
            "release is not by the run's owner", expected=run.owner, actual=log.claim.owner
        )
    # The owner comes from an endpoint, but the heads are signed: so the publisher's own key signed
    # the released head, whatever an endpoint says. (A contract that the trust file pins has none.)
    if (signer := opening.fields["signer"]) != run.owner:
        raise VerificationError(
            "the key that signs the log is not the run's owner",
            where="record 0 signer",
            expected=run.owner,
            actual=signer,
        )


def _check_seed(run: RunFacts, history: History) -> None:
    """The logged seed is the one drawn on chain, from the block that the log names."""
    if not any(run.seed):
        raise VerificationError(
            "the run's seed was never drawn",
            where=to_hex(run.run_id),
            expected="a seed",
            actual="none",
        )
    drawn = {
        "seed": to_hex(run.seed),
        "source": "chain",
        "run_id": to_hex(run.run_id),
        "draw_block": run.draw_block,
    }
    logged = {} if history.seed is None else history.seed.fields
    for name, expected in drawn.items():
        if logged.get(name) != expected:
            raise VerificationError(
                "seed in the log is not the one drawn on chain",
                where=f"seed record {name}",
                expected=expected,
                actual=logged.get(name, "none"),
            )


@dataclass(frozen=True)
class _Siblings:
    """Other runs on the same dataset; of `total` runs of their accounts, `asked` were looked at."""

    found: list[RunId]
    asked: int
    total: int

    def __str__(self) -> str:
        told = f"{counted(len(self.found), 'sibling run')} on this dataset"
        if self.asked == self.total:
            return told
        return f"{told} among {self.asked} of the publisher's {self.total} runs, those next to it"


def _siblings(case: Case, chain: Chain, log: Log) -> _Siblings:
    """Other runs on the same dataset, by the owner or another address of the same publisher.

    Whoever opens many runs can keep the one whose seed suits, so verdicts list them. It accuses a
    publisher, so runs of a former member, or by a key after it was said to be lost, do not count.
    Anyone can open runs without end, so those next to this one are looked at.
    """
    run, trust = log.run, case.verifier.trust
    by = trust.publisher(log.claim.owner, log.claim.block_number)
    listed = {p.address for p in trust.publishers if by is not None and p.name == by.name}
    found, asked, total = list[RunId](), 0, 0
    for owner in sorted({run.owner, *listed}):
        opened = chain.snapshot.runs_of(owner)
        near = next_to(chain.snapshot, run, opened)
        asked, total = asked + len(near), total + len(opened)
        lost = trust.key_revocations(chain.snapshot, owner) if near else []
        for other in filter(None, map(chain.snapshot.run, near)):
            block = other.draw_block - _DRAW_DELAY
            at = trust.publisher(owner, block)
            is_of = owner == run.owner or (at is not None and by is not None and at.name == by.name)
            is_sibling = other.run_id != run.run_id and other.dataset_id == run.dataset_id
            if is_sibling and is_of and all(block < each.block_number for each in lost):
                found.append(other.run_id)
    return _Siblings(found, asked, total)


def next_to(snapshot: ChainSnapshot, run: RunFacts, opened: Sequence[RunId]) -> Sequence[RunId]:
    """Of an account's runs, in the order in which they were opened, those next to this one."""
    if len(opened) <= MAX_SIBLINGS_ASKED:
        return opened

    def drawn(run_id: RunId) -> int:
        other = snapshot.run(run_id)
        return 0 if other is None else other.draw_block

    place = bisect_left(opened, run.draw_block, key=drawn)
    first = min(max(0, place - MAX_SIBLINGS_ASKED // 2), len(opened) - MAX_SIBLINGS_ASKED)
    return opened[first : first + MAX_SIBLINGS_ASKED]
