"""Training a segment again in a fresh process, which nothing that ran before has touched."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from transformers.utils import logging

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_key
from provenance.errors import InputError, InternalError, NotFound, ProvenanceError
from provenance.log.graph.segments import Segment
from provenance.log.record import Record
from provenance.progress import Say
from provenance.settings import Settings
from provenance_trainer.model.base import load_base
from provenance_trainer.record.determinism import devices_of, variables_of
from provenance_trainer.replay.again import Replayed, Work, replay_segment
from provenance_zk.training.opened import recomputation

_CONTEXT = multiprocessing.get_context("spawn")
_WORK, _TEMPORARY = "work", "tmp"
_ENDED = 128 + signal.SIGTERM
_WRITTEN_S, _PAUSE_S = 20.0, 0.05


@dataclass(frozen=True)
class Material:
    """What an auditor has: the committed dataset with its salts, and the base by name or folder.

    executor: where segments are trained again (`provenance_zk.workers.names`). `local`: one after
        the other, those in a row as one training. All others: each by itself.
    """

    dataset: Path
    base: str
    settings: Settings
    executor: str = "local"


@dataclass(frozen=True)
class Task:
    """A segment to train again. opening, seed, segment: of the log (attacker-controlled).

    folders: of the run, the one with the starting checkpoint first.
    instead: the same from the seed on; None if it begins with the seed.
    refused: the folder of the checkpoint that training could not begin with, if it was tried.
    """

    opening: Record
    seed: bytes
    segment: Segment
    folders: Sequence[Path]
    instead: Segment | None = None
    refused: str | None = None

    def anew(self, error: ProvenanceError, say: Say) -> Task:
        """The same from the seed on, after an error in training that began with a checkpoint.

        The log names what is in the checkpoint, so its publisher may have made one that nobody can
        go on from. That costs time, and hides no segment.

        Raises: the error, where training began with the seed, or the error is about the log.
        """
        start, kinds = self.segment.start, (NotFound, InputError, InternalError)
        if start is None or self.instead is None or not isinstance(error, kinds):
            raise error
        say(f"{self.segment}: {error}: training begins with the seed")
        refused = str(start.fields["path"])
        return replace(self, segment=self.instead, instead=None, refused=refused)


class Apart:
    """A process that trains a segment again, and the folder that it writes into.

        with Apart(task, material) as apart:
            while isinstance(told := apart.told(), str):
                print(told)

    Both are gone when it is closed. If this process is killed, the other one ends by itself.
    """

    def __init__(self, task: Task, material: Material) -> None:
        self._task, self._material = task, material
        self._stack = ExitStack()

    def __enter__(self) -> Apart:
        with ExitStack() as stack:  # whatever ends this halfway leaves nothing behind
            scratch = Path(tempfile.mkdtemp(prefix="provenance-replay-"))
            stack.callback(_delete, scratch)
            self.answers, theirs = _CONTEXT.Pipe(duplex=False)
            stack.callback(self.answers.close)
            arguments = (self._task, self._material, scratch, theirs)
            self._process = _CONTEXT.Process(target=_work, args=arguments, daemon=True)
            stack.callback(self._end)
            said = self._task.opening.fields["environment"]
            with _environment(variables_of(said) | devices_of(said)):
                self._process.start()
            theirs.close()
            self._stack = stack.pop_all()
        try:
            _OPEN.add(self)
        except NotFound:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if it still runs, and delete its folder."""
        self._stack.close()
        _OPEN.discard(self)

    def _end(self) -> None:
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()

    def told(self) -> str | Replayed:
        """What the process says next: a line for people, or its result.

        Raises: what `replay_segment` raises, and NotFound if the process ended without a result.
        """
        try:
            told = self.answers.recv()
        except EOFError as error:
            self._process.join()
            raise NotFound(
                "the process that trains again ended without a result",
                where=str(self._task.segment),
                actual=f"exit code {self._process.exitcode}",
                hint="is there enough memory?",
            ) from error
        if isinstance(told, ProvenanceError):
            raise told
        if isinstance(told, Replayed):
            return replace(told, refused=self._task.refused)
        return str(told)


