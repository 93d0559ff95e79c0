"""Success without learning is no success: a run that learned nothing stops and says why.

`provenance.allow_empty` lets it go on; its verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance.errors import InputError
from provenance_trainer.model.way_out import HIGHER_OR_EMPTY, LOWER_OR_EMPTY


@dataclass(frozen=True)
class Change:
    """How many of an adapter's pairs (A, B) change the model: a B of zeros changes nothing."""

    changed: int
    adapted: int


def change_of(model: torch.nn.Module) -> Change:
    """The change that an adapter makes, from its B matrices."""
    sides = [p for name, p in model.named_parameters() if ".lora_B." in name]
    return Change(sum(bool(torch.count_nonzero(side)) for side in sides), len(sides))


def require_finite(what: str, value: float) -> None:
    """Check a loss or a perplexity.

    Raises:
        InputError: not a finite number.
    """
    if not math.isfinite(value):
        raise InputError(
            f"{what} is not finite", expected="a number", actual=repr(value), hint=LOWER_OR_EMPTY
        )


def require_change(change: Change) -> None:
    """Check that training changed the adapter.

    Raises:
        InputError: every B is zero, as before training.
    """
    if change.changed == 0:
        raise InputError(
            "training changed nothing: every B of the adapter is zero",
            expected="a change",
            actual=f"0 of {change.adapted} pairs",
            hint=HIGHER_OR_EMPTY,
        )


class LossWatch(TrainerCallback):
    """Stops training whose loss is not finite, and has the last step's loss logged.

    The loss is looked at when it is logged, when a checkpoint is saved and at the end: looking at
    every step would make a GPU wait.
    """

    def __init__(self, finite: Callable[[], bool]) -> None:
        """`finite`: whether every loss so far was."""
        self._finite = finite

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Have the last step logged, whatever `logging_steps` is."""
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the loss.

        Raises:
            InputError: it is not finite.
        """
        self._look(state)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the loss, before the checkpoint is recorded; raises as `on_log`."""
        self._look(state)

    def _look(self, state: TrainerState) -> None:
        if not self._finite():
            raise InputError(
                "loss is not finite",
                where=f"step {state.global_step}",
                expected="a number",
                actual="nan or infinity",
                hint=LOWER_OR_EMPTY,
            )
