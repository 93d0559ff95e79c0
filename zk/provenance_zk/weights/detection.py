"""What a draw detects: from which fraction of tampered blocks on it is unlikely to miss all.

Source: docs/formats/statements.md, "Anchorings, draws".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from provenance.artifacts.tensors import TensorTable
from provenance_zk.weights.samples import draw_count


@dataclass(frozen=True)
class Detection:
    """What a draw detects. Misses are multiplied by the number of anchorings.

    Attributes:
        worst: the tensor with the fewest draws per block, and `draws` how many it has.
        at_95: fraction of its blocks from which tampering is caught with 95 %; 1.0 means not even
            in full. `at_99` is the same with 99 %.
        overall_99: as `at_99`, of all blocks.
    """

    worst: str
    draws: int
    anchorings: int
    at_95: float
    at_99: float
    overall_99: float


def detection(table: TensorTable, draws: int, slots: int, anchorings: int) -> Detection:
    """Detection of the worst tensor, and of a fraction of all blocks in proportion to size."""
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
    """Smallest f with anchorings * (1-f)^draws <= 1 - probability; 1.0 if there is none below."""
    return min(1.0, 1.0 - math.exp(math.log((1 - probability) / anchorings) / draws))
