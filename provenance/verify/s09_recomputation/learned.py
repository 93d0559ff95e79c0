"""Whether training changed the model. Losses are the log's word; nothing here can check them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from provenance.errors import VerificationError
from provenance.log.fed import FedFacts
from provenance.verify.at_hand import logged_beside
from provenance.verify.case import Case
from provenance.verify.claims import Stopped
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage

_LOSSES = ("loss_first", "loss_last")
_PAIRS = ("tensors_changed", "tensors_adapted")


def check_learned(case: Case, log: Log, lineage: Lineage, fed: FedFacts | None) -> None:
    """Make the claim `training.learned`.

    Whatever shows that nothing was learned makes it fail, also where the log leaves out the rest.
    """
    id_, text, close = "training.learned", "training changed the model", lineage.history.close
    summary = {} if close is None else close.fields["summary"]
    try:
        with case.notes.guarded(id_):
            losses = [_loss(summary, name) for name in _LOSSES]
            logged = _pairs(summary)
            counted = _count_changed(case, log, lineage)
            _require_learned(lineage, fed, logged, counted)
    except Stopped:
        return
    pairs = counted or logged
    if fed is None or pairs is None or None in losses:
        case.notes.unchecked(id_, text, "a log that says what training changed")
        return
    by = "by the log" if counted is None else "counted in the adapter"
    first, last = losses
    case.notes.holds(
        id_,
        f"loss {first:.4f} -> {last:.4f} by the log, {fed.counts['predicted']} tokens to predict "
        f"in each epoch by the log, {pairs[0]} of {pairs[1]} adapter pairs changed ({by}), merged "
        "weights differ from the base",
    )


def _loss(summary: Mapping[str, Any], name: str) -> float | None:
    """A loss as the log says it; None if it says none.

    Raises:
        VerificationError: it is not a finite number.
    """
    if name not in summary:
        return None
    value = summary[name]
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise VerificationError(
            "loss is not a finite number",
            where=f"run.close {name}",
            expected="a number",
            actual=f"{value!r:.40}",
        )
    return number


def _pairs(summary: Mapping[str, Any]) -> tuple[int, int] | None:
    """(adapter pairs that training changed, all pairs) as the log says; None if it does not."""
    changed, adapted = (summary.get(name) for name in _PAIRS)
    if type(changed) is not int or type(adapted) is not int:
        return None
    return changed, adapted


def _count_changed(case: Case, log: Log, lineage: Lineage) -> tuple[int, int] | None:
    """(pairs that change the model, all pairs) of the logged adapter; None if it is not at hand."""
    inspector = case.verifier.inspector
    if inspector is None:
        return None
    adapter = logged_beside(case, lineage.folder("adapter"), log.evidence.adapter())
    return None if adapter is None else inspector.changed_pairs(adapter)


def _require_learned(
    lineage: Lineage,
    fed: FedFacts | None,
    logged: tuple[int, int] | None,
    counted: tuple[int, int] | None,
) -> None:
    if counted is not None and logged is not None and counted != logged:
        raise VerificationError(
            "adapter changes another number of tensors than the log says",
            where="run.close tensors_changed",
            expected=f"{counted[0]} of {counted[1]}",
            actual=f"{logged[0]} of {logged[1]}",
        )
    merge, pairs = lineage.merge.fields, counted or logged
    for what, where, holds in (
        (
            "no token was to be predicted",
            "run.open fed.predicted",
            fed is None or fed.counts["predicted"] > 0,
        ),
        ("adapter changes nothing: every B is zero", "run.close", pairs is None or pairs[0] > 0),
        ("merged weights equal the base", "merge", merge["merged"] != merge["base"]),
    ):
        if not holds:
            raise VerificationError(f"training learned nothing: {what}", where=where)
