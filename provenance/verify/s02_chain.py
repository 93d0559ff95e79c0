"""Step 2: the chain that every later fact is read from."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.errors import VerificationError
from provenance.judgement.facts import ChainIdentity, ChainSnapshot
from provenance.text.counted import counted
from provenance.verify.case import Case


@dataclass(frozen=True)
class Chain:
    """The pinned chain, and its state at the final block."""

    identity: ChainIdentity
    snapshot: ChainSnapshot


def check_chain(case: Case) -> Chain:
    """The endpoint answers for the pinned chain, and the contracts have the pinned code.

    Raises:
        Stopped: it does not.
        UnavailableError: the trust file has expired, or the final block is too old.
    """
    verifier, notes = case.verifier, case.notes
    identity = verifier.reader.identity()
    with notes.guarded("chain.pinned"):
        difference = verifier.trust.first_difference(identity)
        if difference is not None:
            what, expected, actual = difference
            raise VerificationError(
                f"the chain is not the pinned one: {what} differs",
                expected=expected,
                actual=actual,
            )
    notes.holds(
        "chain.pinned",
        f"chain {identity.chain_id}, genesis and the contracts' code as pinned",
        genesis=identity.genesis,
        registry=identity.contracts["registry"].address,
        ledger=identity.contracts["ledger"].address,
    )
    snapshot = verifier.reader.final()
    verifier.trust.require_current(snapshot.block, verifier.clock())
    return Chain(identity, snapshot)


def check_agreement(case: Case) -> None:
    """Say how several endpoints agreed, once everything has been read.

    A read without a quorum raised when it was made, so what was noted rests on answers that
    enough of them gave.
    """
    found = case.verifier.reader.agreement()
    if found is None:
        return
    asked = counted(found.questions, "question")
    text = f"{found.needed} of {counted(len(found.endpoints), 'endpoint')} gave the same answers"
    notes = "".join(f"; {note}" for note in found.notes)
    case.notes.holds(
        "chain.agreed",
        f"{text} to {asked}{notes}",
        endpoints=", ".join(found.endpoints),
    )
