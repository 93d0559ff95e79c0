"""What the registry checks when a log grows, in plain Python (RFC 9162)."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import VerificationError
from provenance.merkle import EMPTY_ROOT, node_hash


def verify_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Check that a head extends an older one (RFC 9162 2.1.4.2).

    Raises:
        VerificationError: shrunk tree, wrong proof length, or a proof that leads to another old or
            new root.
    """
    if not 0 <= old <= size:
        raise VerificationError("the log shrank", expected=f">= {old}", actual=size)
    if old in (0, size):
        expected = EMPTY_ROOT if old == 0 else root
        if proof:
            raise VerificationError(
                "consistency proof must be empty here", expected=0, actual=len(proof)
            )
        if old_root != expected or (size == 0 and root != EMPTY_ROOT):
            raise VerificationError(
                "heads of one size have different roots",
                expected=expected.hex(),
                actual=old_root.hex(),
            )
        return
    shift = (old & -old).bit_length() - 1
    inner = ((old - 1) ^ (size - 1)).bit_length() - shift
    border = ((old - 1) >> (inner + shift)).bit_count()
    power_of_two = old & (old - 1) == 0
    length = inner + border + (0 if power_of_two else 1)
    if len(proof) != length or any(len(node) != 32 for node in proof):
        raise VerificationError(
            "consistency proof has the wrong length", expected=length, actual=len(proof)
        )
    seed, path = (old_root, list(proof)) if power_of_two else (proof[0], list(proof[1:]))
    mask = (old - 1) >> shift
    first = second = seed
    for i, sibling in enumerate(path):
        if i >= inner or mask >> i & 1:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
        else:
            second = node_hash(second, sibling)
    if first != old_root:
        raise VerificationError(
            "consistency proof leads to another old root",
            expected=old_root.hex(),
            actual=first.hex(),
        )
    if second != root:
        raise VerificationError(
            "consistency proof leads to another root", expected=root.hex(), actual=second.hex()
        )
