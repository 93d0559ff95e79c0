"""Segments that are trained again each by itself, several at a time: on this machine, or on Ray.

Whatever goes wrong with one ends all of them, and its error names segment and machine: a segment
is never missing from what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def replay_each(
    tasks: Sequence[Task], material: Material, say: Say, done: dict[int, Done] | None = None
) -> list[Done]:
    """Train segments again, each by itself, on `material.executor`.

    Args:
        tasks: one for each segment.
        done: is filled with what each came to, by its place in `tasks`: also if an error ends all.

    Returns:
        What each came to, in the order of the tasks.

    Raises:
        ConfigError: no such executor, or Ray is asked for and not installed.
        UnavailableError: the cluster is out of reach, or a machine was lost.
        ProvenanceError: as `replay_apart`, of any of them; it names segment and machine.
    """
    done = {} if done is None else done
    most = local_workers(material.executor)
    if most is not None:
        _here(tasks, material, max(1, most), say, done)
        return in_order(done)
    try:
        from provenance_trainer.replay.on_ray import replay_on_ray  # keeps Ray out until named
    except ModuleNotFoundError as error:
        raise without_ray(error) from error
    return replay_on_ray(tasks, material, say, done)


def in_order(done: Mapping[int, Done]) -> list[Done]:
    """What each task came to, in the order of the tasks."""
    return [done[number] for number in sorted(done)]


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


def _here(
    tasks: Sequence[Task], material: Material, most: int, say: Say, done: dict[int, Done]
) -> None:
    """`most` at a time, each in a process of its own; this thread listens to all of them."""
    left = list(enumerate(tasks))
    running = dict[Connection, tuple[int, Task, Apart]]()
    with ExitStack() as stack:
        while left or running:
            while left and len(running) < most:
                number, task = left.pop(0)
                apart = stack.enter_context(Apart(task, material))
                running[apart.answers] = number, task, apart
            for ready in wait(list(running)):
                number, task, apart = running[cast("Connection", ready)]
                told = _told(task, apart, say)
                if isinstance(told, str):
                    say(told)
                    continue
                if isinstance(told, Task):
                    left.insert(0, (number, told))
                else:
                    done[number] = Done(told)
                del running[apart.answers]
                apart.close()


def _told(task: Task, apart: Apart, say: Say) -> str | Replayed | Task:
    """A line for people, what a task came to, or how it is begun anew."""
    try:
        return apart.told()
    except ProvenanceError as error:
        try:
            return task.anew(error, say)
        except ProvenanceError:
            raise of_segment(error, task) from error
