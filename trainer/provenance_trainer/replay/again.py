"""Training one segment of a run again, in this process, and comparing what comes out.

Nothing of the run is believed: base, dataset and starting checkpoint are compared with the log
before they are used, and the batches that are fed with the logged ones while they are fed.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance.dataset.committed import CommittedDataset
from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import to_hex
from provenance.layout import read_json
from provenance.log.fed import FedFacts
from provenance.log.graph.folders import base_of, binds_files
from provenance.log.graph.segments import Segment, is_resumable
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.progress import Say
from provenance_trainer.config import TrainConfig
from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.peft_setup import ship_adapter
from provenance_trainer.record.capture import BatchCapture, Snapshot
from provenance_trainer.record.checkpoints import (
    CheckpointDigests,
    checkpoint_digests,
    folder_of,
    verify_checkpoint,
)
from provenance_trainer.record.determinism import threads_of
from provenance_trainer.record.sampler import CommittedSampler, EpochOrders
from provenance_trainer.replay.compare import (
    Comparison,
    Distance,
    Weights,
    compare,
    distance_of,
    load_weights,
)
from provenance_trainer.run.train import PreparedRun, prepare_run

_STATE = "trainer_state.json"


@dataclass(frozen=True)
class Work:
    """A segment to train again, and the material for it.

    opening, segment: of the log (attacker-controlled).
    seed: the run's 32 bytes, which order its epochs.
    folder: the run's, which holds its checkpoints (attacker-controlled).
    scratch: an empty folder of the caller's.
    """

    opening: Record
    seed: bytes
    segment: Segment
    folder: Path
    scratch: Path


@dataclass(frozen=True)
class Replayed:
    """What a segment came to.

    seconds: of training.
    """

    segment: int
    steps: int
    comparisons: tuple[Comparison, ...]
    seconds: float


def replay_segment(work: Work, base: BaseModel, dataset: CommittedDataset, say: Say) -> Replayed:
    """Train a segment again, and compare each checkpoint that the log has at its end.

    Args:
        base, dataset: the auditor's own.

    Raises:
        VerificationError: base, dataset or starting checkpoint are not the logged ones, or the log
            lists other records than the run's order feeds.
        NotFound: this run cannot be replayed here; says why.
        InputError, ConfigError: the log names a configuration that cannot be used.
    """
    config = _config(work, dataset)
    _require_logged(work.opening, base, dataset)
    start = _start(work)
    run = prepare_run(
        config, base, dataset, _day(work.opening), threads_of(work.opening.fields["environment"])
    )
    first = load_weights(start) if start is not None else _weights_of(run)
    trainer, orders = run.trainer, EpochOrders(work.seed, len(dataset))
    trainer.sampler = CommittedSampler(orders, batch_size=config.per_device_train_batch_size)
    follow = _Follow(work, dataset, trainer.sampler, say)
    trainer.add_callback(follow)
    began = time.monotonic()
    if work.segment.batches:
        trainer.train(resume_from_checkpoint=None if start is None else str(start))
    seconds = time.monotonic() - began
    follow.require_all_fed()
    found = [
        compare(end, made := _made(work, run, end), _distance(work, end, made, first))
        for end in work.segment.ends
    ]
    return Replayed(
        work.segment.number, work.segment.last - work.segment.first + 1, tuple(found), seconds
    )


def _config(work: Work, dataset: CommittedDataset) -> TrainConfig:
    """The logged configuration with the paths of this machine."""
    fields = work.opening.fields
    if "rules" not in fields.get("fed", {}):
        raise NotFound(
            "runs that were opened by the first rules of feeding cannot be replayed",
            where="run.open fed.rules",
        )
    config = parse_config(fields["config"], "run.open config")
    if config.deepspeed is not None:
        raise NotFound("runs with deepspeed cannot be replayed", where="run.open config.deepspeed")
    return replace(
        config,
        dataset_name=str(dataset.folder),
        output_dir=str(work.scratch / "again"),
        eval_dataset_name=None,
        save_total_limit=None,
        dataloader_num_workers=0,
        provenance=replace(
            config.provenance,
            allow_empty=True,
            nondeterministic=not _was_deterministic(work.opening),
        ),
    )


def _was_deterministic(opening: Record) -> bool:
    said = opening.fields["environment"].get("stack")
    return isinstance(said, dict) and said.get("deterministic") is True


def _day(opening: Record) -> str | None:
    return FedFacts.read(opening.fields["fed"]).day


def _require_logged(opening: Record, base: BaseModel, dataset: CommittedDataset) -> None:
    said, mine = opening.fields["dataset"], dataset.root.to_json()
    logged = {name: said.get(name) for name in mine}
    if logged != mine:
        raise VerificationError(
            "the dataset at hand is not the run's",
            where=str(dataset.folder),
            expected=logged,
            actual=mine,
        )
    if not binds_files(opening):
        raise NotFound(
            "runs whose log binds no files of the base cannot be replayed", where="run.open base"
        )
    base_of(opening).require(base.dir)


def _start(work: Work) -> Path | None:
    """A copy of the starting checkpoint that is as logged; None if the segment starts from the
    seed.
    """
    placed = work.segment.start
    if placed is None:
        return None
    source = folder_of(work.folder, placed.fields["path"])
    if not source.is_dir():
        raise NotFound("no such checkpoint", where=str(source), hint="replay from an earlier one")
    copy = work.scratch / source.name
    shutil.copytree(source, copy, symlinks=True)
    verify_checkpoint(copy, placed.record)
    step = read_json(copy / _STATE).get("global_step")
    if step != placed.fields["step"]:
        raise VerificationError(
            "checkpoint is of another step than its record says",
            where=f"{source / _STATE} global_step",
            expected=placed.fields["step"],
            actual=step,
        )
    return copy


def _weights_of(run: PreparedRun) -> Weights:
    return {
        name: tensor.detach().float().cpu().numpy().copy()
        for name, tensor in get_peft_model_state_dict(run.model).items()
    }


def _made(work: Work, run: PreparedRun, end: Placed) -> CheckpointDigests:
    """What was made in place of a logged checkpoint."""
    again = _again(work, end)
    if not is_resumable(end):
        ship_adapter(run.model, run.base.name, again)
    return checkpoint_digests(again)


def _again(work: Work, end: Placed) -> Path:
    return folder_of(work.scratch / "again", end.fields["path"])


def _distance(work: Work, end: Placed, made: CheckpointDigests, start: Weights) -> Distance | None:
    """How far the weights are from the logged ones; None if these are not at hand as logged."""
    if str(made.weights) == end.fields["weights"] or not is_resumable(end):
        return None
    logged = folder_of(work.folder, end.fields["path"])
    try:
        verify_checkpoint(logged, end.record)
        return distance_of(load_weights(_again(work, end)), load_weights(logged), start)
    except (VerificationError, InputError, OSError):
        return None


@dataclass
class _Follow(TrainerCallback):
    """Compares each batch with the logged one, saves where the log did, and stops at the end."""

    work: Work
    dataset: CommittedDataset
    sampler: CommittedSampler
    say: Say
    fed: dict[tuple[int, int], Placed] = field(default_factory=dict)
    step: int = 0
    micro: int = 0

    def __post_init__(self) -> None:
        self.fed = dict(self.work.segment.fed)
        self.capture = BatchCapture(self._compare)
        self.began = time.monotonic()

    def _compare(self, snapshot: Snapshot) -> None:
        placed = self.fed.pop((self.step, self.micro), None)
        self.micro += 1
        where = f"step {self.step}, batch {self.micro - 1}"
        if placed is None:
            raise VerificationError("the log lacks a batch that the run's order feeds", where=where)
        _, indices, same = snapshot.load()
        leaves = [to_hex(self.dataset.leaf(i)) for i in indices or ()]
        if not same or leaves != placed.fields["leaves"]:
            raise VerificationError(
                "the log lists other records than the run's order feeds",
                where=f"record {placed.index}, {where}",
                expected=", ".join(leaves)[:200],
                actual=", ".join(placed.fields["leaves"])[:200],
            )

    def require_all_fed(self) -> None:
        """Check that every logged batch was fed again."""
        if self.fed:
            left = next(iter(self.fed.values()))
            raise VerificationError(
                "the log has a batch that the run's order does not feed",
                where=f"record {left.index}",
                actual=f"step {left.fields['step']}, batch {left.fields['micro']}",
            )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to watch the model."""
        self.capture.attach(kwargs["model"])
        self.began = time.monotonic()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the sampler its epoch: accelerate does not do so after a resume."""
        self.sampler.set_epoch(int((state.epoch or 0.0) + 1e-9))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step, from 1."""
        self.step, self.micro = state.global_step + 1, 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save where the log has a checkpoint, and stop at the segment's end."""
        done, segment = state.global_step, self.work.segment
        saved = {end.fields["step"] for end in segment.ends if is_resumable(end)}
        control.should_save = done in saved
        if done >= segment.last:
            control.should_training_stop = True
        spent = time.monotonic() - self.began
        left = spent / (done - segment.first + 1) * (segment.last - done)
        self.say(f"{segment}: step {done} of {segment.last}, about {left:.0f} s left")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop watching the model."""
        self.capture.detach()
