"""Tasks of `provenance train`: commit the dataset, register it, train, and prove each epoch."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.chain.session import Session, deployment_path, load_deployment
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.manifest import depth_for
from provenance.faults import Findings
from provenance.ids import KeyId, RunId, to_hex
from provenance.layout import RunFolder
from provenance.log.anchoring import read_heads
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.log.run_log import run_id_of
from provenance.progress import Progress
from provenance_cli.actions.commit import Selection
from provenance_cli.actions.prove import EpochRequest, prove_epochs
from provenance_cli.actions.register import (
    SortedRequest,
    prove_order,
    register_folder,
)
from provenance_cli.jobs import estimates
from provenance_cli.jobs.earlier import (
    discard_unopened,
    is_closed,
    is_opened,
    records_of,
    require_same_run,
)
from provenance_cli.jobs.funds import require_balance
from provenance_cli.jobs.means import (
    clock_notes,
    require_key,
    require_means,
    require_room,
    room_notes,
    try_run_folders,
    writing,
)
from provenance_cli.jobs.tasks import Estimate, Relay, Task, forecast
from provenance_cli.jobs.training_data import TrainingData
from provenance_cli.jobs.weight_keys import missing_weight_keys
from provenance_cli.wiring import proving_keys, start_chain
from provenance_trainer.draft import Draft
from provenance_trainer.run.lifecycle import Request, train_recorded
from provenance_trainer.run.plan import plan
from provenance_trainer.run.preflight import Checked, preflight
from provenance_trainer.run.room import room_of
from provenance_zk.audits.sorted_proofs import FOLDER, is_complete
from provenance_zk.training.epochs import proven_epochs, unproven_epochs
from provenance_zk.training.registration import Registered, find_registration
from provenance_zk.workers.executors import Workshop

MANIFEST = "dataset.json"


@dataclass(frozen=True)
class TrainRequest:
    """What the user asks for.

    draft: the configuration, faults and all; its `dataset_name` is a committed folder, or any
        source that `dataset commit` takes.
    selection: which records to commit, if the dataset is not committed yet; its source is ignored.
    anchor: register, anchor and prove on chain; else only write the journal.
    must_resume: refuse to begin a new run.
    prove: prove the epochs after training.
    key: name of the signing key; None for the configuration's.
    """

    draft: Draft
    selection: Selection
    anchor: bool
    must_resume: bool = False
    prove: bool = True
    key: str | None = None

    @property
    def key_name(self) -> str:
        """The key that was asked for, else the configuration's, else `default`."""
        return self.key or self.draft.config.provenance.key or "default"


