"""Training an opened run with a recorder, up to its `run.close` record."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.dataset.saltstore import SaltStore
from provenance.log.record import Record
from provenance.progress import Say
from provenance_trainer.record.callback import AnchorHandle
from provenance_trainer.record.checkpoints import ResumePoint, checkpoint_digests
from provenance_trainer.record.recorder import Recorder, RecorderSettings
from provenance_trainer.record.sampler import EpochOrders
from provenance_trainer.run.opening import DrawnRun
from provenance_trainer.run.train import PreparedRun, TrainSummary, run_training


@dataclass(frozen=True)
class Setup:
    """What was made before the run was opened.

    salt_key: 32 bytes that encrypt the batch salts at rest.
    resume: Where to go on; None for a new run.
    """

    prepared: PreparedRun
    salt_key: bytes
    resume: ResumePoint | None


def train_opened(
    run: DrawnRun, setup: Setup, anchor: AnchorHandle | None, say: Say
) -> TrainSummary:
    """Train, and journal everything from the first batch to `run.close`; durable on return.

    Raises:
        UnavailableError: records cannot be made durable and the policy is to abort.
    """
    inputs, adapter = run.inputs, run.inputs.folder.adapter
    prepared, resume = setup.prepared, setup.resume
    say(f"evaluated on {prepared.evaluation.counted}")
    with SaltStore.open(inputs.folder.secrets / "salts.sqlite", setup.salt_key) as salts:
        orders = EpochOrders(run.seed, len(inputs.dataset))
        settings = RecorderSettings(on_failure=inputs.config.provenance.on_failure)
        recorder = Recorder(run.journal, inputs.dataset, salts, orders, settings)
        try:
            summary = run_training(prepared, recorder, resume=resume, anchor=anchor, say=say)
            recorder.checkpoint(adapter.name, checkpoint_digests(adapter), summary.steps)
            done = summary.to_json()
            recorder.append(
                Record.make("run.close", status="completed", step=summary.steps, summary=done)
            )
            recorder.barrier()
        finally:
            recorder.close()
    return summary
