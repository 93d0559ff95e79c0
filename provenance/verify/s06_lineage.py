"""Step 6: the records from dataset to released file, each linked to the next by a digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.errors import VerificationError
from provenance.judgement.verdict import Edge, Grade
from provenance.log.record import Record
from provenance.verify.case import Case
from provenance.verify.s04_log import Log
from provenance.verify.s05_history import live_batches


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
class Lineage:
    """The records on the way to one release."""

    run_open: Record
    checkpoint: Placed
    merge: Placed
    quantize: Placed
    release: Placed


def check_lineage(case: Case, log: Log, run_open: Record) -> Lineage:
    """Digests link dataset, checkpoint, adapter, merged weights and file; no batch is unmatched.

    Raises:
        Stopped: a link is missing, or two records contradict each other.
    """
    report, records = case.report, log.records
    with report.guarded("lineage.complete"):
        lineage = _walk(records, run_open, Placed(log.claim.index, records[log.claim.index]))
        _check_consumed(records, lineage.checkpoint)
        report.name = lineage.release.fields["name"]
        report.edges += _edges(lineage)
        _check_matched(records)
    resumes = sum(r.type == "resume" for r in records)
    report.holds(
        "lineage.complete",
        f"dataset, checkpoint (record {lineage.checkpoint.index}), adapter, merged weights and "
        f"file are linked by digest{f', {resumes} resumes' if resumes else ''}",
    )
    return lineage


def _walk(records: Sequence[Record], run_open: Record, release: Placed) -> Lineage:
    """Follow digests back from the release."""
    if release.record.type != "release":
        raise VerificationError(
            "record is not a release",
            where=f"record {release.index}",
            expected="release",
            actual=release.record.type,
        )
    quantize = _last(records[: release.index], "quantize", "file", release.fields["model"])
    merge = _last(records[: quantize.index], "merge", "merged", quantize.fields["source"])
    checkpoint = _last(records[: merge.index], "checkpoint", "weights", merge.fields["adapter"])
    base = run_open.fields["base"].get("content")
    if base != merge.fields["base"]:
        raise VerificationError(
            "merge used another base model than the run was opened for",
            where=f"record {merge.index}",
            expected=base,
            actual=merge.fields["base"],
        )
    seeds = sum(r.type == "seed" for r in records)
    if seeds > 1:
        raise VerificationError("log holds more than one seed", expected=1, actual=seeds)
    return Lineage(run_open, checkpoint, merge, quantize, release)


def _last(records: Sequence[Record], type_: str, field: str, wanted: str) -> Placed:
    """The last record of a type whose `field` has this value."""
    for index in range(len(records) - 1, -1, -1):
        record = records[index]
        if record.type == type_ and record.fields.get(field) == wanted:
            return Placed(index, record)
    raise VerificationError(
        "log lacks a record on the way to the release",
        where=type_,
        expected=f"{field}={wanted}",
    )


def _check_consumed(records: Sequence[Record], checkpoint: Placed) -> None:
    """The checkpoint consumed as many positions of its epoch as were logged before it."""
    fields = checkpoint.fields
    before = sum(
        len(r.fields["positions"])
        for i, r in live_batches(records)
        if i < checkpoint.index and r.fields["epoch"] == fields["epoch"]
    )
    if before != fields["consumed"]:
        raise VerificationError(
            "checkpoint consumed another number of positions than were logged before it",
            where=f"record {checkpoint.index} epoch {fields['epoch']}",
            expected=before,
            actual=fields["consumed"],
        )


def _check_matched(records: Sequence[Record]) -> None:
    unmatched = sum(int(r.fields.get("unmatched", 0)) for r in records if r.type == "batch")
    if unmatched:
        raise VerificationError(
            "tensors were fed that match no listed records",
            where="batch records",
            expected=0,
            actual=unmatched,
        )


def _edges(lineage: Lineage) -> list[Edge]:
    """The edges with the grades that the records alone give; later steps raise the grades."""
    opening, merge, quantize = (
        lineage.run_open.fields,
        lineage.merge.fields,
        lineage.quantize.fields,
    )
    base, adapter, merged = merge["base"], merge["adapter"], merge["merged"]
    dataset, name = f"dataset {opening['dataset'].get('root')}", opening["base"].get("name")
    return [
        Edge("trained_on", dataset, adapter, Grade.ANCHORED),
        Edge("finetuned_from", base, adapter, Grade.ANCHORED, name),
        Edge("merged_from", adapter, merged, Grade.DECLARED),
        Edge("merged_from", base, merged, Grade.DECLARED),
        Edge("quantized_from", merged, quantize["file"], Grade.DECLARED, quantize["quantization"]),
    ]
