"""Step 5: what happened in the run, as its log tells it: `run.open`, the seed, and what was fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provenance.errors import VerificationError
from provenance.ids import RunId, from_hex, to_hex
from provenance.judgement.facts import RunFacts
from provenance.log.record import Record
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log


def check_history(case: Case, chain: Chain, log: Log) -> Record:
    """The run was registered before its first batch, and its seed is the one drawn on chain.

    Returns:
        The `run.open` record that was registered.

    Raises:
        Stopped: the claim `run.preregistered` fails.
    """
    report, run = case.report, log.run
    with report.guarded("run.preregistered"):
        _check_opening(log)
        _check_seed(log)
        siblings = _siblings(chain, run)
        report.siblings = [to_hex(run_id) for run_id in siblings]
    report.holds(
        "run.preregistered",
        f"opened before training, seed drawn from block {run.draw_block}; "
        f"{len(siblings)} sibling runs on this dataset",
    )
    return log.records[0]


def _check_opening(log: Log) -> None:
    run, run_open = log.run, log.records[0]
    if run_open.digest != run.preregistration:
        raise VerificationError(
            "run was registered with another run.open record",
            where="record 0",
            expected=to_hex(run.preregistration),
            actual=run_open.digest.hex0x,
        )
    if run.owner != log.claim.owner:
        raise VerificationError(
            "release is not by the run's owner", expected=run.owner, actual=log.claim.owner
        )


def _check_seed(log: Log) -> None:
    """The logged seed is the one drawn on chain, and no batch was logged before it."""
    drawn = to_hex(log.run.seed)
    if not any(log.run.seed):
        raise VerificationError(
            "the run's seed was never drawn",
            where=to_hex(log.run.run_id),
            expected="a seed",
            actual="none",
        )
    index, seed = next(((i, r) for i, r in enumerate(log.records) if r.type == "seed"), (0, None))
    if seed is None or seed.fields["source"] != "chain" or seed.fields["seed"] != drawn:
        raise VerificationError(
            "seed in the log is not the one drawn on chain",
            where="seed record",
            expected=drawn,
            actual=seed.fields["seed"] if seed else "none",
        )
    before = next((i for i, r in enumerate(log.records[:index]) if r.type == "batch"), None)
    if before is not None:
        raise VerificationError("batches were logged before the seed", where=f"record {before}")


def _siblings(chain: Chain, run: RunFacts) -> list[RunId]:
    """Other runs of the owner on the same dataset.

    An owner who opens many runs can keep the one whose seed suits, so verdicts list them.
    """
    result = []
    for run_id in chain.snapshot.runs_of(run.owner):
        other = chain.snapshot.run(run_id)
        if run_id != run.run_id and other is not None and other.dataset_id == run.dataset_id:
            result.append(run_id)
    return result


def live_batches(records: Sequence[Record]) -> list[tuple[int, Record]]:
    """Batches that no later `resume` abandoned, each with its index in the log.

    Raises:
        VerificationError: a `resume` abandons a record that comes after it.
    """
    abandoned: set[int] = set()
    for index, record in enumerate(records):
        if record.type == "resume":
            for batch in record.fields["abandons"]:
                if batch >= index:
                    raise VerificationError(
                        "resume abandons a later record", where=f"record {index}", actual=batch
                    )
                abandoned.add(batch)
    return [(i, r) for i, r in enumerate(records) if r.type == "batch" and i not in abandoned]


@dataclass(frozen=True)
class EpochUse:
    """What the log says an epoch fed.

    consumed: number of positions fed.
    leaves: the leaf at each position, shape `(count, 32)`: those fed, then the remainder.
    last_index: index in the log of the epoch's last batch, 0 without one.
    """

    epoch: int
    consumed: int
    leaves: npt.NDArray[np.uint8]
    last_index: int


def epoch_use(
    records: Sequence[Record], epoch: int, count: int, remainder: Sequence[str]
) -> EpochUse:
    """Lay out one epoch's logged batches by position.

    Args:
        count: number of positions of an epoch, which is that of the dataset's records.
        remainder: leaves (`0x..`) at the positions that were not fed.

    Raises:
        VerificationError: a position that was fed twice, lies outside the epoch or was fed out of
            turn; a batch with more or fewer leaves than positions; or a remainder of the wrong
            length.
    """
    leaves: list[str] = []
    last = 0
    for index, record in live_batches(records):
        if record.fields["epoch"] == epoch:
            leaves += _next_leaves(index, record, len(leaves), count)
            last = index
    consumed = len(leaves)
    if len(remainder) != count - consumed:
        raise VerificationError(
            "epoch's remainder has the wrong length",
            where=f"epoch {epoch}",
            expected=count - consumed,
            actual=len(remainder),
        )
    data = b"".join(from_hex(leaf, 32) for leaf in [*leaves, *remainder])
    return EpochUse(epoch, consumed, np.frombuffer(data, np.uint8).reshape(count, 32), last)


def _next_leaves(index: int, record: Record, fed: int, count: int) -> list[str]:
    """The leaves of a batch, whose positions must follow the `fed` ones before it."""
    positions, leaves = record.fields["positions"], record.fields["leaves"]
    if len(positions) != len(leaves):
        raise VerificationError(
            "batch has another number of leaves than of positions",
            where=f"record {index}",
            expected=len(positions),
            actual=len(leaves),
        )
    for expected, position in enumerate(positions, fed):
        if position < expected or position >= count:
            raise VerificationError(
                "position fed twice or outside the epoch",
                where=f"record {index}",
                expected=f"each of 0..{count - 1} once",
                actual=position,
            )
        if position > expected:
            raise VerificationError(
                "position fed out of turn",
                where=f"record {index}",
                expected=f"{position - 1} before it",
                actual=position,
            )
    return list(leaves)
