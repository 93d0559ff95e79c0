"""The pre-registered order as a sampler: position h of an epoch feeds record a[h].

Source: docs/formats/proofs.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from provenance.errors import InputError
from provenance.order import epoch_order

_KEPT_EPOCHS = 2


class EpochOrders:
    """Orders of a run's epochs, and their inverses. Threads may share it; two epochs are cached."""

    def __init__(self, seed: bytes, count: int) -> None:
        """`seed`: the run's 32-byte seed; `count`: records of the dataset."""
        self.seed, self.count = seed, count
        self._kept: OrderedDict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order a of an epoch: record index by position, shape `(count,)`."""
        return self._both(epoch)[0]

    def positions(self, epoch: int) -> npt.NDArray[np.int64]:
        """The inverse of `order`: position by record index, shape `(count,)`."""
        return self._both(epoch)[1]

    def _both(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        with self._lock:
            if epoch not in self._kept:
                order = epoch_order(self.seed, epoch, self.count).astype(np.int64)
                inverse = np.empty_like(order)
                inverse[order] = np.arange(self.count, dtype=np.int64)
                self._kept[epoch] = order, inverse
                while len(self._kept) > _KEPT_EPOCHS:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(epoch)
            return self._kept[epoch]


class CommittedSampler(Sampler[int]):
    """Yields record indices in the pre-registered order of the epoch that was last set.

    Give it to a Trainer as its train sampler. Do not set `start` then: when it resumes, Trainer
    itself skips the batches that were fed, and `start` would skip them again. `start` is for your
    own training loops.

    With several ranks, only whole rounds of world_size * batch_size records are yielded, because
    ranks that run out of data at different times would wait for each other for ever. The records
    left over are recorded as the epoch's remainder.
    """

    def __init__(
        self, orders: EpochOrders, *, start: int = 0, batch_size: int = 1, world_size: int = 1
    ) -> None:
        """`start`: first position of the first epoch that is iterated; later epochs start at 0."""
        if not 0 <= start <= orders.count:
            raise InputError(
                "start is outside the epoch", expected=f"0..{orders.count}", actual=start
            )
        self.orders, self.epoch, self._start = orders, 0, start
        whole = world_size * batch_size
        self.limit = orders.count if world_size == 1 else orders.count // whole * whole

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that is iterated next, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order, start = self.orders.order(self.epoch), self._start
        self._start = 0
        for position in range(start, self.limit):
            yield int(order[position])

    def __len__(self) -> int:
        """How many positions of an epoch are fed if it starts at 0."""
        return self.limit
