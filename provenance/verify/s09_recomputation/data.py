"""What was fed: the batches' tensors, and what the opening record says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.errors import AuthError, InputError, NotFound, ProvenanceError, VerificationError
from provenance.log.fed import FedFacts
from provenance.log.record import Record
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.claims import Stopped, sentence_of
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import UNBOUND, Lineage

_NEEDS = "the dataset with its salts (--with-data FOLDER)"


@dataclass(frozen=True)
class _Batches:
    """How far the batches could be recomputed.

    done: all of them have the logged digests.
    needs: what a full recomputation lacks; None if it was done or failed.
    fault: what contradicts the opening record's word about what is fed.
    """

    done: bool
    needs: str | None = None
    fault: ProvenanceError | None = None


def check_data(case: Case, log: Log, lineage: Lineage) -> FedFacts | None:
    """Make the claims `batches.recomputed` and `data.fed`.

    Returns:
        What the opening record says is fed, whether recomputed or not; None if it says nothing, or
        contradicts itself or the log.
    """
    batches = _check_batches(case, log, lineage)
    return _check_fed(case, lineage, batches)


def _check_batches(case: Case, log: Log, lineage: Lineage) -> _Batches:
    id_, text = "batches.recomputed", "the tensors fed are the tokens of the listed records"
    checker = case.options.data
    if checker is None:
        case.notes.unchecked(id_, text, _NEEDS)
        return _Batches(False, _NEEDS)
    try:
        count = checker.check_batches(log.records)
    except (NotFound, InputError, AuthError) as error:
        # What the caller has is not all there, or cannot be read: that says nothing about the run.
        needs = sentence_of(error) + (f" ({error.hint})" if error.hint else "")
        case.notes.unchecked(id_, text, needs)
        return _Batches(False, needs)
    except VerificationError as error:
        case.notes.fails(id_, error)
        return _Batches(False, "batches that are the tokens of the listed records")
    bound = "" if lineage.binds_files else f"; {UNBOUND}"
    batches = counted(count.recomputed, "batch", "batches")
    done = f"{batches} recomputed from records, tokenizer and salts{bound}"
    if count.undetermined:
        # Never a failure: whoever had to erase a record must not be punished for it.
        erased = f"{count.undetermined} undetermined, since a record or the salt is erased"
        case.notes.unchecked(id_, text, f"{done}; {erased}")
        return _Batches(False, erased, count.fed_fault)
    case.notes.holds(id_, done)
    return _Batches(True, None, count.fed_fault)


def _check_fed(case: Case, lineage: Lineage, batches: _Batches) -> FedFacts | None:
    """What the opening record says is fed. Only a recomputation makes it more than a word."""
    id_, fed = "data.fed", lineage.run_open.fields.get("fed")
    if fed is None:
        case.notes.unchecked(id_, "what is fed of each record", "a log that says it")
        return None
    try:
        with case.notes.guarded(id_):
            facts = FedFacts.read(fed)
            _require_agreement(facts, lineage.run_open)
            if batches.fault is not None:
                raise batches.fault
    except Stopped:
        return None
    said = f"{facts}; {facts.amounts}"
    if batches.done:
        case.notes.holds(id_, f"{said} (recomputed from the records)")
    else:
        text = f"the publisher says, in the record registered before training: {said}"
        case.notes.unchecked(id_, text, batches.needs or _NEEDS)
    return facts


def _require_agreement(facts: FedFacts, opening: Record) -> None:
    """What is said to be fed agrees with the dataset and the configuration of the same record.

    Raises:
        InputError: names the first thing that does not.
    """
    count, config = opening.fields["dataset"]["count"], opening.fields["config"]  # read by the fold
    counts, column = facts.counts, config.get("dataset_text_field")
    for name, holds, expected, actual in (
        ("records", 0 < counts["records"] <= count, f"at most {count}", counts["records"]),
        ("loss", facts.loss in _losses(config), " or ".join(_losses(config)), facts.loss),
        ("columns", column in (None, *facts.columns), column, ", ".join(facts.columns)),
        (
            "max_length",
            counts["max_length"] == config.get("max_length", counts["max_length"]),
            config.get("max_length"),
            counts["max_length"],
        ),
    ):
        if not holds:
            raise InputError(
                "what is said to be fed contradicts the same record",
                where=f"run.open fed.{name}",
                expected=expected,
                actual=actual,
            )


def _losses(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The tokens on which a configuration may put the loss (docs/data.md)."""
    if config.get("assistant_only_loss") is True:
        return ("assistant",)
    completion = config.get("completion_only_loss")
    if completion is None:
        return ("all", "completion")
    return ("completion",) if completion else ("all",)
