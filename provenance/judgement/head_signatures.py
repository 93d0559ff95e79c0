"""Whether an owner signed a head: by its key, or by its contract where the trust file pins one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from provenance.errors import VerificationError
from provenance.ids import Address
from provenance.judgement.facts import ChainSnapshot
from provenance.judgement.trust import Trust
from provenance.log.tree import Head
from provenance.signing import Domain, head_digest, verify_head

_SIGNATURE_BYTES = 65


@dataclass(frozen=True)
class HeadSignatures:
    """How signatures of one owner are checked.

    contract: asks the owner, which is a contract; None where its own key signs. Only the trust file
        makes an account a contract: an endpoint could say so of any account, and sign in its name.
    """

    domain: Domain
    contract: Callable[[bytes, bytes], bool] | None

    def is_of(self, head: Head, given: bytes, signer: str) -> bool:
        """Whether the signer signed a head. `given` is attacker-controlled."""
        if self.contract is not None:
            return self.contract(head_digest(head, self.domain), given)
        return len(given) == _SIGNATURE_BYTES and _is_by_key(head, self.domain, given, signer)


@lru_cache(maxsize=4096)
def _is_by_key(head: Head, domain: Domain, given: bytes, signer: str) -> bool:
    """Remembered, since each attempt of a verification comes to the same heads."""
    try:
        verify_head(head, domain, given, signer)
    except VerificationError:
        return False
    return True


def domain_of(trust: Trust) -> Domain:
    """Where the signatures of heads count that this trust file is about."""
    return Domain(trust.chain_id, trust.contracts["registry"].address)


def head_signatures(
    trust: Trust, snapshot: ChainSnapshot, owner: Address, block: int
) -> HeadSignatures:
    """By the owner's key, or by its contract if the trust file pins the code of one at a block.

    Raises:
        VerificationError: the account has other code.
        UnavailableError: the chain does not answer.
    """
    publisher = trust.publisher(owner, block)
    if publisher is None or publisher.code_hash is None:
        return HeadSignatures(domain_of(trust), None)
    actual = snapshot.contract_code(owner)
    if actual != publisher.code_hash:
        raise VerificationError(
            "the publisher's contract has other code than the trust file pins",
            where=owner,
            expected=publisher.code_hash,
            actual=actual or "no contract",
        )
    return HeadSignatures(
        domain_of(trust), lambda digest, given: snapshot.accepts_signature(owner, digest, given)
    )
