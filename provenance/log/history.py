"""What happened in a run, as its log tells it. `provenance.log.fold` makes it from records.

Whoever holds a `History` need not compare its records with each other again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.errors import VerificationError
from provenance.ids import words_bytes
from provenance.log.graph.folders import merged_of
from provenance.log.record import Record
from provenance.log.records import Merge


@dataclass(frozen=True)
class Placed:
    """A record and its index in the log."""

    index: int
    record: Record

    @property
    def fields(self) -> Mapping[str, Any]:
        """The record's fields."""
        return self.record.fields


@dataclass(frozen=True)
class EpochUse:
    """What the log says an epoch fed.

    consumed: number of positions fed.
    leaves: the leaf at each position, shape `(count, 32)`: those fed, then the remainder.
    """

    epoch: int
    consumed: int
    leaves: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EpochHistory:
    """One epoch as it was fed.

    batches: those that no `resume` abandoned, at least one.
    end: the record of its end; None if training stopped in it.
    proofs: the records that name an anchoring of it on chain.
    """

    number: int
    batches: tuple[Placed, ...]
    consumed: int
    end: Placed | None
    proofs: tuple[Placed, ...]

    @property
    def proven(self) -> Placed | None:
        """The last record that names an anchoring, which is the one that counts."""
        return self.proofs[-1] if self.proofs else None

    def use(self, count: int, remainder: Sequence[str]) -> EpochUse:
        """Lay out the epoch's leaves by position.

        Args:
            count: number of positions of an epoch, which is that of the dataset's records.
            remainder: leaves (`0x..`) at the positions that were not fed.

        Raises:
            VerificationError: more positions than the dataset has, or a remainder of another
                length.
            InputError: a leaf in another form than records have.
        """
        if len(remainder) != count - self.consumed:
            raise VerificationError(
                "epoch's remainder has the wrong length",
                where=f"epoch {self.number}",
                expected=count - self.consumed,
                actual=len(remainder),
            )
        data = bytearray()
        for batch in self.batches:
            data += words_bytes(batch.fields["leaves"])
        data += words_bytes(remainder)
        leaves = np.frombuffer(data, np.uint8).reshape(count, 32)
        return EpochUse(self.number, self.consumed, leaves)


@dataclass(frozen=True)
class ReleasePath:
    """The records on the way to one release, each the last that made what its successor took."""

    checkpoint: Placed
    merge: Placed
    quantize: Placed
    release: Placed


@dataclass(frozen=True)
class History:
    """A log whose records agree with each other. All of it is still its owner's word.

    opening: `run.open`.
    seed: None before it was drawn.
    batches, checkpoints: the live ones, which no `resume` abandoned.
    epochs: by number, 0, 1, .. without a gap.
    close: `run.close`; None while the run may go on.
    """

    size: int
    opening: Record
    seed: Placed | None
    batches: tuple[Placed, ...]
    checkpoints: tuple[Placed, ...]
    epochs: tuple[EpochHistory, ...]
    resumes: tuple[Placed, ...]
    close: Placed | None
    merges: tuple[Placed, ...]
    quantizations: tuple[Placed, ...]
    steps: tuple[Placed, ...]
    samples: tuple[Placed, ...]
    releases: tuple[Placed, ...]

    def after(self, index: int) -> tuple[int, ...]:
        """The live records of training after a checkpoint: what a `resume` from it abandons."""
        ended = [epoch for epoch in self.epochs if epoch.end and epoch.end.index > index]
        ends = [placed for epoch in ended for placed in (epoch.end, *epoch.proofs) if placed]
        trained = (placed for placed in (*self.batches, *self.checkpoints) if placed.index > index)
        return tuple(sorted(placed.index for placed in (*trained, *ends)))

    @property
    def final_checkpoint(self) -> Placed:
        """The only checkpoint that may be merged: the last live one, after the last live batch.

        Raises:
            VerificationError: there is none, or it does not cover that batch.
        """
        checkpoint = self.checkpoints[-1] if self.checkpoints else None
        return final_checkpoint(checkpoint, self.batches[-1] if self.batches else None)

    def sample_of(self, made: Placed) -> Placed | None:
        """The last `sample` record about a merge or a quantization of this history.

        A sample is about the last record of its stage that stands before it.
        """
        stage = made.record.type
        stages = self.merges if stage == Merge.TYPE else self.quantizations
        end = next((later.index for later in stages if later.index > made.index), self.size)
        own = (s for s in self.samples if s.fields["stage"] == stage and made.index < s.index < end)
        return max(own, key=lambda sample: sample.index, default=None)

    def release_of(self, model: str) -> Placed | None:
        """The first release of the file with this digest."""
        return next((r for r in self.releases if r.fields["model"] == model), None)

    def path(self, index: int) -> ReleasePath:
        """The records from the released checkpoint to the release with this index.

        Raises:
            VerificationError: the record there is no release.
        """
        release = next((r for r in self.releases if r.index == index), None)
        if release is None:
            raise VerificationError(
                "record is not a release", where=f"record {index}", expected="release"
            )
        model = release.fields["model"]
        quantize = _last(self.quantizations, index, lambda made: made.fields["file"] == model)
        merge = self.merge_of(quantize)
        return ReleasePath(self.final_checkpoint, merge, quantize, release)

    def merge_of(self, quantize: Placed) -> Placed:
        """The merge that made what was quantized."""
        source = quantize.fields["source"]
        return _last(self.merges, quantize.index, lambda m: merged_of(m.record).name == source)


def final_checkpoint(checkpoint: Placed | None, batch: Placed | None) -> Placed:
    """The last live checkpoint, if it covers the last live batch; raises as `History` does."""
    if checkpoint is None:
        raise VerificationError(
            "log holds no checkpoint to merge", expected="a live checkpoint", actual="none"
        )
    expected = None if batch is None else batch.index
    if (actual := checkpoint.fields.get("last_batch")) != expected:
        raise VerificationError(
            "the last checkpoint does not cover the last batch",
            where=f"record {checkpoint.index} last_batch",
            expected=expected,
            actual=actual,
        )
    return checkpoint


def _last(records: tuple[Placed, ...], before: int, wanted: Callable[[Placed], bool]) -> Placed:
    """The last record before an index that is wanted. The fold saw that it exists."""
    return next(r for r in reversed(records) if r.index < before and wanted(r))
