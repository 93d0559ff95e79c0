"""How far weights that were trained again agree with those of the log.

    exact      weights, optimizer, scheduler and random generators have the logged bits
    close      the weights are within `BOUND` of the logged ones
    unknown    other bits, but how far off is not known: the logged weights are not at hand, only
               the states beside equal weights differ, or the log leaves one out
    different  the weights are farther off

The distance is that of replayed and logged weights, in lengths of the way that the segment went.
1 is the distance of an adapter that the segment did not train at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from provenance.errors import InputError
from provenance.log.audit.agreement import Agreement
from provenance.log.history import Placed
from provenance.text.shown import told
from provenance_trainer.record.checkpoints import ADAPTER_WEIGHTS, CheckpointDigests

BOUND = 0.01
"""The largest distance that counts as `close`: a hundredth of the segment's way."""
_PARTS = ("weights", "optimizer", "scheduler", "rng")

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Distance:
    """Of replayed and logged weights.

    way: in lengths of the way from the segment's start to the logged weights; infinite where these
        are other tensors than training makes, are not finite, or did not move at all.
    ulp: the largest of a single weight, in steps of float32 between neighbours; 0 if `way` is
        infinite.
    """

    way: float
    ulp: int

    def __str__(self) -> str:
        if not math.isfinite(self.way):
            return (
                "beyond all bounds: the logged weights are other tensors, are not finite, or are "
                "those that the segment began with"
            )
        return (
            f"{self.way:.2g} of the way that the segment went, at most {self.ulp:,} ulp; an "
            f"untrained adapter is at 1, the bound is {BOUND}"
        )


@dataclass(frozen=True)
class Comparison:
    """A checkpoint of the log with what was trained again.

    index: of its record. name: its folder's.
    differs: parts whose bits are not the logged ones.
    distance: None if the bits are equal or the logged weights are not at hand.
    """

    index: int
    step: int
    name: str
    agreement: Agreement
    differs: tuple[str, ...] = ()
    distance: Distance | None = None

    def to_json(self) -> dict[str, Any]:
        """For programs; numbers that are no integers are text."""
        found: dict[str, Any] = {
            "record": self.index,
            "step": self.step,
            "name": self.name,
            "class": self.agreement.value,
            "differs": list(self.differs),
        }
        if self.distance is not None:
            found |= {"distance": repr(self.distance.way), "ulp": self.distance.ulp}
        return found

    def __str__(self) -> str:
        what = f"{told(self.name)} (record {self.index}): {self.agreement}"
        if self.agreement is Agreement.EXACT:
            return what
        how = f"other {', '.join(self.differs)}"
        return f"{what}; {how}; {self.distance or 'how far off is not known'}"


def compare(placed: Placed, made: CheckpointDigests, distance: Distance | None) -> Comparison:
    """A checkpoint that was trained again with the record of the logged one.

    Args:
        placed: the record (attacker-controlled).
        distance: of the weights, if the logged ones are at hand.
    """
    differs = tuple(part for part in _PARTS if _differs(placed, made, part))
    agreement = Agreement.EXACT
    if differs:
        agreement = Agreement.UNKNOWN if distance is None else _class_of(distance)
    fields = placed.fields
    distance = distance if differs else None
    return Comparison(
        placed.index, fields["step"], fields["path"][:80], agreement, differs, distance
    )


def _class_of(distance: Distance) -> Agreement:
    return Agreement.CLOSE if distance.way <= BOUND else Agreement.DIFFERENT


def _differs(placed: Placed, made: CheckpointDigests, part: str) -> bool:
    """Whether a part has other bits than the record names.

    A part that the record leaves out is another one: the next segment begins with it, and nothing
    else says what it was.
    """
    again = getattr(made, part)
    return placed.fields.get(part) != (None if again is None else str(again))


def load_weights(folder: Path) -> Weights:
    """The adapter of a folder whose digest was compared before, by tensor, as float32.

    Raises:
        InputError: no safetensors file, or a tensor of another type than float32 and bfloat16.
    """
    file = folder / ADAPTER_WEIGHTS
    try:
        found = load_file(file)
    except Exception as error:
        raise InputError("cannot read weights", where=str(file), actual=error) from error
    if any(value.dtype not in (torch.float32, torch.bfloat16) for value in found.values()):
        raise InputError("weights are neither float32 nor bfloat16", where=str(file))
    return {name: value.float().numpy() for name, value in found.items()}


def distance_of(made: Weights, logged: Weights, start: Weights) -> Distance | None:
    """How far apart weights are that have not the same bits; None if those made are not finite.

    Args:
        logged: attacker-controlled.
        start: the weights that the segment began with.
    """
    if not all(np.isfinite(mine).all() for mine in made.values()):
        return None
    beyond = Distance(math.inf, 0)
    if made.keys() != logged.keys():
        return beyond
    apart = way = 0.0
    ulp = 0
    for name, mine in made.items():
        theirs, first = logged[name], start[name]
        if mine.shape != theirs.shape:
            return beyond
        apart += float(np.square(mine.astype(np.float64) - theirs).sum())
        way += float(np.square(first.astype(np.float64) - theirs).sum())
        ulp = max(ulp, int(np.abs(_ordered(mine) - _ordered(theirs)).max(initial=0)))
    if not np.isfinite(apart + way) or way == 0.0:
        return beyond
    return Distance(float(np.sqrt(apart / way)), ulp)


def _ordered(values: np.ndarray) -> np.ndarray:
    """Float32 as integers in the order of the numbers, neighbours one apart."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
