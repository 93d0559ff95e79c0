"""One training run: LoRA (PEFT) with Trainer, in the pre-registered order, recorded as it is fed.

This module gets a seed and a recorder, and knows nothing of chains.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from torch.utils.data import Sampler
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from provenance.artifacts.content import content_digest
from provenance.digest import Digest
from provenance.errors import InputError
from provenance.progress import Say
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.peft_setup import (
    has_gpu,
    load_adapted_model,
    load_shipped,
    load_tokenizer,
    ship_adapter,
    uses_bf16,
)
from provenance_trainer.record.callback import AnchorHandle, ProvenanceCallback
from provenance_trainer.record.capture import RecordingCollator
from provenance_trainer.record.checkpoints import ADAPTER_WEIGHTS, ResumePoint
from provenance_trainer.record.features import (
    Encoder,
    PaddingCollator,
    RecordSource,
    TextRows,
    pad_id_of,
)
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler
from provenance_trainer.run.evaluation import evaluation_sample, perplexity


@dataclass(frozen=True)
class PreparedRun:
    """A run before its first step.

    evaluation: Token ids of each evaluation sample.
    held_out: Whether they come from a held-out file instead of the training records.
    """

    config: TrainConfig
    base: BaseModel
    dataset: RecordSource
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    model: PeftModel
    evaluation: tuple[tuple[int, ...], ...]
    held_out: bool

    @property
    def evaluation_name(self) -> str:
        """What the run is evaluated on, for people and records."""
        return "held-out text" if self.held_out else "sample of the training records"


@dataclass(frozen=True)
class TrainSummary:
    """What a run did.

    consumed: How many positions of the last epoch were fed.
    remainder: How many were not.
    seconds: Wall time of the training loop, without evaluation.
    """

    steps: int
    loss_first: float
    loss_last: float
    perplexity_before: float
    perplexity_after: float
    evaluated_on: str
    adapter_dir: Path
    adapter: Digest
    consumed: int
    remainder: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The summary as a record holds it: floats become text."""
        plain = {
            k: repr(v) if isinstance(v, float) else v for k, v in dataclasses.asdict(self).items()
        }
        return {**plain, "adapter_dir": self.adapter_dir.name, "adapter": str(self.adapter)}


def prepare_run(config: TrainConfig, base: BaseModel, dataset: RecordSource) -> PreparedRun:
    """Load model and tokenizer, attach the adapter, choose the evaluation sample.

    Raises:
        ConfigError: the model does not allow an option.
        InputError: a record or the evaluation file has no text.
    """
    set_seed(config.seed)
    tokenizer = load_tokenizer(base.dir)
    column = config.dataset_text_field or dataset.text_column
    encoder = Encoder(tokenizer, config.max_length, column)
    encoder.ids(dataset.row(0))  # a wrong column is refused now, not in the middle of the run
    return PreparedRun(
        config=config,
        base=base,
        dataset=dataset,
        tokenizer=tokenizer,
        encoder=encoder,
        evaluation=evaluation_sample(config, dataset, encoder),
        model=load_adapted_model(config, base.dir),
        held_out=config.eval_dataset_name is not None,
    )


