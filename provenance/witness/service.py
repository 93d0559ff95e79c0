"""What a witness cosigns: heads of publishers' runs that extend what it cosigned before.

The signature of a head is EIP-712, which other witnesses cannot check (docs/formats/c2sp.md); this
one asks the registry whose run it is.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from provenance.errors import (
    AuthError,
    InputError,
    NotFound,
    VerificationError,
)
from provenance.ids import Address
from provenance.judgement.facts import ChainReader, ChainSnapshot
from provenance.judgement.head_signatures import HeadSignatures, domain_of, head_signatures
from provenance.judgement.pinned import final_state
from provenance.judgement.trust import Trust
from provenance.log.c2sp import head_key_id, origin, parse_checkpoint, parse_origin
from provenance.log.tree import Head
from provenance.log.witness.note import Note
from provenance.log.witness.request import AddCheckpoint
from provenance.witness.key import WitnessSigner
from provenance.witness.memory import Memory, Step


class Witness:
    """Answers requests for cosignatures. Threads may share it.

    Args:
        trust: whose runs are witnessed: those of its publishers, on the chain and in the registry
            that it pins.
        reader: makes a reader of that chain; what it answers is attacker-controlled.
        clock: this machine's time in seconds since the epoch.
    """

    def __init__(
        self,
        signer: WitnessSigner,
        memory: Memory,
        trust: Trust,
        reader: Callable[[], ChainReader],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer, self._memory, self._trust = signer, memory, trust
        self._reader, self._clock = reader, clock
        self._publishers = tuple(dict.fromkeys(p.address for p in trust.publishers))

    def add_checkpoint(self, body: bytes) -> str:
        """The cosignature of a checkpoint, as one line with its newline.

        Strangers cost no read of the chain: first a publisher's signature must stand there.

        Args:
            body: of a request as `AddCheckpoint` reads it (attacker-controlled).

        Raises:
            InputError: malformed, or the old size is beyond the new one.
            NotFound: not the log of a run in the pinned registry.
            AuthError: no publisher of the trust file who owns the run signed this head.
            Stale: this witness signed another size last.
            VerificationError: the head does not extend the one that it signed last.
            UnavailableError: the chain does not answer, or is not the pinned one.
            Forgotten, OutputError: this witness cannot remember, so it does not sign.
        """
        request = AddCheckpoint.parse(body)
        head = self._head(request.note.text)
        if request.old > head.size:
            raise InputError("old size is beyond the new one", expected=f"<= {head.size}")
        given = self._given(request.note, head)
        self._require_owner(head, given)
        text, name = request.note.text, origin(head, domain_of(self._trust))
        step = Step(name, request.old, head.size, head.root, request.proof)
        found = self._memory.advance(step, lambda: self._signer.sign(text, int(self._clock())))
        return f"{found.line}\n"

    def _head(self, text: str) -> Head:
        """The head of a checkpoint's text, if it is of a log in the pinned registry."""
        name = text.partition("\n")[0]
        try:
            domain, _ = parse_origin(name)
        except InputError as error:
            raise NotFound("log is not known", where=repr(name[:160])) from error
        if domain != domain_of(self._trust):
            raise NotFound("log is of another chain or registry", where=name)
        return parse_checkpoint(text)[1]

    def _given(self, note: Note, head: Head) -> dict[Address, list[bytes]]:
        """The signatures that say that they are publishers', by address.

        Raises:
            AuthError: there is none, or one that a key must have made and did not.
        """
        name, found = origin(head, domain_of(self._trust)), dict[Address, list[bytes]]()
        for address in self._publishers:
            id_ = head_key_id(name, address)
            lines = [s.signature for s in note.signatures if (s.name, s.key_id) == (name, id_)]
            is_contract = any(
                p.code_hash is not None for p in self._trust.publishers if p.address == address
            )
            if lines and not is_contract:
                _require_signed(HeadSignatures(domain_of(self._trust), None), head, address, lines)
            if lines:
                found[address] = lines
        if not found:
            raise AuthError("no publisher that this witness knows signed the head", where=name)
        return found

    def _require_owner(self, head: Head, given: dict[Address, list[bytes]]) -> None:
        """The owner of the run, by the registry in a final block, is a publisher who signed."""
        snapshot = self._snapshot()
        run = snapshot.run(head.run_id)
        if run is None:
            raise NotFound("registry knows no such run in a final block", where=str(head.run_id))
        owner, block = run.owner, snapshot.block.number
        if owner not in given or self._trust.publisher(owner, block) is None:
            raise AuthError(
                "the run's owner is no publisher at this block, or did not sign the head",
                where=str(head.run_id),
                actual=owner,
            )
        revoked = self._trust.key_revocations(snapshot, owner)
        if revoked and revoked[0].from_block <= block:
            raise AuthError("the key of the run's owner was revoked", where=owner)
        try:
            signatures = head_signatures(self._trust, snapshot, owner, block)
        except VerificationError as error:
            raise AuthError(error.what, where=owner) from error
        _require_signed(signatures, head, owner, given[owner])

    def _snapshot(self) -> ChainSnapshot:
        """The newest final state of the pinned chain."""
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        return final_state(self._trust, self._reader(), now)


def _require_signed(
    signatures: HeadSignatures, head: Head, owner: Address, given: list[bytes]
) -> None:
    """Each signature that has the name and id of a known key is of it, as signed-note demands."""
    if not all(signatures.is_of(head, each, owner) for each in given):
        raise AuthError("signature of the head is not its owner's", where=owner)
