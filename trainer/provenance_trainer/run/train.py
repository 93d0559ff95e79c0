"""One training run: PEFT LoRA through Trainer, fed in the pre-registered order, recorded as it is fed.

Training gets a seed and a recorder and knows nothing of chains.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
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
from provenance.errors import ConfigError, InputError
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
    TextRows,
    collate,
    pad_id_of,
)
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler

Say = Callable[[str], None]
_MAX_EVAL_BYTES = 256 << 20


class TrainingData(Protocol):
    """The part of a committed dataset that training reads."""

    @property
    def text_column(self) -> str | None: ...
    @property
    def leaves(self) -> np.ndarray: ...
    def row(self, index: int) -> dict[str, Any]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class PreparedRun:
    """A run before its first step. `evaluation` holds token ids per sample; `held_out`: they were kept from training."""

    config: TrainConfig
    base: BaseModel
    dataset: TrainingData
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    model: PeftModel
    evaluation: tuple[tuple[int, ...], ...]
    held_out: bool

    @property
    def evaluation_name(self) -> str:
        return "held-out text" if self.held_out else "sample of the training records"


@dataclass(frozen=True)
class TrainSummary:
    """What a run did. `consumed` is T, the positions of the last epoch that were fed; `remainder` those that were not.

    seconds: wall time of the training loop, without evaluation.
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
        """As a record holds it: decimals as text."""
        plain = {
            k: repr(v) if isinstance(v, float) else v for k, v in dataclasses.asdict(self).items()
        }
        return {**plain, "adapter_dir": self.adapter_dir.name, "adapter": str(self.adapter)}


def prepare_run(config: TrainConfig, base: BaseModel, dataset: TrainingData) -> PreparedRun:
    """Load model and tokenizer, attach the adapter, choose the evaluation sample.

    Raises:
        ConfigError: options the model does not allow.
        InputError: records or evaluation file without text.
    """
    set_seed(config.seed)
    tokenizer = load_tokenizer(base.dir)
    encoder = Encoder(
        tokenizer, config.max_length, config.dataset_text_field or dataset.text_column
    )
    encoder.ids(dataset.row(0))  # a wrong column shows now, not in the middle of the run
    evaluation = _evaluation_sample(config, dataset, encoder)
    model = load_adapted_model(config, base.dir)
    return PreparedRun(
        config,
        base,
        dataset,
        tokenizer,
        encoder,
        model,
        evaluation,
        config.eval_dataset_name is not None,
    )


def _evaluation_sample(
    config: TrainConfig, dataset: TrainingData, encoder: Encoder
) -> tuple[tuple[int, ...], ...]:
    if config.eval_dataset_name is None:
        # Records lie in the order of their digests, so the first ones are a fair sample.
        rows: Sequence[dict[str, Any]] = [
            dataset.row(i) for i in range(min(config.eval_samples, len(dataset)))
        ]
        return tuple(tuple(encoder.ids(row)) for row in rows)
    rows = _read_rows(Path(config.eval_dataset_name), config.eval_samples)
    plain = dataclasses.replace(encoder, field=config.dataset_text_field)
    return tuple(tuple(plain.ids(row)) for row in rows)


def _read_rows(path: Path, limit: int) -> list[dict[str, Any]]:
    if not path.is_file() or path.stat().st_size > _MAX_EVAL_BYTES:
        raise ConfigError(
            "cannot read evaluation file",
            where="eval_dataset_name",
            expected="a text or JSON-lines file",
            actual=str(path),
        )
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip() and len(rows) < limit:
                rows.append(
                    _parse_row(line, f"{path} line {number}")
                    if path.suffix == ".jsonl"
                    else {"text": line.strip()}
                )
    if not rows:
        raise InputError("evaluation file holds no text", where=str(path))
    return rows


def _parse_row(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError("not JSON", where=where, actual=error) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=where)
    return value


