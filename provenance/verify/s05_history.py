"""Step 5: what happened in the run, as its log tells it, and whether the chain saw it begin."""

from __future__ import annotations

from provenance.errors import VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import RunFacts
from provenance.log.fold import read_history
from provenance.log.history import History
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log


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
        siblings = _siblings(case, chain, run)
        notes.found_siblings([to_hex(run_id) for run_id in siblings])
    notes.holds(
        "run.preregistered",
        f"opened before training, seed drawn from block {run.draw_block}; "
        f"{counted(len(siblings), 'sibling run')} on this dataset",
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


def _siblings(case: Case, chain: Chain, run: RunFacts) -> list[RunId]:
    """Other runs on the same dataset, by the owner or another address of the same publisher.

    Whoever opens many runs can keep the one whose seed suits, so verdicts list them.
    """
    listed = case.verifier.trust.publishers
    names = {p.name for p in listed if p.address == run.owner}
    owners = {run.owner, *(p.address for p in listed if p.name in names)}
    result = []
    for run_id in (run_id for owner in sorted(owners) for run_id in chain.snapshot.runs_of(owner)):
        other = chain.snapshot.run(run_id)
        if run_id != run.run_id and other is not None and other.dataset_id == run.dataset_id:
            result.append(run_id)
    return result
