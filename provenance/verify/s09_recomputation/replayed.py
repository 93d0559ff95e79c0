"""Whether training again from the recorded batches makes the logged checkpoints.

This machine trained again, or auditors of the trust file signed that they did.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress

from provenance.errors import (
    AuthError,
    InputError,
    NotFound,
    VerificationError,
)
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Grade
from provenance.log.graph.segments import Segment
from provenance.log.history import History
from provenance.text.counted import counted, percent
from provenance.text.shown import quoted
from provenance.verify.case import Case
from provenance.verify.claims import Lacking
from provenance.verify.protocols import ReplayFacts, TrainingReplayer
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s09_recomputation.audited import (
    Audited,
    audited,
    few,
    segments_told,
    sends_word,
)
from provenance.verify.s09_recomputation.stretches import training_of

_ID, _TEXT = "training.replayed", "training again from the batches makes the logged checkpoints"
_NEEDS = "training again (--replay all, with base and dataset)"
_SENT = "the word of auditors that they sent to the chain (provenance audit anchor), or "
_ELSEWHERE = "training again ended elsewhere"


def check_replayed(case: Case, chain: Chain, log: Log, history: History) -> None:
    """Make the claim `training.replayed`, and grade the edge from batches to adapter by it.

    Where this machine trained again, the claim is about that, and auditors can only add to it.

    Raises:
        UnavailableError: the chain does not answer.
    """
    segments = segments_told(history)
    said, facts, are_all_read = None, None, False
    with suppress(Lacking), case.notes.guarded(_ID):
        said = audited(case, chain, log, history, segments) if segments else None
        are_all_read = True
    if said is not None and said.different:
        _fail(case, said)
    elif case.options.replayer is not None:
        facts = _replay(case, case.options.replayer, log, segments, said)
    elif said is not None:
        _note_audit(case, segments, said)
    elif are_all_read:
        case.notes.unchecked(_ID, _TEXT, _needs(case.verifier.trust))
    if segments:
        auditors = case.verifier.trust.auditors
        needed = None if auditors is None else auditors.needed
        case.notes.found_training(training_of(segments, needed, facts, said))


def _needs(trust: Trust) -> str:
    return (_SENT if trust.auditors is not None and sends_word(trust) else "") + _NEEDS


def _fail(case: Case, said: Audited) -> None:
    case.notes.fails(_ID, said.against)
    case.notes.upgrade("adapter_from", Grade.ANCHORED, _ELSEWHERE)


def _note_audit(case: Case, segments: Sequence[Segment], said: Audited) -> None:
    """What auditors found, where this machine did not train again."""
    notes, how = case.notes, _how(segments, said)
    if said.faults:
        needs = "other auditors, or training again (--replay all, with base and dataset)"
        what = f"auditors trained again, and not all came out exactly: {few(said.faults)}"
        notes.unchecked(_ID, what, needs)
        notes.upgrade("adapter_from", Grade.ANCHORED, "not all that auditors did came out exactly")
    elif not said.covered:
        needs = f"attestations of {counted(said.needed, 'auditor')} about the same segments"
        notes.unchecked(_ID, f"{_TEXT}; auditors signed about segments: {_by(said)}", needs)
    else:
        notes.holds(_ID, f"{how}; nothing was trained here", **_figures(said))
        notes.upgrade("adapter_from", _grade(said), how)
        notes.found_replay(_steps(segments, said.covered), _steps(segments))


def _grade(said: Audited) -> Grade:
    """Every segment must be covered: else it is a sample, whoever took it."""
    return Grade.AUDITED if len(said.covered) == said.segments else Grade.SAMPLED


def _figures(said: Audited) -> dict[str, str]:
    return {
        "segments": str(said.segments),
        "covered": str(len(said.covered)),
        "auditors": " ".join(f"{name}:{len(each)}" for name, each in said.by.items()),
    }


def _by(said: Audited) -> str:
    """Who signed for how many segments."""
    return ", ".join(f"{quoted(name)} {len(each)}" for name, each in said.by.items() if each)


def _steps(segments: Sequence[Segment], of: Container[int] | None = None) -> int:
    """How many optimizer steps these segments have; `of`: only segments of these numbers.

    The log says where segments end, so a publisher can make many short ones, and one long.
    """
    chosen = (s for s in segments if of is None or s.number in of)
    return sum(max(segment.last - segment.first + 1, 0) for segment in chosen)


def _share(segments: Sequence[Segment], numbers: Container[int]) -> str:
    """How much of the training some segments are, for people."""
    return f"{_steps(segments, numbers)} of {counted(_steps(segments), 'step')}"


def _how(segments: Sequence[Segment], said: Audited) -> str:
    """Who trained how much again, by their word, and the chance that one false segment escaped."""
    whole = counted(said.segments, "segment")
    needed = f"each by at least {said.needed} of the trust file's auditors"
    what = f"that each checkpoint at its end has the logged bits ({_by(said)})"
    signed = f"who signed {what}; what else they signed is not known, for none of it is on chain"
    if said.on_chain:
        told = "all that they told it about this run in their windows"
        signed = f"who told the chain {what}; {told} is at hand"
    if len(said.covered) == said.segments:
        return f"the whole training ({whole}) was done again, {needed}, {signed}"
    drawn = "which the auditors drew"
    if said.drawn_by is not None:
        drawn = f"which block {said.drawn_by} drew after the training had ended on chain"
    missed = 1 - len(said.covered) / said.segments
    return (
        f"{len(said.covered)} of {whole} of training, {drawn}, were done again, {needed}, "
        f"{signed}; that is {_share(segments, said.covered)}; one false segment escapes with a "
        f"chance of {percent(missed)}"
    )


def _replay(
    case: Case,
    replayer: TrainingReplayer,
    log: Log,
    segments: Sequence[Segment],
    said: Audited | None,
) -> ReplayFacts | None:
    """Train again on this machine; returns what it came to, None if it came to nothing."""
    try:
        facts = replayer.replay(log.records)
    except (NotFound, InputError, AuthError) as error:
        # What the caller has is not all there, or cannot be used: that says nothing about the run.
        case.notes.unchecked(_ID, _TEXT, str(error))
        if said is not None and said.covered and not said.faults:
            _note_audit(case, segments, said)
    except VerificationError as error:
        case.notes.fails(_ID, error)
        case.notes.upgrade("adapter_from", Grade.ANCHORED, _ELSEWHERE)
    else:
        _note(case, segments, facts, said)
        return facts
    return None


def _note(
    case: Case, segments: Sequence[Segment], facts: ReplayFacts, said: Audited | None
) -> None:
    how = _coverage(segments, facts)
    if facts.different is not None:
        what = "training again makes another checkpoint than the log has"
        case.notes.differs(_ID, what, [facts.different])
        case.notes.upgrade("adapter_from", Grade.ANCHORED, _ELSEWHERE)
        return
    if facts.far is not None:
        # Whoever may be off by a little can hide a little in every segment.
        needs = "the processor, threads and torch that the run was trained with"
        case.notes.unchecked(_ID, f"{how}, but not to the same bits: {facts.far}", needs)
        case.notes.upgrade("adapter_from", Grade.ANCHORED, "training again came close")
        return
    exact = set(facts.outcomes)
    found = f"{how}: each checkpoint at its end has the logged bits"
    grade = Grade.RECOMPUTED if facts.replayed == facts.segments else Grade.SAMPLED
    case.notes.upgrade("adapter_from", grade, how)
    if said is not None and said.covered and not said.faults:
        more, exact = _how(segments, said), exact | said.covered
        case.notes.holds(_ID, f"{found}; {more}", **_figures(said))
        if _grade(said).rank > grade.rank:
            case.notes.upgrade("adapter_from", _grade(said), more)
    else:
        but = f"; auditors: {few(said.faults)}" if said is not None and said.faults else ""
        case.notes.holds(_ID, found + but)
    case.notes.found_replay(_steps(segments, exact), _steps(segments))


def _coverage(segments: Sequence[Segment], facts: ReplayFacts) -> str:
    """How much was trained again, and the chance that one false segment escaped."""
    if facts.replayed == facts.segments:
        whole = counted(facts.segments, "segment", "segments")
        return f"the whole training ({whole}) was done again here, from the seed on"
    early = ""
    if facts.gone:
        what = f"{counted(facts.gone, 'checkpoint')} {'is' if facts.gone == 1 else 'are'}"
        early = f" (from earlier on, since {what} gone or of no use)"
    missed = 1 - facts.replayed / facts.segments
    return (
        f"{facts.replayed} of {facts.segments} segments of training, chosen here at random, were "
        f"done again{early}; that is {_share(segments, facts.outcomes)}; one false segment escapes "
        f"with a chance of {percent(missed)}"
    )
