"""Step 5: the chain of records from dataset to released file, as values. Each link is a digest that two records share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.errors import VerificationError
from provenance.log.record import Record


@dataclass(frozen=True)
class Lineage:
    """Indices and records on the way to one release; `resumes` and `unmatched` are shown in the verdict."""

    opening: Record
    seed: Record | None
    release_index: int
    release: Record
    quantize: Record
    merge: Record
    checkpoint_index: int
    checkpoint: Record
    resumes: int
    unmatched: int


def _last(records: Sequence[Record], type_: str, before: int, **wanted: Any) -> tuple[int, Record]:
    for index in range(before - 1, -1, -1):
        record = records[index]
        if record.type == type_ and all(record.fields.get(k) == v for k, v in wanted.items()):
            return index, record
    facts = ", ".join(f"{k}={v}" for k, v in wanted.items())
    raise VerificationError(
        "log lacks a record on the way to the release",
        where=type_,
        expected=facts or "one such record",
    )


def walk(records: Sequence[Record], release_index: int) -> Lineage:
    """Follow digests back from the release at `release_index`.

    Raises:
        VerificationError: a link is missing, or two records contradict each other.
    """
    release = records[release_index]
    if release.type != "release":
        raise VerificationError(
            "record is not a release",
            where=f"record {release_index}",
            expected="release",
            actual=release.type,
        )
    quantize_index, quantize = _last(
        records, "quantize", release_index, file=release.fields["model"]
    )
    merge_index, merge = _last(records, "merge", quantize_index, merged=quantize.fields["source"])
    checkpoint_index, checkpoint = _last(
        records, "checkpoint", merge_index, weights=merge.fields["adapter"]
    )
    opening = records[0]
    if opening.type != "run.open":
        raise VerificationError(
            "log does not begin with the run's opening",
            where="record 0",
            expected="run.open",
            actual=opening.type,
        )
    base = opening.fields["base"].get("content")
    if base != merge.fields["base"]:
        raise VerificationError(
            "merge used another base model than the run was opened for",
            where=f"record {merge_index}",
            expected=base,
            actual=merge.fields["base"],
        )
    seeds = [r for r in records if r.type == "seed"]
    if len(seeds) > 1:
        raise VerificationError("log holds more than one seed", expected=1, actual=len(seeds))
    return Lineage(
        opening=opening,
        seed=seeds[0] if seeds else None,
        release_index=release_index,
        release=release,
        quantize=quantize,
        merge=merge,
        checkpoint_index=checkpoint_index,
        checkpoint=checkpoint,
        resumes=sum(r.type == "resume" for r in records),
        unmatched=sum(int(r.fields.get("unmatched", 0)) for r in records if r.type == "batch"),
    )


def check_consumed(records: Sequence[Record], lineage: Lineage) -> None:
    """Check what the released checkpoint says it had seen against the batches logged before it.

    Raises:
        VerificationError: another number of positions of its epoch, so a checkpoint from before the batches, or abandoned.
    """
    fields = lineage.checkpoint.fields
    before = sum(
        len(r.fields["positions"])
        for i, r in live_batches(records)
        if i < lineage.checkpoint_index and r.fields["epoch"] == fields["epoch"]
    )
    if before != fields["consumed"]:
        raise VerificationError(
            "checkpoint consumed another number of positions than were logged before it",
            where=f"record {lineage.checkpoint_index} epoch {fields['epoch']}",
            expected=before,
            actual=fields["consumed"],
        )


@dataclass(frozen=True)
class EpochUse:
    """What the log says an epoch fed: leaf per position, shape `(count, 32)`; `last_index` is the last batch's index."""

    epoch: int
    consumed: int
    leaves: npt.NDArray[np.uint8]
    last_index: int


def live_batches(records: Sequence[Record]) -> list[tuple[int, Record]]:
    """Batches that no later `resume` abandoned, with their log index."""
    abandoned: set[int] = set()
    for index, record in enumerate(records):
        if record.type == "resume":
            for batch in record.fields["abandons"]:
                if batch >= index:
                    raise VerificationError(
                        "resume abandons a later record", where=f"record {index}", actual=batch
                    )
                abandoned.add(batch)
    return [(i, r) for i, r in enumerate(records) if r.type == "batch" and i not in abandoned]


def epoch_use(
    records: Sequence[Record], epoch: int, count: int, remainder: Sequence[str]
) -> EpochUse:
    """Lay out one epoch's logged batches by position.

    Raises:
        VerificationError: a position twice, outside the epoch or out of turn; or a remainder of the wrong length.
    """
    leaves = np.zeros((count, 32), dtype=np.uint8)
    seen = np.zeros(count, dtype=bool)
    last = 0
    for index, record in live_batches(records):
        fields = record.fields
        if fields["epoch"] != epoch:
            continue
        if len(fields["positions"]) != len(fields["leaves"]):
            raise VerificationError(
                "batch has another number of leaves than of positions",
                where=f"record {index}",
                expected=len(fields["positions"]),
                actual=len(fields["leaves"]),
            )
        for position, leaf in zip(fields["positions"], fields["leaves"], strict=True):
            if position >= count or seen[position]:
                raise VerificationError(
                    "position fed twice or outside the epoch",
                    where=f"record {index}",
                    expected=f"each of 0..{count - 1} once",
                    actual=position,
                )
            if position and not seen[position - 1]:
                raise VerificationError(
                    "position fed out of turn",
                    where=f"record {index}",
                    expected=f"{position - 1} before it",
                    actual=position,
                )
            seen[position] = True
            leaves[position] = np.frombuffer(bytes.fromhex(leaf[2:]), dtype=np.uint8)
        last = max(last, index)
    consumed = int(seen.sum())
    if len(remainder) != count - consumed:
        raise VerificationError(
            "epoch's remainder has the wrong length",
            where=f"epoch {epoch}",
            expected=count - consumed,
            actual=len(remainder),
        )
    for offset, leaf in enumerate(remainder):
        leaves[consumed + offset] = np.frombuffer(bytes.fromhex(leaf[2:]), dtype=np.uint8)
    return EpochUse(epoch, consumed, leaves, last)
