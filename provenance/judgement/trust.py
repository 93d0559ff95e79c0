"""What a verifier believes before it looks at any evidence. `trust_file.py` reads and writes it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from provenance.digest import Digest
from provenance.errors import InputError, UnavailableError
from provenance.ids import Address
from provenance.judgement.facts import (
    BlockRef,
    ChainIdentity,
    ChainSnapshot,
    ClaimFacts,
    Contract,
    SignerRevocation,
)
from provenance.judgement.third_parties import Account, Auditors, Witnesses
from provenance.statements import KINDS

KEY_KINDS = tuple(KINDS)
ALWAYS_PINNED = ("registry", "ledger")
ENVIRONMENTS = ("local", "test", "production")
LOCAL_CHAINS = (1337, 31337)
"""Chain ids of development nodes. Such a chain is `local`, whatever a trust file says."""
MAX_AGE_S = 24 * 3600
"""How old a final block may be where a trust file does not say, outside `local`."""


@dataclass(frozen=True)
class Key:
    """A verifying key: `vk_id` as `0x` text, `kind` one of KEY_KINDS, `klass` dev or ceremony.

    `transcript` is the digest of the ceremony's transcript, None for a development key.
    """

    vk_id: str
    kind: str
    klass: str
    transcript: str | None = None


@dataclass(frozen=True)
class Publisher(Account):
    """An account whose releases count.

    `code_hash` is the Keccak-256 of its code, `0x` and 64 digits, if it is a contract that signs by
    EIP-1271; None if its own key signs.
    """

    code_hash: str | None = None


def show_time(moment: datetime.datetime) -> str:
    """A time as trust files write it, in UTC."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Trust:
    """What a verifier believes.

    `genesis` is in lower case. `contracts` maps names of CONTRACTS to what is pinned; registry and
    ledger are always there. `confirmations` is for a chain without a `finalized` block: a block is
    final with so many blocks on top; None elsewhere. `quorum` is how many endpoints must agree;
    None for all of them. `version` counts the file's editions. After
    `expires` it is believed no more. `witnesses` must have signed a released head; None asks for
    no cosignatures. `auditors` are believed about training that they did again; no publisher is
    one. `max_age_s` bounds the age of the newest final block (seconds,
    by the verifier's clock); None under `local`. `digest` is the SHA-256 of the file.
    """

    environment: str
    chain_id: int
    genesis: str
    confirmations: int | None
    contracts: Mapping[str, Contract]
    keys: tuple[Key, ...]
    publishers: tuple[Publisher, ...]
    digest: Digest
    version: int = 1
    expires: datetime.datetime | None = None
    max_age_s: int | None = None
    quorum: int | None = None
    witnesses: Witnesses | None = None
    auditors: Auditors | None = None

    def __post_init__(self) -> None:
        """Check that nobody audits themselves.

        Raises:
            InputError: an auditor has a publisher's address or name.
        """
        for auditor in self.auditors.named if self.auditors else ():
            for publisher in self.publishers:
                same = publisher.name.casefold() == auditor.name.casefold()
                if same or publisher.address == auditor.address:
                    raise InputError(
                        "an auditor is a publisher, too",
                        actual=auditor.name[:80],
                        expected="another address and name than any publisher's",
                    )

    @property
    def chain(self) -> ChainIdentity:
        """The chain and the code that an endpoint must have."""
        return ChainIdentity(self.chain_id, self.genesis, self.contracts)

    @property
    def addresses(self) -> dict[str, Address]:
        """Address of each pinned contract by its name."""
        return {name: contract.address for name, contract in self.contracts.items()}

    def publisher(self, address: str, block: int) -> Publisher | None:
        """The publisher that an account (0x, either case) is at a block."""
        wanted = address.lower()
        return next((p for p in self.publishers if p.address == wanted and p.covers(block)), None)

    def releases(self, snapshot: ChainSnapshot, model: bytes) -> list[tuple[ClaimFacts, Publisher]]:
        """Releases of a file (by SHA-256) by accounts that were publishers in their blocks.

        Raises:
            UnavailableError: the chain does not answer.
        """
        found = (
            (claim, self.publisher(claim.owner, claim.block_number))
            for claim in snapshot.claims(model)
        )
        return [(claim, publisher) for claim, publisher in found if publisher is not None]

    def key_revocations(
        self, snapshot: ChainSnapshot, owner: Address, block: int | None = None
    ) -> list[SignerRevocation]:
        """The revocations of an account's key that count, the one from the earliest block first.

        They are its own, and those that an address of the same publisher's name made while it was a
        publisher: the team that lost a key can say so with another one. What an address says after
        that neither counts nor takes back what it said before. Of each, the one that reaches
        furthest back stands for all.

        Args:
            block: in which the account did what is asked about. The publisher's name is that of
                this block, so that a team which it has left or will join does not judge it; None
                for all its names.

        Raises:
            UnavailableError: the chain does not answer.
        """
        own = (p for p in self.publishers if p.address == owner)
        names = {p.name for p in own if block is None or p.covers(block)}
        now = snapshot.block.number
        found = [snapshot.signer_revocation(owner, owner, now)]
        for other in self.publishers:
            if other.name in names and other.address != owner:
                last = now if other.to_block is None else other.to_block
                said = snapshot.signer_revocation(owner, other.address, last)
                found += [said] if said is not None and other.covers(said.block_number) else []
        return sorted((r for r in found if r is not None), key=lambda r: r.from_block)

    def key(self, vk_id: str) -> Key | None:
        """The pinned key of an id."""
        return next((k for k in self.keys if k.vk_id == vk_id), None)

    def first_difference(self, identity: ChainIdentity) -> tuple[str, str, str] | None:
        """(what, expected, actual) of the first thing in which a chain is not the pinned one.

        A contract that the trust file does not name is not compared: nothing is read from it.
        """
        compared = [
            ("chain id", str(self.chain_id), str(identity.chain_id)),
            ("genesis block", self.genesis, identity.genesis),
        ]
        for name, pinned in self.contracts.items():
            found = identity.contracts.get(name)
            address, code = (found.address, found.code_hash) if found else ("none", "none")
            compared.append((f"{name} address", pinned.address, address))
            compared.append((f"{name} code", pinned.code_hash, code))
        return next((row for row in compared if row[1] != row[2]), None)

    def needed(self, endpoints: int) -> int:
        """Of so many endpoints (>= 1), how many must give the same answers.

        Raises:
            UnavailableError: more than there are.
        """
        if self.quorum is None:
            return endpoints
        if self.quorum > endpoints:
            raise UnavailableError(
                "fewer endpoints than the trust file wants to agree",
                where=str(self.digest),
                expected=f"{self.quorum} (chain.quorum)",
                actual=endpoints,
                hint="name more of them, with blanks between, in PROVENANCE_READ_URLS",
            )
        return self.quorum

    def require_current(self, block: BlockRef, now: datetime.datetime) -> None:
        """Neither this file nor what the chain says last is too old to judge by.

        Args:
            block: the newest final block, as an endpoint tells it (attacker-controlled).
            now: the verifier's clock.

        Raises:
            UnavailableError: the file has expired, or the block is older than `max_age_s`. An
                endpoint that stands still hides later revocations.
        """
        if self.expires is not None and now >= self.expires:
            raise UnavailableError(
                "trust file has expired",
                where=str(self.digest),
                expected=f"a time before {show_time(self.expires)}",
                actual=show_time(now),
                hint="get the newest edition from whoever writes it for you",
            )
        age_s = int(now.timestamp()) - block.timestamp
        if self.max_age_s is not None and age_s > self.max_age_s:
            raise UnavailableError(
                "the endpoint's newest final block is too old",
                where=f"block {block.number}",
                expected=f"at most {self.max_age_s} s old (max_age of the trust file)",
                actual=f"{age_s} s",
                hint="ask another endpoint",
            )