def perplexity(
    model: torch.nn.Module, samples: Sequence[Sequence[int]], pad_id: int, batch_size: int
) -> float:
    """exp of the mean negative log-likelihood per predicted token, over all samples together."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(samples), batch_size):
            batch = collate([{"input_ids": s} for s in samples[start : start + batch_size]], pad_id)
            count = int((batch["labels"][:, 1:] != -100).sum())
            if count:
                loss = model(**{k: v.to(device) for k, v in batch.items()}).loss
                total, tokens = total + float(loss) * count, tokens + count
    model.train(was_training)
    return math.exp(min(total / tokens, 700.0)) if tokens else math.nan


def training_arguments(config: TrainConfig) -> TrainingArguments:
    """What Trainer is told. Batches are never repeated to even out ranks, and every checkpoint holds what resuming needs."""
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
    """Trainer with a train sampler of our choice; nothing else differs."""

    def __init__(self, *args: Any, sampler: CommittedSampler, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._committed_sampler = sampler

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self._committed_sampler


class _Lines(TrainerCallback):
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
        if logs and "loss" in logs:
            anchored = f", {self._anchor.status()}" if self._anchor is not None else ""
            elapsed = time.monotonic() - self._started
            self._say(
                f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}  {elapsed:.0f} s  "
                f"{self._recorder.status}{anchored}"
            )


def run_training(
    run: PreparedRun,
    recorder: Recorder,
    seed: bytes,
    *,
    resume: ResumePoint | None = None,
    anchor: AnchorHandle | None = None,
    say: Say = print,
) -> TrainSummary:
    """Train, ship the adapter, evaluate before and after.

    Args:
        recorder: Made with the same seed; it stays open.
        seed: The run's 32-byte seed.
        resume: From `find_resume_point`, to go on after a crash; its `resume` record is made here.
        say: Takes progress lines.

    Raises:
        InputError: recorder and seed do not belong together.
        UnavailableError: records cannot be made durable and the policy is to abort.
    """
    if recorder.orders.seed != seed or recorder.orders.count != len(run.dataset):
        raise InputError("recorder was made for another seed or dataset")
    config, pad = run.config, pad_id_of(run.tokenizer)
    if resume is not None:
        recorder.resume(
            checkpoint=resume.record,
            abandons=resume.abandons,
            step=resume.step,
            epoch=resume.epoch,
            consumed=resume.consumed,
            last_batch=resume.last_batch,
            epoch_recorded=resume.epoch_recorded,
        )
    trainer = _make_trainer(run, recorder, anchor, say)
    with run.model.disable_adapter():
        before = perplexity(run.model, run.evaluation, pad, config.eval_batch_size)
    _record_perplexity(recorder, 0, before, run, "base model", run.base.content)
    say(f"perplexity before training {before:.3f} ({run.evaluation_name})")
    started = time.monotonic()
    folder = resume.folder if resume is not None else None
    trainer.train(resume_from_checkpoint=str(folder) if folder is not None else None)
    seconds = time.monotonic() - started
    adapter_dir = Path(config.output_dir) / "adapter"
    adapter = _ship(run, trainer, adapter_dir)
    after = perplexity(run.model, run.evaluation, pad, config.eval_batch_size)
    _record_perplexity(recorder, trainer.state.global_step, after, run, "shipped adapter", adapter)
    say(f"perplexity after training {after:.3f} ({run.evaluation_name})")
    recorder.flush()
    consumed = recorder.consumed
    first, last = _losses(trainer.state.log_history)
    return TrainSummary(
        trainer.state.global_step,
        first,
        last,
        before,
        after,
        run.evaluation_name,
        adapter_dir,
        adapter,
        consumed,
        len(run.dataset) - consumed,
        seconds,
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
    """The first rank writes the shipped adapter, the others take it up; all evaluate the same weights."""
    if trainer.is_world_process_zero():
        digest = ship_adapter(run.model, run.base.name, folder)
        trainer.accelerator.wait_for_everyone()
        return digest
    trainer.accelerator.wait_for_everyone()
    load_shipped(run.model, folder)
    return content_digest(folder / ADAPTER_WEIGHTS)


def _record_perplexity(
    recorder: Recorder, step: int, value: float, run: PreparedRun, subject: str, digest: Digest
) -> None:
    if recorder.ranks.rank != 0:
        return
    metrics: dict[str, float | int | str] = {
        "perplexity": value,
        "samples": len(run.evaluation),
        "evaluated_on": run.evaluation_name,
    }
    bar = run.config.eval_max_perplexity
    if bar is not None:
        metrics["bar"] = repr(bar)
    recorder.eval(step, metrics, subject, digest)


def _losses(history: Sequence[dict[str, Any]]) -> tuple[float, float]:
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    return (losses[0], losses[-1]) if losses else (math.nan, math.nan)