class TrainJob:
    """Makes one run, or resumes it.

    Args:
        workshop: makes the proofs, before the training and after it. Its owner closes it.
    """

    def __init__(self, request: TrainRequest, workshop: Workshop) -> None:
        """Decide where everything goes; nothing is written."""
        settings = workshop.settings
        self._request, self._settings, self._workshop = request, settings, workshop
        self.relay = Relay()
        self._data = TrainingData(request.draft, request.selection, settings, self.relay)
        config = request.draft.config
        self._config = replace(config, dataset_name=str(self._data.folder))
        self._run = RunFolder(Path(config.output_dir))
        self.checked: Checked | None = None
        self._notes: list[str] = []

    def check(self, progress: Progress, *, spend: bool = True) -> None:
        """Check all that can be known before anything is spent; finds every fault, not the first.

        What it finds out is in `checked`, unless the run was opened already.

        Args:
            spend: whether the job will run. If not, the chain is not started and no password is
                needed.

        Raises:
            Conflict: the run was opened with another configuration, or the source has changed.
            Faults: several faults. Else the only one:
            OutputError: a folder that the run writes to takes no file.
            InputError: about the dataset, the configuration, the base model or the key.
            NotFound: no contracts are deployed, or proving keys are missing.
            AuthError: wrong password.
            UnavailableError: the account cannot pay for the planned gas, or no chain answers.
        """
        found = self._try_places()
        if not is_opened(self._records):
            found.run(lambda: self._look(progress))
        if self._request.anchor:
            found.run(lambda: self._check_chain(spend))
        found.require_none()

    def look(self, progress: Progress) -> Checked:
        """As `check` without spending, also of a run that was opened; for `plan`.

        Contracts, proving keys and money are looked at where contracts are deployed.

        Raises:
            InputError: the only fault. Faults: all of them.
        """
        found = self._try_places()
        checked = found.run(lambda: self._look(progress))
        if self._request.key_name != "default" or self._is_deployed:
            found.run(lambda: require_key(self._settings, self._request.key_name))
        if self._is_deployed:
            found.run(lambda: self._check_chain(spend=False))
        else:
            self._notes.append("contracts and keys not looked at: none are deployed")
        found.require_none()
        assert checked is not None, "a run without faults"
        return checked

    def _try_places(self) -> Findings:
        """Whether the run may begin, or go on, where it is to be written."""
        found, draft = Findings(), self._request.draft
        if draft.is_sound("output_dir"):
            commits = None if self._data.was_given else self._data.folder
            found.run(lambda: try_run_folders(self._run.root, commits, self._settings))
        if not found.faults and not draft.faults:
            must_resume = self._request.must_resume
            found.run(lambda: require_same_run(self._run, self._config, must_resume=must_resume))
            found.run(self._data.require_same_source)
            self._notes += room_notes(self._run.root, self._settings)
        found.add(draft.faults)
        return found

    def _look(self, progress: Progress) -> Checked:
        """Check configuration, dataset and base model, and count what will be fed."""
        draft = replace(self._request.draft, config=self._config)
        cache = self._settings.cache / "models"
        with ExitStack() as stack:
            checked = preflight(draft, cache, lambda: self._data.rows(stack), progress)
        room = room_of(self._config, checked.base.dir, checked.fed.records)
        self._notes += require_room(self._run.root, room)
        self.checked = checked
        return checked

    @property
    def folder(self) -> RunFolder:
        """Where the run is written."""
        return self._run

    @property
    def _is_deployed(self) -> bool:
        return deployment_path(self._settings).exists()

    def _check_chain(self, spend: bool) -> None:
        address = require_key(self._settings, self._request.key_name)
        deployment = load_deployment(self._settings)
        if self._request.draft.faults:
            return  # what proofs and gas it takes is not known
        proving_keys(self._settings, deployment, depth_for(self._data.count))
        if not spend:
            done = ("register dataset", "prove order") if self._registered else ()
            gas = sum(task.estimate.gas for task in self.tasks() if task.name not in done)
            require_means(self._settings, address, gas)
            return
        start_chain(self._settings)
        left = [task for task, is_done in forecast(self.tasks()) if not is_done]
        gas = sum(task.estimate.gas for task in left)
        require_balance(self._session.rpc, self._session.address, gas)
        self._notes += clock_notes(self._session.rpc)

    def tasks(self) -> list[Task]:
        """The tasks in order, without those that the request leaves out."""
        made = plan(self._config, self._data.count)
        tasks = [] if self._data.was_given else [self._data.task()]
        if not self._request.anchor:
            return [*tasks, self._train_task(Estimate(seconds=made.training_s))]
        tasks.append(
            Task(
                "register dataset",
                lambda: self._registered is not None,
                self._register,
                estimates.registration(made),
            )
        )
        slots = self._sorted_slots
        if slots is not None:
            cost = estimates.order(self._data.count, slots)
            tasks.append(Task("prove order", self._is_sorted, self._prove_order, cost))
        tasks.append(self._train_task(estimates.training(made)))
        if self._request.prove:
            cost = estimates.epochs(made)
            tasks.append(Task("prove epochs", self._is_proven, self._prove, cost))
        return tasks

    def made(self) -> dict[str, Any]:
        """The finished run, as the command prints it."""
        history = read_history(self._records)
        assert history.seed is not None  # asked after the last task
        assert history.close is not None
        return {
            "format": "provenance-train/1",
            "run": str(self._run.root),
            "run_id": history.seed.fields.get("run_id"),
            "dataset": str(self._data.folder),
            "records": history.size,
            "heads": len(read_heads(self._run.heads)),
            "epochs": proven_epochs(history),
            "summary": history.close.fields["summary"],
        }

    @cached_property
    def _session(self) -> Session:
        return Session(self._settings, self._request.key_name, self.relay)

    @property
    def _records(self) -> list[Record]:
        return records_of(self._run)

    def lines(self) -> list[str]:
        """For people: what was done to the records on the way, what is fed, and warnings."""
        lines = self._data.curation()
        notes = [*self._notes]
        if self.checked is not None:
            lines += self.checked.lines()
            notes += self._data.binary_notes(self.checked)
            notes += missing_weight_keys(self._settings, self._config, self.checked.base.dir)
        return [*lines, *(f"warning: {note}" for note in notes)]

    @property
    def _registered(self) -> Registered | None:
        return find_registration(self._data.folder, load_deployment(self._settings).ledger)

    def _register(self, progress: Progress) -> str:
        done = register_folder(self._data.folder, self._session, self._workshop, progress)
        return f"dataset {to_hex(done.dataset_id)}"

    @cached_property
    def _sorted_slots(self) -> int | None:
        """Leaves per chunk of the deployed `sorted` key; None if no such key is deployed."""
        depth = depth_for(self._data.count)
        keys = load_deployment(self._settings).keys
        return next((k.slots for k in keys if (k.kind, k.depth) == ("sorted", depth)), None)

    def _is_sorted(self) -> bool:
        registered = self._registered
        with CommittedDataset.open(self._data.folder) as opened:
            if registered is None or not is_complete(self._data.folder / FOLDER, opened.root):
                return False
            key = self._session.deployment.key("sorted", depth=opened.root.depth)
        known = self._session.latest()
        return known.sorted_complete(registered.dataset_id, KeyId.parse(key.vk_id))

    def _prove_order(self, progress: Progress) -> str:
        request = SortedRequest(self._data.folder, self._data.folder / FOLDER)
        done = prove_order(request, self._session, self._workshop, progress)
        return f"{len(done.statements)} chunks of {done.key.slots} leaves"

    def _train_task(self, estimate: Estimate) -> Task:
        return Task("train", lambda: is_closed(self._records), self._train, estimate)

    def _train(self, progress: Progress) -> str:
        discard_unopened(self._run)
        self._workshop.close()  # the keys that it has read would fill memory for hours
        gc.freeze()  # the Trainer collects garbage; the objects of libraries are none
        request = Request(
            self._config,
            self._settings,
            key=self._request.key_name if self._request.anchor else None,
            resume=self._run.journal.is_file(),
            # Counted on the source of a dataset that was not committed yet: count that again.
            fed=self.checked.fed if self.checked and self._data.was_committed else None,
            base=self.checked.base if self.checked else None,
        )
        with writing(self._run.root):
            value = train_recorded(request, progress)
        done = value["summary"]
        loss = f"loss {float(done['loss_first']):.3f} -> {float(done['loss_last']):.3f}"
        return f"{done['steps']} steps, {loss}"

    def _is_proven(self) -> bool:
        """Whether each epoch is proven, and the head on chain covers the whole log."""
        if unproven_epochs(read_history(self._records)):
            return False
        covered = self._session.committed(RunId(run_id_of(self._run)))
        return covered.size >= len(self._records)

    def _prove(self, progress: Progress) -> str:
        request = EpochRequest(self._run.root, self._data.folder)
        done = prove_epochs(request, self._session, self._workshop, progress)
        epochs = ", ".join(map(str, done.epochs))
        return f"epochs {epochs} accepted, {done.records} records anchored"
