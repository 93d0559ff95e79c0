"""What a draw detects: the smallest fraction of tampered blocks that it will hardly miss.

Source: docs/formats/statements.md, "Anchorings, draws".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from provenance.artifacts.tensors import TensorTable
from provenance_zk.weights.samples import draw_count


@dataclass(frozen=True)
class Detection:
    """What a draw detects.

    An owner may anchor a stage several times and show the luckiest draw. So the probability to miss
    is multiplied by the number of anchorings.

    Attributes:
        worst: the tensor with the fewest draws.
        draws: how many draws it has.
        anchorings: how often the stage was anchored.
        at_95: fraction of this tensor's blocks from which on tampering is caught with a probability
            of 95 %; 1.0 means that no smaller fraction is.
        at_99: as `at_95`, with 99 %.
        overall_99: as `at_99`, as a fraction of all blocks.
    """

    worst: str
    draws: int
    anchorings: int
    at_95: float
    at_99: float
    overall_99: float


def detection(table: TensorTable, draws: int, slots: int, anchorings: int) -> Detection:
    """What a draw over a table detects, in its worst tensor and in all of it.

    Args:
        table: the merged table.
        draws: blocks drawn in all, before rounding up in each tensor.
        slots: blocks that one proof opens.
        anchorings: how often the stage was anchored.
    """
    total = table.blocks
    counts = [draw_count(tensor.blocks, total, draws, slots) for tensor in table.tensors]
    least = min(range(table.size), key=lambda t: counts[t])
    return Detection(
        table.tensors[least].name,
        counts[least],
        anchorings,
        detectable(counts[least], 0.95, anchorings),
        detectable(counts[least], 0.99, anchorings),
        detectable(sum(counts), 0.99, anchorings),
    )


def detectable(draws: int, probability: float, anchorings: int = 1) -> float:
    """Smallest fraction f with anchorings * (1-f)^draws <= 1 - probability, at most 1.0."""
    return min(1.0, 1.0 - math.exp(math.log((1 - probability) / anchorings) / draws))
