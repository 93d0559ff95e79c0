"""The pre-registered order of an epoch: a seeded Fisher-Yates shuffle.

Source: docs/formats/proofs.md, "Order of an epoch".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from provenance.encoding import order_words
from provenance.errors import InputError

MAX_COUNT = 16**6


def _words(seed: bytes, epoch: int) -> Iterator[int]:
    counter = 0
    while True:
        yield from order_words(seed, epoch, counter)
        counter += 1


def epoch_order(seed: bytes, epoch: int, count: int) -> npt.NDArray[np.uint64]:
    """The order `a` of an epoch: `a[h]` is the index of the leaf fed at position h.

    Shape `(count,)`. Law: the result is a permutation of range(count), and depends on the three
    arguments only.

    Raises:
        InputError: count outside 1..16^6, a seed that is not 32 bytes, or a negative epoch.
    """
    if not 1 <= count <= MAX_COUNT or len(seed) != 32 or epoch < 0:
        raise InputError(
            "no such order",
            expected=f"1..{MAX_COUNT} records, 32-byte seed",
            actual=f"{count}, {len(seed)}",
        )
    order = list(range(count))
    words = _words(seed, epoch)
    for i in range(count - 1, 0, -1):
        bound = i + 1
        limit = 2**64 - (2**64 % bound)
        word = next(words)
        while word >= limit:
            word = next(words)
        j = word % bound
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.uint64)
