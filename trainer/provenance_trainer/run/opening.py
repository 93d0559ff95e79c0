"""Opening a run: its pre-registration in the journal, and the draw of its seed.

    run.open journaled -> openRun -> seed drawn and final -> seed journaled

Each step may be interrupted and repeated. The journal says how far the run came, and the digest of
`run.open` makes the calls to the chain idempotent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.chain.session import Session
from provenance.dataset.committed import CommittedDataset
from provenance.errors import Conflict
from provenance.ids import NO_ADDRESS, Address, DatasetId, RunId, Word, to_hex
from provenance.layout import RunFolder, write_json
from provenance.log.fold import read_history
from provenance.log.graph.folders import base_of, binds_files
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.progress import Say
from provenance_trainer.config import TrainConfig, config_digest
from provenance_trainer.data.fed import Fed
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.preregistration import FedSaid, Registrant, open_record


@dataclass(frozen=True)
class Registration:
    """Registers a run: the owner's session with a chain, and the dataset's id on that chain."""

    session: Session
    dataset_id: DatasetId


@dataclass(frozen=True)
class RunInputs:
    """What a run is made from. Without `registration` no chain knows it, and its seed is local.

    fed: Counts what is fed of the dataset; asked only when the run is opened.
    evaluated: What the opening says of held-out records, as `Evaluation.to_json`.
    """

    config: TrainConfig
    folder: RunFolder
    dataset: CommittedDataset
    base: BaseModel
    registration: Registration | None
    fed: Callable[[], Fed]
    evaluated: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signer(self) -> Address:
        """The account that signs the run's heads; the zero address for an unregistered run."""
        return self.registration.session.address if self.registration else NO_ADDRESS

    @property
    def dataset_id(self) -> DatasetId | None:
        """The dataset's registration; None for an unregistered run."""
        return self.registration.dataset_id if self.registration else None


@dataclass(frozen=True)
class DrawnRun:
    """A run with an open journal and a drawn seed. `run_id` is None for an unregistered run."""

    inputs: RunInputs
    journal: Journal
    run_id: RunId | None
    seed: Word


def require_startable(folder: RunFolder, resume: bool) -> None:
    """Check that a new run may begin in this folder, or with `resume` that the run there may go on.

    Raises:
        Conflict: `resume` is true and there is no run, `resume` is false and the folder is not
            empty, or the run is finished.
        VerificationError: the records of the run there contradict each other.
    """
    where = str(folder.root)
    if not folder.journal.exists():
        if resume:
            raise Conflict("nothing to resume", where=where, expected="provenance/journal")
        if folder.root.exists() and any(folder.root.iterdir()):
            raise Conflict(
                "output folder is not empty", where=where, hint="choose another output_dir"
            )
        return
    if not resume:
        raise Conflict(
            "output folder holds a run already",
            where=where,
            hint="choose another output_dir, or resume the run with --resume",
        )
    if read_history(read_records(folder.journal)).close is not None:
        raise Conflict(
            "run is finished",
            where=where,
            hint="next: provenance prove, merge, quantize and release",
        )


def open_journal(run: RunInputs) -> Journal:
    """Open the run's journal. A new one gets its `run.open` record, which is durable on return."""
    if run.folder.journal.exists():
        return Journal.open(run.folder.journal)
    registrant = Registrant(run.signer, run.dataset_id)
    fed = FedSaid(run.fed().to_json(), run.evaluated)
    record = open_record(run.config, run.base, run.dataset, fed, registrant)
    journal = Journal.create(run.folder.journal, {"format": "provenance-journal/1"})
    journal.append(record.to_bytes())
    journal.barrier()  # run.open is durable after this line, before any call to the chain
    return journal


def open_run(run: RunInputs, journal: Journal, say: Say) -> DrawnRun:
    """Register the run and draw its seed, or find both in the journal.

    Raises:
        Conflict: the run was opened with another configuration, base model or key.
        VerificationError: the records in the journal contradict each other.
        UnavailableError: the chain does not answer.
        RejectedError: the draw came too late; this run can never get a seed.
    """
    history = read_history(read_records(run.folder.journal))
    _require_same_run(history.opening, run)
    seed = None if history.seed is None else history.seed.record
    if seed is None:
        seed = _draw(history.opening, run.registration, say)
        journal.append(seed.to_bytes())
        journal.barrier()
    named = seed.fields.get("run_id")
    run_id = None if named is None else RunId.parse(named)
    write_json(run.folder.info, _info(run, run_id))
    return DrawnRun(run, journal, run_id, Word.parse(seed.fields["seed"]))


def _draw(opening: Record, registration: Registration | None, say: Say) -> Record:
    if registration is None:
        say("unregistered run: the seed is local, so the order is not pre-registered")
        return Record.make("seed", seed=to_hex(os.urandom(Word.SIZE)), source="local")
    session = registration.session
    run = session.open_run(opening.digest, registration.dataset_id)
    run_id, block = to_hex(run.run_id), run.draw_block
    say(f"run {run_id} opened; waiting for block {block} to draw the seed, and for finality")
    seed = to_hex(session.draw_seed(run))
    say(f"seed {seed} drawn from block {block}, final")
    return Record.make("seed", seed=seed, source="chain", draw_block=block, run_id=run_id)


def _info(run: RunInputs, run_id: RunId | None) -> dict[str, Any]:
    """What `run.json` holds."""
    info: dict[str, Any] = {
        "format": "provenance-run/1",
        "dataset": str(Path(run.config.dataset_name).absolute()),
        "base": str(run.base.dir),
    }
    if run.registration is None or run_id is None:
        return info
    deployment = run.registration.session.deployment
    return info | {
        "run_id": str(run_id),
        "chain_id": deployment.chain_id,
        "registry": deployment.registry,
        "ledger": deployment.ledger,
    }


def _require_same_run(opening: Record, run: RunInputs) -> None:
    """Check that a run is resumed with the configuration, base model and key it was opened with."""
    fields = opening.fields
    for what, expected, actual in (
        ("configuration", fields["config_digest"], str(config_digest(run.config))),
        ("base model", base_of(opening).name, _base_name(opening, run.base)),
        ("signing key", fields["signer"], str(run.signer)),
    ):
        if expected != actual:
            raise Conflict(
                f"{what} differs from the one the run was opened with",
                where=str(run.folder.root),
                expected=expected,
                actual=actual,
                hint="an open run keeps these; choose another output_dir for a new run",
            )


def _base_name(opening: Record, base: BaseModel) -> str:
    """What a base would be called in this run: openings of earlier versions bind weights alone."""
    identity = base.identity
    return str(identity.digest if binds_files(opening) else identity.content)
