"""One training run: LoRA (PEFT) with Trainer, in the pre-registered order, recorded as it is fed.

This module gets a seed and a recorder, and knows nothing of chains. What needs no seed is made by
`prepare_run`, before the run is opened.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    set_seed,
)

from provenance.artifacts.content import content_digest
from provenance.digest import Digest
from provenance.errors import InputError
from provenance.progress import Say
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import Records, rows_of
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.peft_setup import (
    load_adapted_model,
    load_shipped,
    ship_adapter,
)
from provenance_trainer.record.callback import AnchorHandle, ProvenanceCallback
from provenance_trainer.record.capture import RecordingCollator
from provenance_trainer.record.checkpoints import ADAPTER_WEIGHTS, ResumePoint
from provenance_trainer.record.determinism import make_deterministic
from provenance_trainer.record.features import (
    FedRows,
    PaddingCollator,
    pad_id_of,
)
from provenance_trainer.record.pruning import Pruning
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler
from provenance_trainer.run.evaluation import Evaluation, evaluation_of, perplexity
from provenance_trainer.run.learning import LossWatch, change_of, require_change, require_finite
from provenance_trainer.run.settings import setting_up
from provenance_trainer.run.trainer import CommittedTrainer, Lines, training_arguments


@dataclass(frozen=True)
class PreparedRun:
    """A run before it is opened: everything that can be made without its seed."""

    config: TrainConfig
    base: BaseModel
    dataset: Records
    recipe: Recipe
    model: PeftModel
    evaluation: Evaluation
    trainer: CommittedTrainer

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base model's."""
        return self.recipe.tokenizer


@dataclass(frozen=True)
class TrainSummary:
    """What a run did.

    consumed: T, the positions of the last epoch that were fed; `remainder` those that were not.
    tensors_changed: Pairs of the adapter that change the model, of `tensors_adapted`.
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
    tensors_changed: int
    tensors_adapted: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The summary as a record holds it: floats become text."""
        plain = {
            k: repr(v) if isinstance(v, float) else v for k, v in dataclasses.asdict(self).items()
        }
        return {**plain, "adapter_dir": self.adapter_dir.name, "adapter": str(self.adapter)}


def prepare_run(
    config: TrainConfig,
    base: BaseModel,
    dataset: Records,
    day: str | None = None,
    threads: int | None = None,
) -> PreparedRun:
    """Load model and tokenizer, attach the adapter, choose the evaluation sample, make the Trainer.

    Args:
        day: What the chat template's clock says, as `Recipe.of` has it.
        threads: CPU threads; None for as many as torch has.

    Raises:
        ConfigError: model or libraries do not allow an option.
        InputError: a record or the evaluation file has no text.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if not config.provenance.nondeterministic:
        make_deterministic()
    with setting_up():
        set_seed(config.seed)
        kinds = Kinds.of(rows_of(dataset))
        recipe = Recipe.of(config, load_tokenizer(base.dir), dataset.columns, kinds, day)
        evaluation = evaluation_of(config, dataset, recipe)
        model = load_adapted_model(config, base.dir)
        trainer = CommittedTrainer(
            model=model,
            args=training_arguments(config),
            train_dataset=FedRows(dataset, recipe),
            data_collator=RecordingCollator(PaddingCollator(pad_id_of(recipe.tokenizer))),
        )
        trainer.remove_callback(PrinterCallback)
    return PreparedRun(config, base, dataset, recipe, model, evaluation, trainer)


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
        InputError: the recorder was made for another dataset; or nothing was learned, or the loss
            is not finite, and `provenance.allow_empty` is not set.
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
    _connect(run, recorder, anchor, say)
    trainer = run.trainer
    with run.model.disable_adapter():
        before = _evaluate(run, recorder, 0, _Subject("base model", run.base.content))
    say(f"perplexity before training {before:.3f} ({run.evaluation.name})")
    must_learn = not run.config.provenance.allow_empty
    if must_learn:
        require_finite("perplexity before training", before)
    started = time.monotonic()
    folder = resume.folder if resume is not None else None
    trainer.train(resume_from_checkpoint=str(folder) if folder is not None else None)
    seconds = time.monotonic() - started
    adapter_dir = Path(run.config.output_dir) / "adapter"
    adapter = _ship(run, trainer, adapter_dir)
    steps = trainer.state.global_step
    after = _evaluate(run, recorder, steps, _Subject("shipped adapter", adapter))
    say(f"perplexity after training {after:.3f} ({run.evaluation.name})")
    change = change_of(run.model)
    if must_learn:
        require_finite("perplexity after training", after)
        require_change(change)
    recorder.flush()
    first, last = _losses(trainer.state.log_history)
    return TrainSummary(
        steps=steps,
        loss_first=first,
        loss_last=last,
        perplexity_before=before,
        perplexity_after=after,
        evaluated_on=run.evaluation.name,
        adapter_dir=adapter_dir,
        adapter=adapter,
        consumed=recorder.consumed,
        remainder=len(run.dataset) - recorder.consumed,
        tensors_changed=change.changed,
        tensors_adapted=change.adapted,
        seconds=seconds,
    )


def _connect(run: PreparedRun, recorder: Recorder, anchor: AnchorHandle | None, say: Say) -> None:
    """Make the Trainer follow the drawn order, and record what it is fed."""
    trainer = run.trainer
    sampler = CommittedSampler(
        recorder.orders,
        batch_size=run.config.per_device_train_batch_size,
        world_size=trainer.args.world_size,
    )
    trainer.sampler = sampler
    segment_steps = run.config.provenance.segment_steps
    trainer.add_callback(
        ProvenanceCallback(recorder, anchor, sampler=sampler, segment_steps=segment_steps)
    )
    if run.config.save_total_limit is not None:
        trainer.add_callback(Pruning(run.config.save_total_limit, segment_steps, recorder))
    trainer.add_callback(Lines(say, recorder, anchor))
    if not run.config.provenance.allow_empty:
        # First, so that a checkpoint of what is not finite is never recorded.
        watch = LossWatch(lambda: trainer.is_finite)
        trainer.callback_handler.callbacks.insert(0, watch)


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
    value = perplexity(run.model, run.evaluation.samples, pad, batch_size)
    if recorder.ranks.is_first:
        metrics: dict[str, float | int | str] = {
            "perplexity": value,
            "samples": len(run.evaluation.samples),
            "evaluated_on": run.evaluation.name,
        }
        if run.config.eval_max_perplexity is not None:
            metrics["bar"] = repr(run.config.eval_max_perplexity)
        recorder.eval(step, metrics, subject.name, subject.digest)
    return value


def _losses(history: Sequence[dict[str, Any]]) -> tuple[float, float]:
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    return (losses[0], losses[-1]) if losses else (math.nan, math.nan)
