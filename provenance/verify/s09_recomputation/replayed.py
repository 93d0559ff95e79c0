"""Whether training again from the recorded batches makes the logged checkpoints."""

from __future__ import annotations

from provenance.errors import AuthError, InputError, NotFound, VerificationError
from provenance.judgement.verdict import Grade
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.protocols import ReplayFacts
from provenance.verify.s04_log import Log

_ID, _TEXT = "training.replayed", "training again from the batches makes the logged checkpoints"
_NEEDS = "training again (--replay all, with base and dataset)"


def check_replayed(case: Case, log: Log) -> None:
    """Make the claim `training.replayed`, and grade the edge from batches to adapter by it."""
    replayer = case.options.replayer
    if replayer is None:
        case.notes.unchecked(_ID, _TEXT, _NEEDS)
        return
    try:
        facts = replayer.replay(log.records)
    except (NotFound, InputError, AuthError) as error:
        # What the caller has is not all there, or cannot be used: that says nothing about the run.
        case.notes.unchecked(_ID, _TEXT, str(error))
    except VerificationError as error:
        case.notes.fails(_ID, error)
        case.notes.upgrade("adapter_from", Grade.ANCHORED, "training again ended elsewhere")
    else:
        _note(case, facts)


def _note(case: Case, facts: ReplayFacts) -> None:
    how = _coverage(facts)
    if facts.far is not None:
        # Whoever may be off by a little can hide a little in every segment.
        needs = "the processor, threads and torch that the run was trained with"
        case.notes.unchecked(_ID, f"{how}, but not to the same bits: {facts.far}", needs)
        case.notes.upgrade("adapter_from", Grade.ANCHORED, "training again came close")
        return
    case.notes.holds(_ID, f"{how}: each checkpoint at its end has the logged bits")
    grade = Grade.RECOMPUTED if facts.replayed == facts.segments else Grade.SAMPLED
    case.notes.upgrade("adapter_from", grade, how)


def _coverage(facts: ReplayFacts) -> str:
    """How much was trained again, and the chance that one false segment escaped."""
    if facts.replayed == facts.segments:
        whole = counted(facts.segments, "segment", "segments")
        return f"the whole training ({whole}) was done again here, from the seed on"
    missed = 1 - facts.replayed / facts.segments
    return (
        f"{facts.replayed} of {facts.segments} segments of training, chosen here at random, were "
        f"done again; one false segment escapes with a chance of {missed:.0%}"
    )
