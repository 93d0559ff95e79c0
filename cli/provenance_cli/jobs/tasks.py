"""A job is a list of tasks. Each says whether it is done, what it will cost, and does it.

A job that was killed is run again: it skips the tasks that are done, and says so. A task that was
killed halfway finds what it left behind, and either goes on from there or removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from provenance.progress import Progress
from provenance_cli.output import note, result, working


@dataclass(frozen=True)
class Estimate:
    """What a task will cost: gas with development keys, seconds on two CPU cores."""

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
        """For the result of `--dry-run`; seconds are rounded to whole ones."""
        return {
            "transactions": self.transactions,
            "gas": self.gas,
            "seconds": round(self.seconds),
        }


@dataclass(frozen=True)
class Task:
    """One part of a job.

    is_done: whether nothing is left to do; asked only when all tasks before this one are done.
    run: does the work, and returns in a few words what was made.
    """

    name: str
    is_done: Callable[[], bool]
    run: Callable[[Progress], str]
    estimate: Estimate = field(default_factory=Estimate)


def _between(text: str, done: int = 0, total: int | None = None, /) -> None:
    """While no task runs only warnings are shown, such as a wait for an endpoint."""
    if text.startswith("warning"):
        note(text)


class Relay:
    """Passes reports on to the display of the task that runs now.

    An object that outlives one task, such as a session with the chain, reports to a relay.
    """

    def __init__(self) -> None:
        self.to: Progress = _between

    def __call__(self, text: str, done: int = 0, total: int | None = None, /) -> None:
        """As `Progress`."""
        self.to(text, done, total)


def run_tasks(tasks: Sequence[Task], relay: Relay) -> None:
    """Run the tasks that are not done yet, in order. An error of a task ends the job."""
    for number, task in enumerate(tasks, 1):
        label = f"[{number}/{len(tasks)}] {task.name}"
        if task.is_done():
            note(f"{label}: done already")
            continue
        with working(label) as display:
            relay.to = display
            try:
                display.ended = task.run(display)
            finally:
                relay.to = _between


def forecast(tasks: Sequence[Task]) -> Iterator[tuple[Task, bool]]:
    """Each task with whether it is done. All tasks after the first open one are open too."""
    is_done = True
    for task in tasks:
        is_done = is_done and task.is_done()
        yield task, is_done


def print_forecast(tasks: Sequence[Task], as_json: bool) -> None:
    """Print the result of `--dry-run`: each task's estimate, and the sum over the open tasks."""
    rows = list(forecast(tasks))
    total = sum((task.estimate for task, is_done in rows if not is_done), Estimate())
    value = {
        "format": "provenance-forecast/1",
        "tasks": [_row(task, is_done) for task, is_done in rows],
        "total": total.to_json(),
    }
    width = max(len(task.name) for task, _ in rows)
    lines = [
        f"{task.name:{width}}  {'done already' if is_done else _cost(task.estimate)}"
        for task, is_done in rows
    ]
    lines.append(f"{'total':{width}}  {_cost(total)}")
    result(value, as_json, "\n".join(lines))


def _row(task: Task, is_done: bool) -> dict[str, Any]:
    return {"task": task.name, "done": is_done, **task.estimate.to_json()}


def _cost(estimate: Estimate) -> str:
    return (
        f"{estimate.transactions:>4} transactions  {estimate.gas:>13,} gas  "
        f"about {estimate.seconds:,.0f} s"
    )
