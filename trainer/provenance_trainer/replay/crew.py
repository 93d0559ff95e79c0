"""Segments that are trained again each by itself, several at a time: on this machine, or on Ray.

Whatever goes wrong with one ends all of them, and its error names segment and machine: a segment
is never missing from what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import cast

from provenance.errors import ProvenanceError
from provenance.progress import Say
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.process import Apart, Material, Task
from provenance_zk.workers.names import local_workers, without_ray


@dataclass(frozen=True)
class Done:
    """What a segment came to, and on which machine; None for this one."""

    made: Replayed
    machine: str | None = None


def replay_each(tasks: Sequence[Task], material: Material, say: Say) -> list[Done]:
    """Train segments again, each by itself, on `material.executor`.

    Args:
        tasks: one for each segment.

    Returns:
        What each came to, in the order of the tasks.

    Raises:
        ConfigError: no such executor, or Ray is asked for and not installed.
        UnavailableError: the cluster is out of reach, or a machine was lost.
        ProvenanceError: as `replay_apart`, of any of them; it names segment and machine.
    """
    most = local_workers(material.executor)
    if most is not None:
        return _here(tasks, material, max(1, most), say)
    try:
        from provenance_trainer.replay.on_ray import replay_on_ray  # keeps Ray out until named
    except ModuleNotFoundError as error:
        raise without_ray(error) from error
    return replay_on_ray(tasks, material, say)


def of_segment(error: ProvenanceError, task: Task, machine: str | None = None) -> ProvenanceError:
    """An error with the segment and the machine that it is about in front of its place."""
    about = f"segment {task.segment.number}" + (f" on {machine}" if machine else "")
    return type(error)(
        error.what,
        where=f"{about}: {error.where}" if error.where else about,
        expected=error.expected,
        actual=error.actual,
        hint=error.hint,
    )


def _here(tasks: Sequence[Task], material: Material, most: int, say: Say) -> list[Done]:
    """`most` at a time, each in a process of its own; this thread listens to all of them."""
    left = list(enumerate(tasks))
    done = dict[int, Done]()
    running = dict[Connection, tuple[int, Apart]]()
    with ExitStack() as stack:
        while left or running:
            while left and len(running) < most:
                number, task = left.pop(0)
                apart = stack.enter_context(Apart(task, material))
                running[apart.answers] = number, apart
            for ready in wait(list(running)):
                number, apart = running[cast("Connection", ready)]
                try:
                    told = apart.told()
                except ProvenanceError as error:
                    raise of_segment(error, tasks[number]) from error
                if isinstance(told, str):
                    say(told)
                else:
                    done[number] = Done(told)
                    del running[apart.answers]
                    apart.close()
    return [done[number] for number in range(len(tasks))]
