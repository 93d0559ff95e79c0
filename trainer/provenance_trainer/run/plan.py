"""Estimates what a run will cost, from its configuration and the size of its dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from provenance.errors import InputError
from provenance_trainer.config import TrainConfig
from provenance_zk.training.submission import BATCH

EPOCH_SLOTS = (256, 4_096, 20_480, 86_016, 344_064)
# Seconds per proof on two CPU cores, by slots of the key. 20,480 and 344,064 were measured with
# gnark 0.16; the others are scaled by the number of constraints.
_EPOCH_PROOF_S = {256: 0.05, 4_096: 0.25, 20_480: 0.95, 86_016: 3.7, 344_064: 14.0}
_TREE_PROOF_S = {256: 0.25, 4_096: 3.2}
# run.open, seed, two evaluations, merge, quantize, release, run.close
_SINGLE_RECORDS = 8
# Measured with SmolLM2-135M and LoRA on two CPU cores: 1.9 s for 4 x 128 tokens.
_SECONDS_PER_TOKEN_AND_PARAMETER = 2.8e-11


@dataclass(frozen=True)
class Plan:
    """Counts of a run.

    batches: Micro batches.
    steps: Optimizer steps.
    checkpoints: Those that are recorded; each ends a segment that can be trained again by itself.
    saves: Those of them that `save_steps` asks for, and the last one.
    segment_steps: Steps of the longest segment.
    consumed: Positions of the last epoch that are fed.
    remainder: Positions of the last epoch that are not fed.
    slots: Slots of the smallest epoch key that holds the dataset in one proof, else of the largest.
    chunks: Proofs per epoch.
    tree_chunks, link_chunks: Proofs for registering the dataset, which happens once per dataset.
    anchors: Heads committed to the chain: one per interval, one per save, one at the end.
    proof_transactions: Transactions of `provenance prove`, by how many epoch proofs they have.
    transactions: All transactions from the run's opening to its release, without proofs of weights.
    registration_transactions: Transactions for registering the dataset.
    training_s, proving_s, registration_s: Estimated seconds on two CPU cores.
    """

    records: int
    epochs: int
    batches: int
    steps: int
    checkpoints: int
    saves: int
    segment_steps: int
    consumed: int
    remainder: int
    log_records: int
    slots: int
    chunks: int
    tree_chunks: int
    link_chunks: int
    anchors: int
    proof_transactions: Mapping[int, int]
    transactions: int
    registration_transactions: int
    training_s: float
    proving_s: float
    registration_s: float


@dataclass(frozen=True)
class _Feeding:
    """What is fed: `samples` in `batches` micro batches, `consumed` of them in the last epoch."""

    epochs: int
    steps: int
    batches: int
    samples: int
    consumed: int


@dataclass(frozen=True)
class Ends:
    """Checkpoints that a run writes: those that `save_total_limit` counts, and those that stay."""

    counted: int
    kept: int


def slots_for(count: int) -> int:
    """Slots of the epoch key that is used for `count` records."""
    return next((n for n in EPOCH_SLOTS if n >= count), EPOCH_SLOTS[-1])


def proofs_by_transaction(epochs: int, chunks: int) -> dict[int, int]:
    """How many transactions of `provenance prove` have so many proofs, by this number.

    As many whole epochs as fit into a batch go together. An epoch that is larger than a batch is
    split into equal parts.

    Args:
        chunks: Proofs per epoch.
    """
    together = max(1, BATCH // chunks)
    full, rest = divmod(epochs, together)
    found = Counter[int]()
    for proofs, times in ((together * chunks, full), (rest * chunks, 1)):
        parts = math.ceil(proofs / BATCH)
        for i in range(parts):
            found[proofs * (i + 1) // parts - proofs * i // parts] += times
    return {size: times for size, times in found.items() if times}


def plan(
    config: TrainConfig,
    count: int,
    *,
    parameters: int = 134_515_008,
    tokens: int | None = None,
    world_size: int = 1,
) -> Plan:
    """Plan a run.

    Args:
        count: How many records the dataset has.
        parameters: How many parameters the base model has; the default is SmolLM2-135M's.
        tokens: Average length of a fed sample; None for `max_length`, an upper bound.
        world_size: How many processes train.

    Raises:
        InputError: there are no records.
    """
    if count < 1:
        raise InputError("dataset is empty", expected=">= 1", actual=count)
    fed = _feeding(config, count, world_size)
    sample_tokens = config.max_length if tokens is None else min(tokens, config.max_length)
    training_s = fed.samples * sample_tokens * parameters * _SECONDS_PER_TOKEN_AND_PARAMETER
    saves = math.ceil(fed.steps / config.save_steps)
    ends = ends_of(config, fed.steps)
    checkpoints = ends.counted + ends.kept
    segment_steps = config.provenance.segment_steps or config.save_steps
    slots = slots_for(count)
    chunks = math.ceil(count / slots)
    tree_size = 256 if slots == 256 else 4_096
    trees = math.ceil(count / tree_size)
    anchors = math.ceil(training_s / config.provenance.anchor_interval_s) + saves + 1
    proof_transactions = proofs_by_transaction(fed.epochs, chunks)
    anchorings = 0 if chunks <= BATCH else fed.epochs  # else they are made with the proofs
    # openRun and drawSeed, heads, anchorings of epochs, proofs, release
    transactions = 2 + anchors + anchorings + sum(proof_transactions.values()) + 1
    return Plan(
        records=count,
        epochs=fed.epochs,
        batches=fed.batches,
        steps=fed.steps,
        checkpoints=checkpoints,
        saves=saves,
        segment_steps=min(segment_steps, fed.steps),
        consumed=fed.consumed,
        remainder=count - fed.consumed,
        log_records=fed.batches + checkpoints + fed.epochs + _SINGLE_RECORDS,
        slots=slots,
        chunks=chunks,
        tree_chunks=trees,
        link_chunks=chunks,
        anchors=anchors,
        proof_transactions=proof_transactions,
        transactions=transactions,
        registration_transactions=2 + trees + chunks,
        training_s=training_s,
        proving_s=fed.epochs * chunks * _EPOCH_PROOF_S[slots],
        registration_s=trees * _TREE_PROOF_S[tree_size] + chunks * _EPOCH_PROOF_S[slots],
    )


def ends_of(config: TrainConfig, steps: int) -> Ends:
    """How many checkpoints a run of so many steps writes, 1 or more."""
    before = steps - 1
    saves = before // config.save_steps
    segment = config.provenance.segment_steps
    if segment is None:
        return Ends(saves + 1, 0)
    both = before // math.lcm(config.save_steps, segment)
    last = 1 if steps % segment else 0
    return Ends(saves - both + last, before // segment + 1 - last)


def _feeding(config: TrainConfig, count: int, world_size: int) -> _Feeding:
    per_round = config.per_device_train_batch_size * world_size
    fed = count if world_size == 1 else count // per_round * per_round
    rounds = math.ceil(fed / per_round)
    steps_per_epoch = max(1, math.ceil(rounds / config.gradient_accumulation_steps))
    steps = config.max_steps if config.max_steps > 0 else steps_per_epoch * config.num_train_epochs
    full, rest_steps = divmod(steps, steps_per_epoch)
    rest_rounds = min(rest_steps * config.gradient_accumulation_steps, rounds)
    rest = min(rest_rounds * per_round, fed)
    return _Feeding(
        epochs=full + (1 if rest_steps else 0),
        steps=steps,
        batches=(full * rounds + rest_rounds) * world_size,
        samples=full * fed + rest,
        consumed=rest if rest_steps else fed,
    )
