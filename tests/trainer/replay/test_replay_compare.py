"""Distances between weights, and what counts as close."""

from __future__ import annotations

import math

import numpy as np
import pytest

from provenance.digest import sha256
from provenance.log.audit.agreement import Agreement
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance_trainer.record.checkpoints import CheckpointDigests
from provenance_trainer.replay.checker import different_of
from provenance_trainer.replay.compare import (
    BOUND,
    Comparison,
    Distance,
    compare,
    distance_of,
)
from provenance_trainer.replay.run import Outcome, Replay

FIRST = {"a": np.zeros((2, 2), np.float32)}
LOGGED = {"a": np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)}


def test_distance_is_in_lengths_of_the_way() -> None:
    assert distance_of(FIRST, LOGGED, FIRST) == Distance(1.0, 0x40800000)
    made = {"a": np.nextafter(LOGGED["a"], np.float32(9))}
    found = distance_of(made, LOGGED, FIRST)
    assert found is not None
    assert found.ulp == 1
    assert 0 < found.way < 1e-6


def test_neighbours_across_zero_are_one_apart() -> None:
    made = {"a": np.array([[3.0, -0.0], [np.float32(1e-45), 4.0]], np.float32)}
    found = distance_of(made, LOGGED, FIRST)
    assert found is not None
    assert found.ulp == 1


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"b": LOGGED["a"]},
        {"a": np.zeros((2, 3), np.float32)},
        {"a": np.full((2, 2), np.nan, np.float32)},
    ],
)
def test_weights_that_training_cannot_make_are_beyond_all_bounds(
    made: dict[str, np.ndarray],
) -> None:
    """As the logged ones: what was made here is not the publisher's choice."""
    beyond = Distance(math.inf, 0)
    assert distance_of(LOGGED, made, FIRST) == beyond
    assert distance_of(LOGGED, FIRST, FIRST) == beyond  # a way of no length
    assert "beyond all bounds" in str(beyond)


def test_what_this_machine_could_not_train_says_nothing() -> None:
    assert distance_of({"a": np.full((2, 2), np.nan, np.float32)}, LOGGED, FIRST) is None


def placed(**digests: str) -> Placed:
    fields = {"step": 2, "path": "checkpoint-2", **digests}
    return Placed(7, Record("checkpoint", "2026-01-01T00:00:00Z", fields, 2))


def digests(weights: bytes, optimizer: bytes | None = b"o") -> CheckpointDigests:
    state = None if optimizer is None else sha256(optimizer)
    return CheckpointDigests(sha256(b"m"), sha256(weights), {}, state, None, None)


@pytest.mark.parametrize(
    ("made", "distance", "agreement", "differs"),
    [
        (digests(b"w"), None, Agreement.EXACT, ()),
        (digests(b"x"), Distance(BOUND, 9), Agreement.CLOSE, ("weights",)),
        (digests(b"x"), Distance(BOUND * 1.01, 9), Agreement.DIFFERENT, ("weights",)),
        (digests(b"x"), None, Agreement.UNKNOWN, ("weights",)),
        (digests(b"w", b"p"), None, Agreement.UNKNOWN, ("optimizer",)),
        (digests(b"w", None), None, Agreement.UNKNOWN, ("optimizer",)),
    ],
)
def test_classes(
    made: CheckpointDigests,
    distance: Distance | None,
    agreement: Agreement,
    differs: tuple[str, ...],
) -> None:
    logged = placed(weights=str(sha256(b"w")), optimizer=str(sha256(b"o")))
    found = compare(logged, made, distance)
    assert (found.agreement, found.differs) == (agreement, differs)
    assert str(found).startswith(f"checkpoint-2 (record 7): {agreement}")


def test_what_a_log_leaves_out_is_not_equal() -> None:
    """Else a publisher edits the optimizer between two segments, and each comes out as logged."""
    found = compare(placed(weights=str(sha256(b"w"))), digests(b"w"), None)
    assert (found.agreement, found.differs) == (Agreement.UNKNOWN, ("optimizer",))


@pytest.mark.parametrize("agreement", Agreement)
def test_only_a_checkpoint_that_is_far_off_is_named_as_different(agreement: Agreement) -> None:
    exact = Comparison(5, 1, "checkpoint-1", Agreement.EXACT)
    other = Comparison(9, 2, 'a" b', agreement, ("weights",), Distance(0.5, 7))
    found = different_of(Replay(2, (Outcome(0, (exact,)), Outcome(1, (other,))), ()))
    assert (found is not None) is (agreement is Agreement.DIFFERENT)
    if found is not None:
        assert found.where == 'record 9 "a\' b"'
        assert (found.expected, found.actual[:6]) == ("the logged weights", "0.5 of")
