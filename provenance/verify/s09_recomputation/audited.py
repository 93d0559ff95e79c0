"""Which segments of training the auditors of the trust file did again, by their attestations.

An attestation says who made it, so it counts wherever it lies. Those of strangers, of other logs,
and whatever else is planted beside them say nothing, and accuse nobody.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest

from provenance.errors import InputError, MissingEvidence, NotFound, VerificationError
from provenance.ids import Address
from provenance.judgement.head_signatures import domain_of
from provenance.judgement.segment_draw import segment_draw
from provenance.judgement.third_parties import Auditors
from provenance.judgement.trust import Trust
from provenance.log.audit.about import AuditedLog
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.attestation import Attestation, Audit, SegmentWord
from provenance.log.audit.kept import to_line
from provenance.log.graph.segments import Segment, segments_of
from provenance.log.history import History
from provenance.text.shown import quoted
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s09_recomputation.sent import Sent

REPLAYED = "training.replayed"
_MOST_FAULTS = 3
MAX_ATTESTATIONS = 256
"""How many are checked, of all folders by turns. Where there are more, nothing verifies."""


@dataclass(frozen=True)
class Audited:
    """What auditors of the trust file signed about a run.

    segments: how many the run has. needed: how many auditors must have found one exact.
    outcomes: of each auditor's name, the worst class of each segment that they trained again.
    covered: the segments that as many auditors as needed found exact.
    drawn_by: the number of the block that drew all that was trained again; None if auditors did.
    faults: what came out otherwise, in words.
    different: those of them that came out `different`.
    on_chain: whether the chain says who said this and when. Then nothing was kept back, unless
        something came out `different`.
    """

    segments: int
    needed: int
    outcomes: Mapping[str, Mapping[int, Agreement]]
    covered: frozenset[int]
    drawn_by: int | None
    faults: tuple[str, ...]
    different: tuple[str, ...]
    on_chain: bool = False

    @property
    def against(self) -> VerificationError:
        """What came out `different`, as an error; of one or more."""
        return VerificationError(
            "an auditor of the trust file trained again, and got another checkpoint than the log "
            f"has: {few(self.different)}"
        )

    @property
    def by(self) -> Mapping[str, frozenset[int]]:
        """Of each auditor's name, the segments that came out exactly, and never otherwise."""
        return {
            name: frozenset(n for n, outcome in each.items() if outcome == Agreement.EXACT)
            for name, each in self.outcomes.items()
        }


def few(faults: Sequence[str]) -> str:
    """The first faults, and how many more there are."""
    more = len(faults) - _MOST_FAULTS
    return "; ".join(faults[:_MOST_FAULTS]) + (f"; and {more} more" if more > 0 else "")


def segments_told(history: History) -> Sequence[Segment]:
    """The segments of a run; none if its log has none. Whoever trains again is told why."""
    try:
        return segments_of(history)
    except (NotFound, VerificationError):
        return ()


def word_against(
    case: Case, chain: Chain, log: Log, history: History
) -> VerificationError | MissingEvidence | None:
    """What auditors say against a run's training: that it ends elsewhere.

    MissingEvidence if so many lines are at hand that not all were looked at; None if nothing.

    Raises:
        UnavailableError: the chain does not answer.
    """
    segments = segments_told(history)
    try:
        said = audited(case, chain, log, history, segments) if segments else None
    except MissingEvidence as error:
        return error
    return said.against if said is not None and said.different else None


def audited(
    case: Case, chain: Chain, log: Log, history: History, segments: Sequence[Segment]
) -> Audited | None:
    """What counts; None if the trust file names no auditors, or nothing of theirs does.

    Where it names the contract of attestations, what they sent to it counts, and nothing else.

    Args:
        history: that of the log. segments: all of the run, at least one.

    Raises:
        UnavailableError: the chain does not answer.
        MissingEvidence: so many lines are at hand that not all were looked at, or an auditor sent
            one to the chain that is not at hand; and none of the others says that a segment came
            out otherwise.
    """
    auditors = case.verifier.trust.auditors
    if auditors is None:
        return None
    domain = domain_of(case.verifier.trust)
    about = AuditedLog.of(log.claim.run_id, log.records, history, segments, domain)
    sent = sends_word(case.verifier.trust)
    found, missing = (
        _sent(case, chain, about, auditors)
        if sent
        else (_signed(case, chain, about, auditors), dict[Address, str]())
    )
    if missing and not any(a.audit.worst() is Agreement.DIFFERENT for a in found):
        raise MissingEvidence(
            few(tuple(missing.values())),
            where="provenance/attestations.jsonl",
            hint="ask the auditor for the lines, then provenance audit submit",
        )
    if not found:
        return None
    outcomes = _outcomes(_believed(found, missing), auditors)
    covered = frozenset(
        segment.number
        for segment in segments
        if sum(each.get(segment.number) == Agreement.EXACT for each in outcomes.values())
        >= auditors.needed
    )
    faults = dict.fromkeys(_faults(found, auditors))
    different = tuple(words for outcome, words in faults if outcome == Agreement.DIFFERENT)
    block = _drawn_by(case, chain, about, found)
    every = tuple(words for _, words in faults)
    return Audited(
        len(segments),
        auditors.needed,
        outcomes,
        covered,
        block,
        every,
        different,
        sent,
    )


def sends_word(trust: Trust) -> bool:
    """Whether the word of auditors counts only if they sent it to the chain."""
    return "attestations" in trust.contracts


