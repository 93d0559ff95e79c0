"""A recorded run from its opening to its close.

    model, Trainer (train.py) -> opening (opening.py) -> training (recorded.py)
      -> adapter checkpoint -> run.close

An opened run stays listed on chain for good, so nothing is opened before everything that needs no
seed was made. A run that was killed can be resumed, because the journal says how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.utils import logging

from provenance.chain.session import Session
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_key
from provenance.ids import DatasetId
from provenance.layout import RunFolder
from provenance.log.anchoring import Anchorer, AnchorThread
from provenance.log.fed import FedFacts
from provenance.log.fold import read_history
from provenance.log.tree import read_records
from provenance.progress import Progress, Say
from provenance.settings import Settings
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.clock import today
from provenance_trainer.data.fed import Fed
from provenance_trainer.model.base import BaseModel, load_base
from provenance_trainer.record.checkpoints import ResumePoint, find_resume_point
from provenance_trainer.run.opening import (
    DrawnRun,
    Registration,
    RunInputs,
    open_journal,
    open_run,
    require_startable,
)
from provenance_trainer.run.preflight import fed_of
from provenance_trainer.run.recorded import Setup, train_opened
from provenance_trainer.run.train import prepare_run
from provenance_zk.training.opened import recomputation
from provenance_zk.training.registration import require_registration


@dataclass(frozen=True)
class Request:
    """A run to be trained and recorded.

    key: Name of the key that registers the run and signs its heads; None for an unregistered run,
        whose seed is local and whose log is not anchored.
    resume: Go on with the run that the output folder holds.
    fed: What is fed of the dataset, if somebody counted it already.
    base: The base model, if somebody digested it already.
    """

    config: TrainConfig
    settings: Settings
    key: str | None
    resume: bool
    fed: Fed | None = None
    base: BaseModel | None = None


def train_recorded(request: Request, say: Progress) -> dict[str, Any]:
    """Train and record; returns the result that the command prints.

    Raises:
        Conflict: the output folder holds a finished run, or `resume` is false and it is not empty,
            or `resume` is true and it holds no run.
        NotFound: the dataset is not registered on the chain's ledger.
        InputError: records that cannot be fed, or a run that learns nothing.
        VerificationError: the dataset was altered since its commit; nothing was opened.
        ConfigError: training cannot be set up; nothing was opened.
        UnavailableError: the chain is unreachable at the start.
    """
    config, settings, key = request.config, request.settings, request.key
    folder = RunFolder(Path(config.output_dir))
    require_startable(folder, request.resume)
    registration = None if key is None else _register(config, settings, key, say)
    salt_key = load_key(settings.home / "salts.key")
    again = recomputation(settings)
    with CommittedDataset.open(Path(config.dataset_name), salt_key, again) as dataset:
        _silence_transformers()
        base = request.base or load_base(config.model_name_or_path, settings.cache / "models")
        resume = _resume_point(folder) if request.resume else None
        run = prepare_run(config, base, dataset, _day(request, folder))
        setup = Setup(run, salt_key, resume)

        def fed() -> Fed:
            return request.fed or fed_of(config, run.recipe, dataset, say)

        said = run.evaluation.to_json()
        inputs = RunInputs(config, folder, dataset, base, registration, fed, said)
        with open_journal(inputs) as journal:
            return _train(open_run(inputs, journal, say), setup, say)


def _day(request: Request, folder: RunFolder) -> str | None:
    """What the chat template's clock says: of the run's opening, where it was opened already.

    None for a run whose opening says no day: it goes on as it began.
    """
    if folder.journal.exists():
        opening = read_history(read_records(folder.journal)).opening
        return FedFacts.read(opening.fields.get("fed")).day if "fed" in opening.fields else None
    return request.fed.recipe.day if request.fed is not None else today()


def _silence_transformers() -> None:
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # progress is plain lines


def _register(config: TrainConfig, settings: Settings, key: str, say: Say) -> Registration:
    session = Session(settings, key, say)
    found = require_registration(Path(config.dataset_name), session.deployment.ledger)
    return Registration(session, DatasetId(found.dataset_id))


def _resume_point(folder: RunFolder) -> ResumePoint | None:
    """Where the run goes on; None if nothing was logged since its seed was drawn."""
    history = read_history(read_records(folder.journal))
    if history.seed is None or history.size == history.seed.index + 1:
        return None
    return find_resume_point(history, folder.root)


def _train(run: DrawnRun, setup: Setup, say: Say) -> dict[str, Any]:
    thread = _anchor_thread(run, say)
    try:
        summary = train_opened(run, setup, thread, say)
    finally:
        heads = _finish(thread, say)
    return {
        "format": "provenance-train/1",
        "run": str(run.inputs.folder.root),
        "run_id": None if run.run_id is None else str(run.run_id),
        "records": len(run.journal),
        "heads": heads,
        "summary": summary.to_json(),
    }


def _anchor_thread(run: DrawnRun, say: Say) -> AnchorThread | None:
    if run.inputs.registration is None or run.run_id is None:
        return None
    session, folder = run.inputs.registration.session, run.inputs.folder
    anchorer = Anchorer(run.run_id, folder, session, lambda: run.journal.durable)
    return AnchorThread(anchorer, run.inputs.config.provenance.anchor_interval_s, say)


def _finish(thread: AnchorThread | None, say: Say) -> int:
    """Anchor the rest of the log, or warn if that fails. Returns the number of anchored heads."""
    if thread is None:
        return 0
    if not thread.close():
        say(f"warning: {thread.status()}; `provenance prove` anchors the rest")
    return thread.anchored.seq
