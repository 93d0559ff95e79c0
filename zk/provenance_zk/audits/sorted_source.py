"""Where a verifier learns that all leaves of a dataset are in order.

An `absent` proof looks at two neighbours only, so it means nothing without this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import NotFound
from provenance.ids import KeyId
from provenance.judgement.trust import Trust


@dataclass(frozen=True)
class SortedSet:
    """A complete `sorted` set: a sentence on what shows it, and the key of its proofs."""

    text: str
    vk_id: KeyId


class SortedSource:
    """Answers whether a dataset's `sorted` set is complete; this class itself has no set."""

    def require(self, dataset: DatasetRoot) -> SortedSet:
        """The complete set of a dataset.

        Raises:
            NotFound: this source cannot tell.
            VerificationError: the set is not complete.
        """
        raise NotFound(
            "no set of sorted proofs is at hand",
            hint="name its folder with --sorted, or --dataset-id of one shown on chain",
        )


class SortedOnChain(SortedSource):
    """Asks the pinned contract of audits about a registration, under each pinned `sorted` key.

    Args:
        dataset: what is registered.
        complete: tells whether the set of a key is complete in a final block.
    """

    def __init__(
        self, dataset: DatasetRoot, trust: Trust, complete: Callable[[KeyId], bool]
    ) -> None:
        self._dataset, self._trust, self._complete = dataset, trust, complete

    def require(self, dataset: DatasetRoot) -> SortedSet:
        """As `SortedSource` says."""
        keys = [KeyId.parse(key.vk_id) for key in self._trust.keys if key.kind == "sorted"]
        found = next(
            (key for key in keys if dataset == self._dataset and self._complete(key)), None
        )
        if found is None:
            return super().require(dataset)
        return SortedSet(f"shown on chain under sorted key {found}, complete and chained", found)