def _sent(
    case: Case, chain: Chain, about: AuditedLog, auditors: Auditors
) -> tuple[list[Attestation], dict[Address, str]]:
    """Attestations that count by the chain, and who sent others that are not at hand."""
    sent = Sent.of(chain.snapshot, about, auditors)
    lines = (line for folder in _folders(case, about, auditors) for line in folder)
    at_hand = sent.at_hand(lines, about)
    return sent.counting(chain.snapshot, at_hand, about), sent.missing(at_hand, auditors)


def _believed(
    found: Sequence[Attestation], missing: Container[Address]
) -> Iterator[tuple[Address, SegmentWord]]:
    """What auditors say of segments. Of one who said more than is at hand, nothing good."""
    for each in found:
        for one in each.audit.replayed:
            if each.auditor not in missing or one.outcome != Agreement.EXACT:
                yield each.auditor, one


def _outcomes(
    said: Iterable[tuple[Address, SegmentWord]], auditors: Auditors
) -> dict[str, dict[int, Agreement]]:
    """The worst class of each segment, by the name of the auditor who trained it again."""
    worst: dict[Address, dict[int, Agreement]] = {a.address: {} for a in auditors.named}
    for address, one in said:
        before = worst[address].get(one.number, one.outcome)
        worst[address][one.number] = Agreement.worst((before, one.outcome))
    return {a.name: worst[a.address] for a in auditors.named if worst[a.address]}


def _faults(found: Sequence[Attestation], auditors: Auditors) -> Iterator[tuple[str, str]]:
    """The class and the words of each segment that did not come out exactly."""
    names = {auditor.address: quoted(auditor.name) for auditor in auditors.named}
    for each in found:
        for one in each.audit.replayed:
            if one.outcome != Agreement.EXACT:
                said = f"segment {one.number} came out {one.outcome} for {names[each.auditor]}"
                yield one.outcome, said


def _signed(case: Case, chain: Chain, about: AuditedLog, auditors: Auditors) -> list[Attestation]:
    """Attestations that count by their signatures.

    Raises:
        MissingEvidence: as `audited`.
    """
    lines = list(islice(_taking_turns(case, about, auditors), MAX_ATTESTATIONS + 1))
    found = _counting(case, chain, about, lines[:MAX_ATTESTATIONS])
    if len(lines) > MAX_ATTESTATIONS:
        _require_different(found)
    return found


def _require_different(found: Sequence[Attestation]) -> None:
    """Some attestation says already that a segment came out otherwise.

    Else one that was not looked at may say so. Anybody can put false lines in front of it.
    """
    if any(a.audit.worst() is Agreement.DIFFERENT for a in found):
        return
    raise MissingEvidence(
        f"more than {MAX_ATTESTATIONS} lines in the name of auditors are at hand, and some of them "
        "were not looked at",
        where="provenance/attestations.jsonl",
        hint="name a folder whose lines auditors signed (--evidence, provenance fsck)",
    )


def _counting(
    case: Case, chain: Chain, about: AuditedLog, lines: Sequence[Attestation]
) -> list[Attestation]:
    """Lines that count, each once: signed by who they name, about this log and its segments."""
    found: dict[bytes, Attestation] = {}
    for each in lines:
        with suppress(VerificationError):
            about.require_about(each)
            _require_of_chain(case, chain, each.audit)
            found[each.audit.digest(about.domain) + each.auditor.encode()] = each
    return list(found.values())


def _taking_turns(case: Case, about: AuditedLog, auditors: Auditors) -> Iterator[Attestation]:
    """Lines in the name of auditors: the first of each folder, then the second of each, and so on.

    So a folder of false ones does not keep those of another folder from being checked.
    """
    folders = _folders(case, about, auditors)
    seen = set[bytes]()
    for row in zip_longest(*([a for a in f if _is_in_time(auditors, a)] for f in folders)):
        for each in row:
            if each is not None and (line := to_line(each)) not in seen:
                seen.add(line)
                yield each


def _folders(case: Case, about: AuditedLog, auditors: Auditors) -> Iterator[list[Attestation]]:
    """The lines of each folder that name one of these auditors."""
    for evidence in case.verifier.source.candidates(about.run_id):
        with suppress(InputError):  # a file that cannot be read adds none
            lines = evidence.attestations()
            yield [a for a in lines if auditors.auditor(a.auditor) is not None]


def _is_in_time(auditors: Auditors, attestation: Attestation) -> bool:
    """Whether it names a block in which its auditor, one of these, counts."""
    auditor = auditors.auditor(attestation.auditor)
    return auditor is not None and auditor.covers(attestation.audit.block)


def _require_of_chain(case: Case, chain: Chain, audit: Audit) -> None:
    """The block that an audit names is one of the pinned chain.

    Raises:
        VerificationError: it is not.
        UnavailableError: the chain does not answer.
    """
    late = audit.block > chain.snapshot.block.number
    if late or case.verifier.reader.block(audit.block).hash != audit.block_hash:
        raise VerificationError("attestation names a block of another chain")


def _drawn_by(
    case: Case, chain: Chain, about: AuditedLog, found: Sequence[Attestation]
) -> int | None:
    """The block that drew everything that was trained again; None if somebody else drew any."""
    try:
        draw = segment_draw(case.verifier.reader, chain.snapshot, about.run_id, about.size - 1)
    except NotFound:
        return None
    return draw.block if all(each.audit.nonce == draw.nonce for each in found) else None
