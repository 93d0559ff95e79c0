"""Trainer as runs use it: its arguments, the committed order, progress as lines."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance.progress import Say
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.peft_setup import has_gpu, uses_bf16
from provenance_trainer.record.callback import AnchorHandle
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler


def training_arguments(config: TrainConfig) -> TrainingArguments:
    """What Trainer is told.

    Batches are never repeated to even out ranks, and every checkpoint holds what resuming needs.
    """
    gpu = has_gpu()
    return TrainingArguments(
        output_dir=config.output_dir,
        per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        num_train_epochs=config.num_train_epochs,
        max_steps=config.max_steps,
        optim="adamw_torch",
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=None,  # `Pruning` deletes what is kept no longer
        logging_steps=config.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a loss that is not finite must show
        seed=config.seed,
        data_seed=config.seed,
        bf16=uses_bf16(config) and gpu,
        use_cpu=not gpu,
        activation_checkpointing=config.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        dataloader_num_workers=config.dataloader_num_workers,
        dataloader_pin_memory=gpu,
        deepspeed=config.deepspeed,
        accelerator_config={"even_batches": False},
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
    )


class CommittedTrainer(Trainer):
    """Trainer with a train sampler of our choice; nothing else differs.

    sampler: set when the run's seed is drawn, for the trainer is made before the run is opened.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampler: CommittedSampler | None = None
        self._finite = torch.tensor(True)

    @property
    def is_finite(self) -> bool:
        """Whether every loss so far was a finite number. Waits for a GPU."""
        return bool(self._finite)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Trainer's step; remembers whether its loss was finite, without waiting for a GPU."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        self._finite = self._finite.to(loss.device) & torch.isfinite(loss).all()
        return loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        assert self.sampler is not None, "training begins after the draw"
        return self.sampler


class Lines(TrainerCallback):
    """Progress as plain lines."""

    def __init__(self, say: Say, recorder: Recorder, anchor: AnchorHandle | None) -> None:
        self._say, self._recorder, self._anchor = say, recorder, anchor
        self._started = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say the step, its loss, and how far records are."""
        if logs and "loss" in logs:
            anchored = f", {self._anchor.status()}" if self._anchor is not None else ""
            step = f"step {state.global_step}/{state.max_steps}"
            loss, elapsed_s = float(logs["loss"]), time.monotonic() - self._started
            standing = f"{self._recorder.status}{anchored}"
            self._say(f"{step}  loss {loss:.4f}  {elapsed_s:.0f} s  {standing}")
