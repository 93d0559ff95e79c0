"""Training one segment of a run again, in this process, and comparing what comes out.

Nothing of the run is believed: base, dataset and starting checkpoint are compared with the log
before they are used, and the batches that are fed with the logged ones while they are fed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance.dataset.committed import CommittedDataset
from provenance.errors import InputError, NotFound, ProvenanceError, VerificationError
from provenance.ids import to_hex
from provenance.log.audit.agreement import Agreement
from provenance.log.fed import FedFacts
from provenance.log.graph.folders import base_of, binds_files
from provenance.log.graph.segments import Segment, is_resumable
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.progress import Say
from provenance_trainer.config import TrainConfig
from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.peft_setup import has_gpu, ship_adapter
from provenance_trainer.record.capture import BatchCapture, Snapshot
from provenance_trainer.record.checkpoints import (
    ADAPTER_WEIGHTS,
    CheckpointDigests,
    checkpoint_digests,
    folder_of,
)
from provenance_trainer.record.determinism import stack, threads_of, trained_on_gpu
from provenance_trainer.record.sampler import CommittedSampler, EpochOrders
from provenance_trainer.replay.compare import (
    Comparison,
    Distance,
    Weights,
    compare,
    distance_of,
    load_weights,
)
from provenance_trainer.replay.start import make_start, most_bytes, require_part, state_at
from provenance_trainer.run.train import PreparedRun, prepare_run


@dataclass(frozen=True)
class Work:
    """A segment to train again, and the material for it.

    opening, segment: of the log (attacker-controlled).
    seed: the run's 32 bytes, which order its epochs.
    folders: the run's, which hold its checkpoints (attacker-controlled); the first one holds the
        starting checkpoint.
    scratch: an empty folder of the caller's.
    """

    opening: Record
    seed: bytes
    segment: Segment
    folders: Sequence[Path]
    scratch: Path


@dataclass(frozen=True)
class Replayed:
    """What training again came to: a comparison of each end, up to the first that is not exact.

    stack: what trained again, as `run.open` records it of the run. seconds: of training.
    steps: how many optimizer steps the whole run has by its registered configuration.
    refused: the folder of the checkpoint that training could not begin with, so that it began with
        the seed.
    """

    comparisons: tuple[Comparison, ...]
    stack: Mapping[str, Any]
    seconds: float
    steps: int
    refused: str | None = None


def replay_segment(work: Work, base: BaseModel, dataset: CommittedDataset, say: Say) -> Replayed:
    """Train a segment again, and compare each checkpoint that the log has at its ends.

    It stops at the first that is not exact: what comes after it follows from another state.

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
    if trained_on_gpu(work.opening.fields["environment"]) and not has_gpu():
        raise NotFound(
            "the run says that it was trained on a GPU, which draws other random numbers",
            where="run.open environment.stack",
            hint="train again on a machine with one",
        )
    threads = threads_of(work.opening.fields["environment"])
    run = prepare_run(config, base, dataset, _day(work.opening), threads)
    again, start = Again(work, run, _weights_of(run)), None
    if work.segment.start is not None:
        state = state_at(work.segment.first - 1, len(dataset), config)
        start = make_start(work, work.segment.start, again.first, state)
        again.first = load_weights(start)
    trainer, orders = run.trainer, EpochOrders(work.seed, len(dataset))
    trainer.sampler = CommittedSampler(orders, batch_size=config.per_device_train_batch_size)
    follow = Follow(again, dataset, trainer.sampler, say, start)
    trainer.add_callback(follow)
    began = time.monotonic()
    if work.segment.batches:
        _train(run, start)
    seconds = time.monotonic() - began
    if again.is_exact:
        # Also where the registered configuration ends the training before the log does.
        follow.require_all_fed()
        again.ship()
        again.require_all_compared()
    made_on = stack(deterministic=_was_deterministic(work.opening))
    return Replayed(tuple(again.found), made_on, seconds, trainer.state.max_steps)


def _train(run: PreparedRun, start: Path | None) -> None:
    """Train. What the libraries refuse is said of this machine, and accuses nobody."""
    try:
        run.trainer.train(resume_from_checkpoint=None if start is None else str(start))
    except ProvenanceError:
        raise
    except Exception as error:
        raise NotFound(
            "training cannot be done again here",
            where="the seed" if start is None else start.name,
            actual=" ".join(f"{type(error).__name__}: {error}".split())[:300],
        ) from error


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


