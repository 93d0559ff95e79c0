"""Segments that are trained again on a Ray cluster, or on a Ray that runs on this machine only.

Each segment is an actor of its own, which trains it in the same fresh process as `--executor local`
does. The cluster is the auditor's own: it gets the records of the dataset, and what it found is
believed. Every machine must see the run's folders, the dataset and the base under the same paths,
and the key of the salts in the folder of the settings.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from provenance.errors import InternalError, NotFound, ProvenanceError, UnavailableError
from provenance.progress import Say, silent
from provenance_trainer.record.determinism import threads_of
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.crew import Done, in_order, of_segment
from provenance_trainer.replay.process import Material, Task, end_all, replay_apart
from provenance_trainer.replay.reach import is_logged
from provenance_zk.workers.names import RAY_HERE
from provenance_zk.workers.ray_cluster import connect

_SAID_S, _STOP_S = 10.0, 30.0  # an actor that is just being started stops only then
_KILLS_ALL = "kill_child_processes_on_worker_exit"  # else what trains cannot delete its folder
_AT_ONCE = 2  # an actor trains, and is told to stop
_MAIN = threading.main_thread()


class Machine:
    """The actor: trains one segment again on its machine."""

    def __init__(self) -> None:
        # Ray sets it for its own workers. The process that trains is told its threads otherwise.
        os.environ.pop("OMP_NUM_THREADS", None)

    def name(self) -> str:
        """How the machine is called, and its address in the cluster."""
        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return f"{socket.gethostname()} ({address})"

    def stop(self) -> None:
        """End what is trained, and delete its folder, which has copies of salts.

        Ray kills an actor with all processes that it started, so none of them could do it.
        """
        end_all()

    def replay(self, task: Task, material: Material) -> Replayed | ProvenanceError:
        """What the segment came to, or the error that ended it.

        Errors are returned, since Ray would wrap an exception.
        """
        try:
            _require_here(task, material)
            return replay_apart(task, material, silent)
        except ProvenanceError as error:
            return error
        except Exception as error:
            return InternalError("replay failed", actual=f"{type(error).__name__}: {error}")


def _require_here(task: Task, material: Material) -> None:
    """Check that this machine sees what the segment is trained from.

    Raises:
        NotFound: a folder is not here, or the checkpoint to begin with is not as logged: this says
            something about the machine, and nothing about the run.
    """
    for folder in (material.dataset, *task.folders):
        if not folder.is_dir():
            raise NotFound(
                "this machine lacks a folder",
                where=str(folder),
                hint="every machine must see it under the same path",
            )
    said = list[str]()
    start = task.segment.start
    if start is not None and not is_logged(task.folders[0], start, said.append):
        raise NotFound(
            "this machine has not the checkpoint that training begins with",
            where=str(task.folders[0]),
            actual=said[0],
        )


@dataclass
class _Running:
    """A segment on its way: number in the order of tasks, actor, and the names of both answers."""

    number: int
    actor: Any
    name: Any
    made: Any

    def machine(self) -> str:
        """The machine that it runs on, as far as that is known."""
        try:
            return str(ray.get(self.name, timeout=_SAID_S))
        except RayError:
            return "a machine of the cluster that did not say its name"


def replay_on_ray(
    tasks: Sequence[Task],
    material: Material,
    say: Say,
    done: dict[int, Done] | None = None,
    **options: Any,
) -> list[Done]:
    """As `replay_each`, with one actor for each task, as many at a time as there is room for.

    Args:
        options: further arguments of `ray.init`.
    """
    done = {} if done is None else done
    with _cluster(material.executor, **options) as cores:
        crew = _Crew(tasks, material, cores, say)
        try:
            crew.work(done)
            return in_order(done)
        finally:
            crew.stop()


@contextmanager
def _cluster(address: str, **options: Any) -> Iterator[list[int]]:
    """A connection; gives the processors of each machine."""
    if address == RAY_HERE:
        options = {"_system_config": {_KILLS_ALL: False}, **options}
    ours, is_main = signal.getsignal(signal.SIGTERM), threading.current_thread() is _MAIN
    connect(address, **options)
    try:
        if is_main and callable(ours):  # Ray has put its own, which ends its processes at once
            signal.signal(signal.SIGTERM, ours)
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        yield [int(node["Resources"].get("CPU", 0)) for node in nodes]
    finally:
        ray.shutdown()


class _Crew:
    """The actors of one replay."""

    def __init__(
        self, tasks: Sequence[Task], material: Material, cores: Sequence[int], say: Say
    ) -> None:
        """cores: of each machine of the cluster."""
        self._tasks, self._material, self._say = tasks, material, say
        threads = threads_of(tasks[0].opening.fields["environment"]) or 1
        # No machine may have as many as the run had: it is trained with as many threads, slower.
        self._cpus = max(1, min(threads, max(cores, default=1)))
        self._room = max(1, sum(each // self._cpus for each in cores))
        self._running: list[_Running] = []

    def work(self, done: dict[int, Done]) -> None:
        """Train all, and fill `done`; raises the first error."""
        left = list(range(len(self._tasks)))
        while left or self._running:
            while left and len(self._running) < self._room:
                self._start(left.pop(0))
            ready, _ = ray.wait([each.made for each in self._running])
            (ended,) = (each for each in self._running if each.made == ready[0])
            done[ended.number] = self._result(ended)
            self._running.remove(ended)
            _kill(ended.actor)

    def stop(self) -> None:
        """End what still runs, with the folders of the processes that train."""
        asked = [each.actor.stop.remote() for each in self._running]
        if asked:  # of all that still answer: one may be lost
            ray.wait(asked, num_returns=len(asked), timeout=_STOP_S)
        for each in self._running:
            _kill(each.actor)

    def _start(self, number: int) -> None:
        task = self._tasks[number]
        machine: Any = ray.remote(num_cpus=self._cpus, max_restarts=0)(Machine)
        actor = machine.options(max_concurrency=_AT_ONCE).remote()
        name = actor.name.remote()  # first: it is answered before training begins
        self._running.append(
            _Running(number, actor, name, actor.replay.remote(task, self._material))
        )
        self._say(f"segment {task.segment.number}: given to Ray")

    def _result(self, ended: _Running) -> Done:
        task = self._tasks[ended.number]
        try:
            made = ray.get(ended.made)
        except RayActorError as lost:
            raise _lost("the machine was lost", ended, task, lost) from lost
        except RayError as failed:
            raise _lost("the machine failed", ended, task, failed) from failed
        machine = ended.machine()
        if isinstance(made, ProvenanceError):
            raise of_segment(made, task, machine)
        self._say(f"segment {task.segment.number}: done on {machine}")
        return Done(made, machine)


def _lost(what: str, ended: _Running, task: Task, cause: Exception) -> ProvenanceError:
    error = UnavailableError(
        f"{what} before the segment was trained again",
        actual=" ".join(str(cause).split())[:300],
        hint="give the same command again, or train on this machine: --executor local",
    )
    return of_segment(error, task, ended.machine())


def _kill(actor: Any) -> None:
    with suppress(RayError):  # it is dead already
        ray.kill(actor)
