"""Training a segment again in a fresh process, which nothing that ran before has touched."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from transformers.utils import logging

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_key
from provenance.errors import InternalError, NotFound, ProvenanceError
from provenance.log.graph.segments import Segment
from provenance.log.record import Record
from provenance.progress import Say
from provenance.settings import Settings
from provenance_trainer.model.base import load_base
from provenance_trainer.record.determinism import devices_of, variables_of
from provenance_trainer.replay.again import Replayed, Work, replay_segment
from provenance_zk.training.opened import recomputation


@dataclass(frozen=True)
class Material:
    """What an auditor has: the committed dataset with its salts, and the base by name or folder."""

    dataset: Path
    base: str
    settings: Settings


@dataclass(frozen=True)
class Task:
    """A segment to train again. opening, seed, segment: of the log (attacker-controlled).

    folders: of the run, the one with the starting checkpoint first.
    """

    opening: Record
    seed: bytes
    segment: Segment
    folders: Sequence[Path]


def replay_apart(task: Task, material: Material, say: Say) -> Replayed:
    """Train a segment again in a process of its own; raises what `replay_segment` raises.

    Raises:
        NotFound: the process ended without a result, such as for want of memory.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="provenance-replay-") as scratch:
        mine, theirs = context.Pipe(duplex=False)
        arguments = (task, material, Path(scratch), theirs)
        process = context.Process(target=_work, args=arguments, daemon=True)
        said = task.opening.fields["environment"]
        with _environment(variables_of(said) | devices_of(said)):
            process.start()
        theirs.close()
        try:
            return _told(mine, say)
        except EOFError as error:
            process.join()
            raise NotFound(
                "the process that trains again ended without a result",
                where=str(task.segment),
                actual=f"exit code {process.exitcode}",
                hint="is there enough memory?",
            ) from error
        finally:
            process.kill()
            process.join()
            mine.close()


def _told(answers: Connection, say: Say) -> Replayed:
    """Pass on what the process says, up to its result; EOFError if it ends before."""
    while True:
        told = answers.recv()
        if isinstance(told, ProvenanceError):
            raise told
        if isinstance(told, Replayed):
            return told
        say(str(told))


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
    try:
        answers.send(_replayed(task, material, scratch, answers.send))
    except ProvenanceError as error:
        answers.send(error)
    except Exception as error:
        answers.send(InternalError("replay failed", actual=f"{type(error).__name__}: {error}"))


def _replayed(task: Task, material: Material, scratch: Path, say: Say) -> Replayed:
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    settings = material.settings
    key, again = load_key(settings.home / "salts.key"), recomputation(settings)
    with CommittedDataset.open(material.dataset, key, again) as dataset:
        base = load_base(material.base, settings.cache / "models")
        work = Work(task.opening, task.seed, task.segment, task.folders, scratch)
        return replay_segment(work, base, dataset, say)