def _weights_of(run: PreparedRun) -> Weights:
    return {
        name: tensor.detach().float().cpu().numpy().copy()
        for name, tensor in get_peft_model_state_dict(run.model).items()
    }


class Again:
    """What is trained again, and how it compares so far.

    first: the weights that the segment begins with.
    """

    def __init__(self, work: Work, run: PreparedRun, first: Weights) -> None:
        self.work, self.first = work, first
        self.found: list[Comparison] = []
        self._run = run

    @property
    def shipped(self) -> bool:
        """Whether the segment ends with the shipped adapter."""
        return not is_resumable(self.work.segment.ends[-1])

    def end_at(self, step: int) -> Placed | None:
        """The checkpoint of training that the log has at a step, if the segment ends with it."""
        ends = self.work.segment.ends
        return next((e for e in ends if is_resumable(e) and e.fields["step"] == step), None)

    def saved(self, end: Placed) -> bool:
        """Compare what Trainer has just saved, and delete it; returns whether it is exact."""
        folder = Path(self._run.config.output_dir) / f"checkpoint-{end.fields['step']}"
        exact = self._compare(end, folder)
        shutil.rmtree(folder)  # training goes on from memory
        return exact

    @property
    def is_exact(self) -> bool:
        """Whether nothing came out otherwise so far."""
        return all(c.agreement is Agreement.EXACT for c in self.found)

    def require_all_compared(self) -> None:
        """Check that each end of a segment that is exact so far was compared.

        Raises:
            VerificationError: training again ended before it came to one.
        """
        compared = {c.index for c in self.found}
        left = [end for end in self.work.segment.ends if end.index not in compared]
        if self.is_exact and left:
            raise VerificationError(
                "training by the registered configuration does not come to a checkpoint of the log",
                where=f"record {left[0].index}",
                actual=f"step {left[0].fields['step']}",
            )

    def ship(self) -> None:
        """Make the adapter that is shipped, and compare it, if the segment ends with it."""
        if self.shipped:
            folder = self.work.scratch / "shipped"
            ship_adapter(self._run.model, self._run.base.name, folder)
            self._compare(self.work.segment.ends[-1], folder)

    def _compare(self, end: Placed, folder: Path) -> bool:
        made = checkpoint_digests(folder)
        self.found.append(compare(end, made, self._distance(end, folder, made)))
        return self.found[-1].agreement is Agreement.EXACT

    def _distance(self, end: Placed, folder: Path, made: CheckpointDigests) -> Distance | None:
        """How far the weights are from the logged ones; None if these are not at hand."""
        if str(made.weights) == end.fields["weights"]:
            return None
        for run in self.work.folders:
            logged = folder_of(run, end.fields["path"])
            try:
                require_part(logged / ADAPTER_WEIGHTS, end, "weights", most_bytes(self.first))
                return distance_of(load_weights(folder), load_weights(logged), self.first)
            except (VerificationError, InputError, OSError):
                continue
        return None


@dataclass
class Follow(TrainerCallback):
    """Compares each batch with the logged one, and each checkpoint; stops at the segment's end, or
    where the state is not the logged one.

    start: the folder that training goes on from, which is deleted once it was read.
    """

    again: Again
    dataset: CommittedDataset
    sampler: CommittedSampler
    say: Say
    start: Path | None = None
    fed: dict[tuple[int, int], Placed] = field(default_factory=dict)
    step: int = 0
    micro: int = 0

    def __post_init__(self) -> None:
        self.segment = self.again.work.segment
        self.fed = dict(self.segment.fed)
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
        if self.start is not None:  # Trainer has read all of it
            shutil.rmtree(self.start)
            self.start = None
        done, segment = state.global_step, self.segment
        control.should_save = self.again.end_at(done) is not None
        if done >= segment.last:
            control.should_training_stop = True
        spent = time.monotonic() - self.began
        left = spent / (done - segment.first + 1) * (segment.last - done)
        self.say(f"{segment}: step {done} of {segment.last}, about {left:.0f} s left")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Compare what was saved; what follows from another state says nothing."""
        end = self.again.end_at(state.global_step)
        if end is not None and not self.again.saved(end):
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop watching the model."""
        self.capture.detach()