class _Open:
    """What is open in this process, so that another thread can end all of it."""

    def __init__(self) -> None:
        self._all, self._ended, self._lock = set[Apart](), False, threading.Lock()

    def add(self, apart: Apart) -> None:
        """From now on `end` ends it; raises NotFound if all were ended before."""
        with self._lock:
            if self._ended:
                raise NotFound("training again was ended")
            self._all.add(apart)

    def discard(self, apart: Apart) -> None:
        """It has ended."""
        with self._lock:
            self._all.discard(apart)

    def end(self) -> None:
        """End all, with their folders; none begins any more."""
        with self._lock:
            self._ended, each = True, list(self._all)
        for apart in each:
            apart.close()


_OPEN = _Open()


def end_all() -> None:
    """End every process of this one that trains again, and delete their folders, for good.

    For a process that is about to be killed: its own are killed with it, and delete nothing.
    """
    _OPEN.end()


def replay_apart(task: Task, material: Material, say: Say) -> Replayed:
    """Train a segment again in a process of its own; raises what `Apart.told` raises.

    With a checkpoint that it cannot begin with, it begins with the seed, in another process.
    """
    try:
        return _apart(task, material, say)
    except ProvenanceError as error:
        again = task.anew(error, say)
    return _apart(again, material, say)


def _apart(task: Task, material: Material, say: Say) -> Replayed:
    with Apart(task, material) as apart:
        while isinstance(told := apart.told(), str):
            say(told)
        return told


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """While it lasts, SIGTERM ends this process as `sys.exit` does: what was begun is cleaned up.

    It changes nothing outside the main thread, or where the caller handles the signal.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    came = threading.Event()

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the cleaning up
        came.set()
        sys.exit(_ENDED)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit as error:
        if came.is_set():  # Ray makes another code of it
            raise SystemExit(_ENDED) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for a process that is started meanwhile."""
    kept = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(task: Task, material: Material, scratch: Path, answers: Connection) -> None:
    """The fresh process: sends lines for people, then the result or the error."""
    gc.freeze()  # the Trainer collects garbage; the objects of libraries are none
    threading.Thread(target=_follow_parent, args=(scratch,), daemon=True).start()
    # Whoever ends this process deletes one folder: also what others write for a while is in it,
    # such as the prover's copy of salts.
    for name in (_WORK, _TEMPORARY):
        (scratch / name).mkdir()
    tempfile.tempdir = os.environ["TMPDIR"] = str(scratch / _TEMPORARY)
    try:
        answers.send(_replayed(task, material, scratch / _WORK, answers.send))
    except ProvenanceError as error:
        answers.send(error)
    except Exception as error:
        answers.send(InternalError("replay failed", actual=f"{type(error).__name__}: {error}"))


def _follow_parent(scratch: Path) -> None:
    """End this process once the one that started it is gone, with the folder that it would delete.

    A parent that is killed by SIGKILL can do neither.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by another one"
    wait([parent.sentinel])
    _delete(scratch)
    os._exit(1)


def _delete(scratch: Path) -> None:
    """Delete a folder into which the prover writes until it has ended, too."""
    latest = time.monotonic() + _WRITTEN_S
    while scratch.exists() and time.monotonic() < latest:
        shutil.rmtree(scratch, ignore_errors=True)
        time.sleep(_PAUSE_S)


def _replayed(task: Task, material: Material, scratch: Path, say: Say) -> Replayed:
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    settings = material.settings
    key, again = load_key(settings.home / "salts.key"), recomputation(settings)
    with CommittedDataset.open(material.dataset, key, again) as dataset:
        base = load_base(material.base, settings.cache / "models")
        work = Work(task.opening, task.seed, task.segment, task.folders, scratch)
        return replay_segment(work, base, dataset, say)