def training_arguments(config: TrainConfig) -> TrainingArguments:
    """The arguments for Trainer.

    No batch is repeated to give all ranks the same number, and every checkpoint holds what a resume
    needs.
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
        save_total_limit=config.save_total_limit,
        logging_steps=config.logging_steps,
        logging_first_step=True,
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


class _CommittedTrainer(Trainer):
    """Trainer with our own train sampler; nothing else differs."""

    def __init__(self, *args: Any, sampler: CommittedSampler, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._committed_sampler = sampler

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self._committed_sampler


class _Lines(TrainerCallback):
    """Reports progress as plain lines."""

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
        if logs and "loss" in logs:
            anchored = f", {self._anchor.status()}" if self._anchor is not None else ""
            step = f"step {state.global_step}/{state.max_steps}"
            loss, elapsed_s = float(logs["loss"]), time.monotonic() - self._started
            standing = f"{self._recorder.status}{anchored}"
            self._say(f"{step}  loss {loss:.4f}  {elapsed_s:.0f} s  {standing}")


def run_training(
    run: PreparedRun,
    recorder: Recorder,
    *,
    resume: ResumePoint | None = None,
    anchor: AnchorHandle | None = None,
    say: Say = print,
) -> TrainSummary:
    """Train in the recorder's order, write the shipped adapter, and evaluate before and after.

    Args:
        recorder: It is not closed here.
        resume: Where to resume, from `find_resume_point`; None for a new run. The `resume` record
            is made here.
        say: Takes progress lines.

    Raises:
        InputError: the recorder was made for another dataset.
        UnavailableError: records cannot be made durable and the policy is to abort.
    """
    if recorder.orders.count != len(run.dataset):
        raise InputError(
            "recorder was made for another dataset",
            expected=f"{len(run.dataset)} records",
            actual=f"{recorder.orders.count} records",
        )
    if resume is not None:
        recorder.resume(resume)
    trainer = _make_trainer(run, recorder, anchor, say)
    with run.model.disable_adapter():
        before = _evaluate(run, recorder, 0, _Subject("base model", run.base.content))
    say(f"perplexity before training {before:.3f} ({run.evaluation_name})")
    started = time.monotonic()
    folder = resume.folder if resume is not None else None
    trainer.train(resume_from_checkpoint=str(folder) if folder is not None else None)
    seconds = time.monotonic() - started
    adapter_dir = Path(run.config.output_dir) / "adapter"
    adapter = _ship(run, trainer, adapter_dir)
    steps = trainer.state.global_step
    after = _evaluate(run, recorder, steps, _Subject("shipped adapter", adapter))
    say(f"perplexity after training {after:.3f} ({run.evaluation_name})")
    recorder.flush()
    first, last = _losses(trainer.state.log_history)
    return TrainSummary(
        steps=steps,
        loss_first=first,
        loss_last=last,
        perplexity_before=before,
        perplexity_after=after,
        evaluated_on=run.evaluation_name,
        adapter_dir=adapter_dir,
        adapter=adapter,
        consumed=recorder.consumed,
        remainder=len(run.dataset) - recorder.consumed,
        seconds=seconds,
    )


def _make_trainer(
    run: PreparedRun, recorder: Recorder, anchor: AnchorHandle | None, say: Say
) -> Trainer:
    args = training_arguments(run.config)
    sampler = CommittedSampler(
        recorder.orders,
        batch_size=run.config.per_device_train_batch_size,
        world_size=args.world_size,
    )
    trainer = _CommittedTrainer(
        model=run.model,
        args=args,
        train_dataset=TextRows(run.dataset, run.encoder),
        data_collator=RecordingCollator(PaddingCollator(pad_id_of(run.tokenizer))),
        callbacks=[
            ProvenanceCallback(recorder, anchor, sampler=sampler),
            _Lines(say, recorder, anchor),
        ],
        sampler=sampler,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _ship(run: PreparedRun, trainer: Trainer, folder: Path) -> Digest:
    """The first rank writes the shipped adapter. The others load it, so all evaluate the same."""
    if trainer.is_world_process_zero():
        digest = ship_adapter(run.model, run.base.name, folder)
        trainer.accelerator.wait_for_everyone()
        return digest
    trainer.accelerator.wait_for_everyone()
    load_shipped(run.model, folder)
    return content_digest(folder / ADAPTER_WEIGHTS)


@dataclass(frozen=True)
class _Subject:
    """What is evaluated: its name and content digest."""

    name: str
    digest: Digest


def _evaluate(run: PreparedRun, recorder: Recorder, step: int, subject: _Subject) -> float:
    """Perplexity of the model as it is now. The first rank records it."""
    pad, batch_size = pad_id_of(run.tokenizer), run.config.eval_batch_size
    value = perplexity(run.model, run.evaluation, pad, batch_size)
    if recorder.ranks.is_first:
        metrics: dict[str, float | int | str] = {
            "perplexity": value,
            "samples": len(run.evaluation),
            "evaluated_on": run.evaluation_name,
        }
        if run.config.eval_max_perplexity is not None:
            metrics["bar"] = repr(run.config.eval_max_perplexity)
        recorder.eval(step, metrics, subject.name, subject.digest)
    return value


def _losses(history: Sequence[dict[str, Any]]) -> tuple[float, float]:
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    return (losses[0], losses[-1]) if losses else (math.nan, math.nan)
