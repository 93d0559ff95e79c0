"""Step 3: who released this artifact, in which run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from provenance.errors import InputError, MissingEvidence, NotFound, VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ClaimFacts, Revocation, RunFacts, SignerRevocation
from provenance.judgement.trust import Publisher
from provenance.log.records import Release
from provenance.text.shown import MOST_REASON, quoted, told
from provenance.verify.at_hand import weights_beside
from provenance.verify.case import Case
from provenance.verify.claims import Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain

MAX_ASKED = 1024  # last releases of a log, each asked for on chain

_Released = tuple[ClaimFacts, Publisher]


class Pending(Exception):
    """The release is on the chain, but not in a final block yet."""


def check_release(case: Case, chain: Chain) -> ClaimFacts:
    """A trusted publisher's final release names exactly this digest, and was not revoked.

    Raises:
        Stopped: it was revoked. Else as `find_release`.
    """
    claim = find_release(case, chain)
    check_not_revoked(case, chain, claim, claim.index, "release")
    check_key(case, chain, claim)
    return claim


def find_release(case: Case, chain: Chain) -> ClaimFacts:
    """A trusted publisher's final release names exactly this digest.

    If the caller or the file names a run, that run must be the one that released it.

    Raises:
        Pending: such a release is not final yet.
        NotFound: no trusted publisher released this digest.
        Stopped: another run than the named one released it.

    If a digest has releases by several runs of trusted publishers, each run is a case of its own
    (`Case.followed`). Of one publisher it is a revoked release, if there is any; but where the
    caller names the run, only one of that run. One that was made with a key after that key was
    revoked counts only where there is no other.
    """
    wanted = case.options.release or case.artifact.claimed_run
    trust, digest = case.verifier.trust, case.artifact.digest
    trusted = trust.releases(chain.snapshot, digest)
    matching = [found for found in trusted if wanted is None or found[0].run_id == wanted]
    if not matching:
        _explain_absence(case, chain, wanted, [claim for claim, _ in trusted])
    standing = [found for found in trusted if is_in_time(case, chain, found[0])]
    matching = [found for found in matching if found in standing] or matching
    asked = matching if case.options.release is not None else standing
    claimants = _claimants(matching, [found for found in asked if found[0].revoked_block])
    runs = {claim.run_id: (claim, publisher) for claim, publisher in claimants}
    claim, publisher = runs[case.followed or claimants[0][0].run_id]
    case.notes.found_releases(claimants, claim)
    case.notes.holds(
        "release.named",
        f"released by {publisher.name} ({claim.owner}) in block {claim.block_number}",
        run=to_hex(claim.run_id),
        index=str(claim.index),
    )
    return claim


def _claimants(matching: Sequence[_Released], revoked: Sequence[_Released]) -> list[_Released]:
    """One release of each run that released the artifact, in the order of the chain.

    What an account revoked, or another one of the same publisher's name, stands for all that they
    released: they say that the file is bad. They say so for nobody else, or any publisher could
    deny the files of the others.

    Args:
        matching: not empty.
        revoked: releases that were revoked, perhaps of other runs.
    """
    by_name = {found[1].name: found for found in reversed(revoked)}
    by_owner = {found[0].owner: found for found in reversed(revoked)}
    runs: dict[RunId, _Released] = {}
    for found in matching:
        bad = by_name.get(found[1].name) or by_owner.get(found[0].owner) or found
        runs.setdefault(bad[0].run_id, bad)
    return list(runs.values())


def reason_of(revoked: Revocation | SignerRevocation) -> str:
    """Why something was revoked, in the words of whoever did it (attacker-controlled)."""
    return quoted(revoked.reason, MOST_REASON)


def check_not_revoked(
    case: Case, chain: Chain, of: ClaimFacts | RunFacts, index: int, what: str
) -> None:
    """Record `index` of a run, a `what`, was not revoked. of: the run, or a release of it.

    Raises:
        Stopped: it was; the claim `not.revoked` says when and why.
    """
    with case.notes.guarded("not.revoked"):
        revoked = chain.snapshot.revocation(of.run_id, index)
        if revoked is not None:
            raise VerificationError(
                f"record {index} ({what}) was revoked in block {revoked.block_number}: "
                f"{reason_of(revoked)}",
                where=f"run {to_hex(of.run_id)}",
            )


def check_key(case: Case, chain: Chain, claim: ClaimFacts) -> SignerRevocation | None:
    """The release was made before its owner's key was revoked, if it was.

    The records under the release's head were anchored no later than the release.

    Returns:
        The revocation that came after it, None if there is none.

    Raises:
        Stopped: it was made afterwards; the claim `not.revoked` says when and why.
    """
    with case.notes.guarded("not.revoked"):
        trust, block = case.verifier.trust, claim.block_number
        revoked = next(iter(trust.key_revocations(chain.snapshot, claim.owner, block)), None)
        if revoked is not None and claim.block_number >= revoked.from_block:
            raise VerificationError(
                f"the key of {claim.owner} was revoked in block {revoked.block_number}, for what "
                f"it anchored from block {revoked.from_block} on, and made this release in block "
                f"{claim.block_number}: {reason_of(revoked)}",
                where=f"run {to_hex(claim.run_id)}",
            )
    return revoked


def is_in_time(case: Case, chain: Chain, claim: ClaimFacts) -> bool:
    """Whether a release was made before every block from which its owner's key is revoked."""
    trust, block = case.verifier.trust, claim.block_number
    revoked = trust.key_revocations(chain.snapshot, claim.owner, block)
    return all(block < each.from_block for each in revoked)


