"""Whom a verifier believes: accounts in a window of blocks; beside publishers, witnesses of heads
and auditors of training.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.errors import InputError
from provenance.ids import Address
from provenance.log.witness.cosignature import WitnessKey

MAX_WITNESSES = 64
MAX_AUDITORS = 64


@dataclass(frozen=True)
class Witnesses:
    """Whose cosignatures of a released head count, and how many of them are needed.

    Raises:
        InputError: no key, more than `MAX_WITNESSES`, a name or public key that stands twice, or
            `needed` is not 1 to the number of keys.
    """

    keys: tuple[WitnessKey, ...]
    needed: int

    def __post_init__(self) -> None:
        """Check that no two keys are one witness, and that enough of them can be had."""
        for what, each in (
            ("name", [k.name for k in self.keys]),
            ("public key", [k.public_key for k in self.keys]),
        ):
            for index, value in enumerate(each):
                if value in each[:index]:
                    raise InputError(
                        f"{what} of a witness stands twice", actual=str(self.keys[index])
                    )
        if not 1 <= len(self.keys) <= MAX_WITNESSES:
            raise InputError(
                "wrong number of witnesses", expected=f"1 to {MAX_WITNESSES}", actual=len(self.keys)
            )
        if not 1 <= self.needed <= len(self.keys):
            raise InputError(
                "so many cosignatures cannot be needed",
                expected=f"1 to {len(self.keys)}, the number of witnesses",
                actual=self.needed,
            )


@dataclass(frozen=True)
class Account:
    """An account that is believed from `from_block` to `to_block` (inclusive; None: open)."""

    address: Address
    name: str
    from_block: int = 0
    to_block: int | None = None

    def covers(self, block: int) -> bool:
        """Whether what it did in this block counts."""
        return self.from_block <= block and (self.to_block is None or block <= self.to_block)


@dataclass(frozen=True)
class Auditor(Account):
    """An account whose word about training again counts.

    Where a trust file names the contract of attestations, the chain says in which block the word
    was given, and the account may be a contract: that it sent the word is enough, and its code is
    not looked at. Else the block is the auditor's own word, and only an account's key can sign.
    """


@dataclass(frozen=True)
class Auditors:
    """Whose attestations count, and how many must have trained a segment again.

    Raises:
        InputError: none, more than `MAX_AUDITORS`, a name or address that stands twice, or `needed`
            is not 1 to the number of auditors.
    """

    named: tuple[Auditor, ...]
    needed: int

    def __post_init__(self) -> None:
        """Check that no two of them are one, and that enough of them can be had."""
        for what, each in (
            ("name", [a.name.casefold() for a in self.named]),
            ("address", [a.address for a in self.named]),
        ):
            for index, value in enumerate(each):
                if value in each[:index]:
                    raise InputError(f"{what} of an auditor stands twice", actual=value[:80])
        if not 1 <= len(self.named) <= MAX_AUDITORS:
            raise InputError(
                "wrong number of auditors", expected=f"1 to {MAX_AUDITORS}", actual=len(self.named)
            )
        if not 1 <= self.needed <= len(self.named):
            raise InputError(
                "so many auditors cannot be needed",
                expected=f"1 to {len(self.named)}, the number of auditors",
                actual=self.needed,
            )

    def auditor(self, address: str) -> Auditor | None:
        """The auditor with an address (0x, either case)."""
        return next((a for a in self.named if a.address == address.lower()), None)
