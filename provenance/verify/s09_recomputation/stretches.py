"""The training as a verdict tells it, from what this step checked and from nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from provenance.judgement.training import MAX_STRETCHES, Stretch, Training
from provenance.log.graph.segments import Segment
from provenance.text.shown import told
from provenance.verify.protocols import ReplayFacts
from provenance.verify.s09_recomputation.audited import Audited


def training_of(
    segments: Sequence[Segment], needed: int | None, facts: ReplayFacts | None, said: Audited | None
) -> Training:
    """How each segment stands, or each few of them where there are more than a verdict tells.

    Args:
        segments: all of the run, at least one, by a log under the anchored head.
        needed: how many auditors must agree; None if the trust file names none.
        facts: what training again here came to; None if that was not done.
        said: what counts of what auditors signed; None if nothing does.
    """
    size = -(-len(segments) // MAX_STRETCHES)
    rows = [segments[at : at + size] for at in range(0, len(segments), size)]
    here = {} if facts is None else facts.outcomes
    return Training(
        len(segments),
        needed,
        None if said is None else said.drawn_by,
        tuple(_stretch(row, here, said) for row in rows),
    )


def _stretch(row: Sequence[Segment], here: Mapping[int, str], said: Audited | None) -> Stretch:
    numbers = [segment.number for segment in row]
    signed = {} if said is None else said.outcomes
    classes = {name: _count(numbers, each) for name, each in signed.items()}
    return Stretch(
        row[0].first,
        row[-1].last,
        sum(len(segment.batches) for segment in row),
        len(row),
        told(row[-1].ends[-1].fields["path"]),
        _count(numbers, here),
        0 if said is None else len(said.covered.intersection(numbers)),
        {name: counts for name, counts in classes.items() if counts},
    )


def _count(numbers: Sequence[int], outcomes: Mapping[int, str]) -> dict[str, int]:
    """How many of these segments came out in each class; others than these came to nothing."""
    return dict(sorted(Counter(outcomes[n] for n in numbers if n in outcomes).items()))
