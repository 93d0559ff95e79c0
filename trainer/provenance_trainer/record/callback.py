"""The Trainer callback that connects a run to its recorder, also in your own script.

    orders = EpochOrders(seed, len(dataset))
    recorder = Recorder(journal, dataset, salts, orders)
    sampler = CommittedSampler(orders)
    trainer = Trainer(
        ..,
        train_dataset=CommittedRows(tokenized),
        data_collator=RecordingCollator(collator),
        callbacks=[ProvenanceCallback(recorder, sampler=sampler)],
    )

The Trainer must be a subclass whose `_get_train_sampler` returns `sampler`. A whole script:
examples/own_trainer.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance.errors import ConfigError
from provenance_trainer.record.capture import BatchCapture
from provenance_trainer.record.checkpoints import digests_or_none
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler

logger = logging.getLogger("provenance.trainer")


class AnchorHandle(Protocol):
    """A thread that commits log heads. Training asks it for heads, and for its state."""

    def request(self) -> None:
        """Ask for a head soon. Returns at once."""
        ...

    def status(self) -> str:
        """The state of anchoring, as one line for people."""
        ...


class ProvenanceCallback(TrainerCallback):
    """Records batches, checkpoints, evaluations and epochs of a Trainer run.

    A failure to record is handled by the recorder's policy, and ends training only if that is
    `abort`.
    """

    def __init__(
        self,
        recorder: Recorder,
        anchor: AnchorHandle | None = None,
        *,
        sampler: CommittedSampler | None = None,
        segment_steps: int | None = None,
    ) -> None:
        """`segment_steps`: how often a checkpoint is saved besides those that Trainer saves."""
        self.recorder, self.anchor, self.sampler = recorder, anchor, sampler
        self.segment_steps = segment_steps
        self.capture = BatchCapture(recorder.batch)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to watch the model.

        Raises:
            ConfigError: batches cannot be recorded in this way of training.
        """
        require_recordable(args)
        self.capture.attach(_innermost(kwargs["model"]))

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell sampler and recorder the epoch, from 0."""
        epoch = int((state.epoch or 0.0) + 1e-9)
        if self.sampler is not None:
            # When batches are skipped after a resume, accelerate does not set the sampler's epoch.
            self.sampler.set_epoch(epoch)
        self.recorder.begin_epoch(epoch)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the recorder the optimizer step, from 1."""
        self.recorder.begin_step(state.global_step + 1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Have a checkpoint saved where a segment ends."""
        if self.segment_steps and state.global_step % self.segment_steps == 0:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record the checkpoint.

        Everything that the checkpoint covers is on disk before its record is made. The record is on
        disk before training goes on. One that only ends a segment is recorded as batches are:
        training does not wait, and no head is asked for.
        """
        if self._is_light(state):
            if state.is_world_process_zero:
                folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
                self.recorder.checkpoint_folder(folder, state.global_step)
            return
        if not state.is_world_process_zero:
            self.recorder.settle()
            return
        name = f"checkpoint-{state.global_step}"
        self.recorder.settle()
        digests = digests_or_none(Path(args.output_dir or ".") / name)
        if digests is None:
            return
        self.recorder.checkpoint(name, digests, state.global_step)
        self.recorder.settle()
        if self.anchor is not None:
            self.anchor.request()

    def _is_light(self, state: TrainerState) -> bool:
        """Whether a checkpoint is none of `save_steps`, nor the last one."""
        step = state.global_step
        return bool(self.segment_steps) and step % state.save_steps != 0 and step < state.max_steps

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the metrics that Trainer measured."""
        numbers = {
            k: v
            for k, v in (metrics or {}).items()
            if isinstance(v, int | float | str) and not isinstance(v, bool)
        }
        self.recorder.eval(state.global_step, numbers, "trainer evaluation")

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record the end of the epoch."""
        self.recorder.end_epoch()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop watching the model, and settle the records."""
        self.capture.detach()
        self.recorder.end_epoch()
        self.recorder.settle()
        if self.anchor is not None:
            self.anchor.request()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Log an error if records are missing, or samples were not those of the order."""
        status = self.recorder.status
        if status.failure is not None or status.unmatched:
            logger.error("step %d: %s", state.global_step, status)


def require_recordable(args: TrainingArguments) -> None:
    """Check that what is fed can be recorded in this way of training.

    Raises:
        ConfigError: several GPUs in one process, or batches that are filled up with repeats.
    """
    if args.n_gpu > 1:
        raise ConfigError(
            "several GPUs in one process cannot be recorded",
            where="n_gpu",
            expected=1,
            actual=args.n_gpu,
            hint="launch with torchrun or accelerate, one process per GPU",
        )
    if args.world_size > 1 and getattr(args.accelerator_config, "even_batches", True):
        raise ConfigError(
            "even_batches repeats samples at the end of an epoch",
            where="accelerator_config.even_batches",
            expected="false",
            actual="true",
        )


def _innermost(model: Any) -> torch.nn.Module:
    """The module inside DistributedDataParallel, whose forward passes its arguments on."""
    while isinstance(model, torch.nn.parallel.DistributedDataParallel):
        model = model.module
    module: torch.nn.Module = model
    return module
