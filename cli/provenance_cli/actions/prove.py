"""Proving the epochs of a run, and its weights, on the deployed contracts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.chain.session import Session
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_key
from provenance.errors import Conflict
from provenance.ids import RunId, from_hex
from provenance.layout import RunFolder, read_json
from provenance.log.history import History
from provenance.log.run_log import anchor, open_log, run_id_of
from provenance.progress import Say
from provenance_cli.wiring import inspector_for, proving_keys
from provenance_zk.training.epochs import (
    DrawnRun,
    EpochProver,
    make_job,
    proven_epochs,
    unproven_epochs,
)
from provenance_zk.training.registration import (
    ProvingSite,
    require_registration,
    write_evidence,
)
from provenance_zk.weights.run_proofs import WeightProver
from provenance_zk.workers.executors import Workshop


@dataclass(frozen=True)
class Proven:
    """The proven epochs of a run, and how many records its last head covers."""

    run_id: RunId
    epochs: tuple[int, ...]
    records: int


@dataclass(frozen=True)
class EpochRequest:
    """Which epochs to prove, and how.

    dataset: folder of the committed dataset; None for the one that the run names.
    batch: submit proofs in batches; else each in its own transaction.
    """

    run: Path
    dataset: Path | None = None
    batch: bool = True


def prove_epochs(
    request: EpochRequest, session: Session, workshop: Workshop, progress: Say
) -> Proven:
    """Anchor, prove and log each epoch that is not proven yet; raises as `EpochProver`."""
    folder, settings = RunFolder(request.run).require(), workshop.settings
    salt_key = load_key(settings.home / "salts.key")
    path = request.dataset or Path(read_json(folder.info)["dataset"])
    ledger = session.deployment.ledger
    with (
        CommittedDataset.open(path, salt_key) as opened,
        open_log(folder) as log,
        workshop.workers() as workers,
    ):
        registration = require_registration(path, ledger)
        keys = proving_keys(settings, session.deployment, opened.root.depth)
        run_id = RunId(run_id_of(folder))
        write_evidence(folder, registration, keys)
        progress("anchoring the log")
        anchor(session, log)
        history = log.history
        site = ProvingSite(salt_key, keys, workshop.prover, session, ledger, progress, workers)
        epochs = EpochProver(opened, site, folder)
        drawn = DrawnRun(run_id, registration.dataset_id, _seed_of(history))
        jobs = [make_job(history, opened, drawn, epoch) for epoch in unproven_epochs(history)]
        for group in epochs.groups(jobs) if request.batch else [[job] for job in jobs]:
            for record in epochs.prove(group, batch=request.batch):
                log.append(record)
        progress("anchoring the epoch records")
        head = anchor(session, log)
    return Proven(run_id, tuple(proven_epochs(log.history)), head.size)


def _seed_of(history: History) -> bytes:
    if history.seed is None:
        raise Conflict(
            "run has no seed yet",
            where="journal",
            hint="run the same `provenance train` again to resume it",
        )
    return from_hex(history.seed.fields["seed"])


@dataclass(frozen=True)
class WeightsRequest:
    """Which weights to prove, and how.

    draws: blocks of weights to draw, for the merge and again for the quantization.
    """

    run: Path
    draws: int


def prove_run_weights(
    request: WeightsRequest, session: Session, workshop: Workshop, progress: Say
) -> dict[str, Any]:
    """Prove sampled blocks of a run's merge and quantization; raises as `WeightProver`."""
    cache, inspector = workshop.settings.cache / "keys", inspector_for()
    with workshop.workers() as workers:
        owner = WeightProver(session, workshop.prover, workers, cache, inspector, progress)
        return owner.prove(request.run, request.draws)