def _explain_absence(
    case: Case, chain: Chain, wanted: RunId | None, trusted: list[ClaimFacts]
) -> NoReturn:
    """Say why no final release by a trusted publisher, of the wanted run, names the digest."""
    digest = case.artifact.digest
    pending = case.verifier.trust.releases(case.verifier.reader.latest(), digest)
    if any(wanted is None or claim.run_id == wanted for claim, _ in pending):
        raise Pending
    claims = chain.snapshot.claims(digest)
    stranger = next((claim for claim in claims if claim.run_id == wanted), None)
    if stranger is not None:
        raise NotFound(
            "released, but not by a publisher whom the trust file names for that block",
            where=str(digest),
            expected="a trusted publisher",
            actual=f"{stranger.owner} in block {stranger.block_number}",
        )
    if wanted is None:
        raise NotFound(
            "no release by a trusted publisher names this artifact",
            where=str(digest),
            hint="check the file, the trust file's publishers, and the chain",
        )
    _contradict(case, chain, wanted, trusted)


def _contradict(case: Case, chain: Chain, wanted: RunId, trusted: list[ClaimFacts]) -> NoReturn:
    """Fail, since the named run did not release this digest; say what was released instead."""
    candidates = case.verifier.source.candidates(wanted)
    released = _last_release(case, chain, wanted, candidates)
    if trusted:
        released = "another run: " + ", ".join(to_hex(claim.run_id) for claim in trusted)
    origin = "the caller names" if case.options.release else "the file's own metadata names"
    case.notes.fails(
        "release.named",
        VerificationError(
            f"{origin} run {to_hex(wanted)}, which released no such file",
            where=told(case.artifact.name),
            expected=released or "a release by a trusted publisher",
            actual=case.artifact.digest,
        ),
    )
    _locate_differences(case, candidates)
    raise Stopped


def _last_release(
    case: Case, chain: Chain, wanted: RunId, candidates: Sequence[Evidence]
) -> str | None:
    """The last file that a trusted publisher claimed for a run on chain, of those in logs at hand.

    The logs (attacker-controlled) only say what to ask the chain for.
    """
    for evidence in candidates:
        # Bad evidence must not hide the good.
        with suppress(VerificationError, InputError, MissingEvidence):
            released = (r for r in reversed(evidence.records()) if r.type == Release.TYPE)
            for model in islice(dict.fromkeys(r.body(Release).model for r in released), MAX_ASKED):
                claims = case.verifier.trust.releases(chain.snapshot, model)
                if any(claim.run_id == wanted for claim, _ in claims):
                    return str(model)
    return None


def _locate_differences(case: Case, candidates: Sequence[Evidence]) -> None:
    """Say where a file differs from what weights in the evidence give, if there are any."""
    beside, merged = (at for evidence in candidates if (at := evidence.merged())), None
    with suppress(MissingEvidence):
        merged = weights_beside(case, next(beside, None))
    if case.file is None or merged is None:
        return
    inspector, path = case.file
    case.notes.differs(
        "file.recomputed",
        "file is not the quantization of the weights beside the evidence, which were not "
        "compared with the log",
        inspector.compare_quantized(merged, path),
    )
