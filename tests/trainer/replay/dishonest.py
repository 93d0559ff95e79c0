"""Publishers who cheat within a real run: each changes how the model is trained, and lets the
recorder log what an honest run would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback

from provenance_trainer.run.train import PreparedRun

CHEATED = 4  # the step, in the second segment of three


@dataclass
class At(TrainerCallback):
    """Calls what cheats at one moment of the cheated step."""

    moment: str
    act: Callable[[Any], None]
    step: int = CHEATED

    def _maybe(self, moment: str, step: int, kwargs: Any) -> None:
        if moment == self.moment and step == self.step:
            self.act(kwargs)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._maybe("begin", state.global_step + 1, kwargs)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._maybe("before", state.global_step + 1, kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._maybe("end", state.global_step, kwargs)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._maybe("saved", state.global_step, kwargs)


def _nudge(model: Any, part: str = "lora_B", by: float = 1e-6) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if part in name:
                parameter.add_(by)


def _inputs(run: PreparedRun, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the model gets, behind the recorder's hook."""
    handles: list[Any] = []

    def hook(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if module.training:
            change(kwargs)
        return args, kwargs

    def begin(kwargs: Any) -> None:
        handles.append(kwargs["model"].register_forward_pre_hook(hook, with_kwargs=True))

    run.trainer.add_callback(At("begin", begin))
    run.trainer.add_callback(At("end", lambda kwargs: handles.pop().remove()))


def other_data(run: PreparedRun) -> None:
    def change(kwargs: dict[str, Any]) -> None:
        kwargs["input_ids"] = kwargs["input_ids"].roll(1, dims=0)
        kwargs["labels"] = kwargs["labels"].roll(1, dims=0).clone()
        kwargs["labels"][0] = -100

    _inputs(run, change)


def other_labels(run: PreparedRun) -> None:
    def change(kwargs: dict[str, Any]) -> None:
        kwargs["labels"] = kwargs["labels"].clone()
        kwargs["labels"][:, :4] = -100

    _inputs(run, change)


def an_extra_step(run: PreparedRun) -> None:
    def act(kwargs: Any) -> None:
        model, optimizer = kwargs["model"], kwargs["optimizer"]
        model.eval()  # the recorder looks at training only
        ids = torch.tensor([[5, 6, 7, 8]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.train()

    run.trainer.add_callback(At("end", act))


def a_batch_twice(run: PreparedRun) -> None:
    def act(kwargs: Any) -> None:
        for group in kwargs["optimizer"].param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(1.5)

    run.trainer.args.max_grad_norm = 0.0  # else clipping hides a factor
    run.trainer.add_callback(At("before", act))


def other_rate(run: PreparedRun) -> None:
    def act(kwargs: Any) -> None:
        for group in kwargs["optimizer"].param_groups:
            group["lr"] *= 2

    run.trainer.add_callback(At("begin", act))


def no_dropout(run: PreparedRun) -> None:
    def act(kwargs: Any) -> None:
        for module in kwargs["model"].modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0

    run.trainer.add_callback(At("begin", act))


def edited_weights(run: PreparedRun) -> None:
    run.trainer.add_callback(At("end", lambda kwargs: _nudge(kwargs["model"]), CHEATED - 1))


def edited_optimizer(run: PreparedRun) -> None:
    def act(kwargs: Any) -> None:
        for state in kwargs["optimizer"].optimizer.state.values():
            state["exp_avg"].mul_(0.5)

    run.trainer.add_callback(At("end", act, CHEATED - 1))


def edited_after_the_last_step(run: PreparedRun) -> None:
    run.trainer.add_callback(At("saved", lambda kwargs: _nudge(kwargs["model"], by=0.01), 6))


def other_base(run: PreparedRun) -> None:
    _nudge(run.model, "base_layer", 1e-4)


def other_start(run: PreparedRun) -> None:
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if "lora_A" in name:
                torch.nn.init.kaiming_uniform_(parameter, a=5**0.5)


def other_random_state(run: PreparedRun) -> None:
    run.trainer.add_callback(At("begin", lambda kwargs: torch.manual_seed(9)))


WAYS: dict[str, tuple[Callable[[PreparedRun], None], int]] = {
    "other data": (other_data, 1),
    "other labels": (other_labels, 1),
    "an extra step": (an_extra_step, 1),
    "gradients weighed more": (a_batch_twice, 1),
    "another learning rate": (other_rate, 1),
    "no dropout": (no_dropout, 1),
    "another random state": (other_random_state, 1),
    "weights edited": (edited_weights, 1),
    "optimizer edited": (edited_optimizer, 1),
    "edited after the last step": (edited_after_the_last_step, 2),
    "another base": (other_base, 0),
    "another start": (other_start, 0),
}
"""name -> (what cheats, the first segment that does not come out as logged)."""
