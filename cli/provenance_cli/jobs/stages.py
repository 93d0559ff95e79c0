"""A job is a list of stages. Each says whether it is done, what it will cost, and does it.

A job that was killed is run again: stages that are done are skipped, and the job says so. A stage
that was cut off in the middle begins with what it left behind; that is each stage's own promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from provenance.progress import Progress, silent
from provenance_cli.output import note, result, stage


@dataclass(frozen=True)
class Estimate:
    """What a stage will come to. Gas with development keys; seconds on two CPU cores."""

    transactions: int = 0
    gas: int = 0
    seconds: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.transactions + other.transactions,
            self.gas + other.gas,
            self.seconds + other.seconds,
        )

    def to_json(self) -> dict[str, int]:
        """Seconds are rounded: they are no promise."""
        return {
            "transactions": self.transactions,
            "gas": self.gas,
            "seconds": round(self.seconds),
        }


@dataclass(frozen=True)
class Stage:
    """One step of a job.

    is_done: whether there is nothing left to do; asked when all stages before are done.
    run: does it, and returns what was made, in a few words.
    """

    name: str
    is_done: Callable[[], bool]
    run: Callable[[Progress], str]
    estimate: Estimate = field(default_factory=Estimate)


class Relay:
    """Passes sentences to the display of the stage that runs now.

    What lives as long as the job, such as a session with the chain, reports to a relay.
    """

    def __init__(self) -> None:
        self.to: Progress = silent

    def __call__(self, text: str, done: int = 0, total: int | None = None, /) -> None:
        """Pass a report on."""
        self.to(text, done, total)


def run_stages(stages: Sequence[Stage], relay: Relay) -> None:
    """Do what is not done yet, in order; what a stage raises ends the job."""
    for number, step in enumerate(stages, 1):
        label = f"[{number}/{len(stages)}] {step.name}"
        if step.is_done():
            note(f"{label}: done already")
            continue
        with stage(label) as display:
            relay.to = display
            try:
                display.ended = step.run(display)
            finally:
                relay.to = silent


def forecast(stages: Sequence[Stage]) -> Iterator[tuple[Stage, bool]]:
    """Each stage with whether it is done; those after an open one build on it, and are open."""
    is_done = True
    for step in stages:
        is_done = is_done and step.is_done()
        yield step, is_done


def print_forecast(stages: Sequence[Stage], as_json: bool) -> None:
    """The result of `--dry-run`: each stage with its estimate, and the sum of the open ones."""
    rows = list(forecast(stages))
    total = sum((step.estimate for step, is_done in rows if not is_done), Estimate())
    value = {
        "format": "provenance-forecast/1",
        "stages": [_row(step, is_done) for step, is_done in rows],
        "total": total.to_json(),
    }
    width = max(len(step.name) for step, _ in rows)
    lines = [
        f"{step.name:{width}}  {'done already' if is_done else _cost(step.estimate)}"
        for step, is_done in rows
    ]
    lines.append(f"{'total':{width}}  {_cost(total)}")
    result(value, as_json, "\n".join(lines))


def _row(step: Stage, is_done: bool) -> dict[str, Any]:
    return {"stage": step.name, "done": is_done, **step.estimate.to_json()}


def _cost(estimate: Estimate) -> str:
    return (
        f"{estimate.transactions:>4} transactions  {estimate.gas:>13,} gas  "
        f"about {estimate.seconds:,.0f} s"
    )
