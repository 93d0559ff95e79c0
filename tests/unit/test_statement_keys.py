"""Which keys `provenance chain deploy` makes for statements about datasets and weights."""

from __future__ import annotations

import pytest

from provenance.cli.setup_keys import audit_keys, model_keys
from provenance.errors import ConfigError
from provenance_zk.kinds import KINDS


def test_audit_keys_go_with_the_epoch_key() -> None:
    assert audit_keys(256, large=False) == [("sorted", 16, 5), ("member", 1, 5), ("absent", 1, 5)]
    large = audit_keys(4096, large=True)
    assert large == [(kind, slots, depth) for kind, slots in (("sorted", 256), ("member", 1), ("absent", 1)) for depth in (5, 6)]
    assert all(KINDS[kind].fits(slots, depth) for kind, slots, depth in large)


def test_model_keys_are_read_from_a_list() -> None:
    assert model_keys("") == []
    assert model_keys(" q8_0:3, merge:3:8,") == [("q8_0", 6, 3), ("merge", 3, 3 + 16 * 8)]
    assert model_keys("int8:7,merge:1:64") == [("int8", 6, 7), ("merge", 3, 1 + 16 * 64)]


@pytest.mark.parametrize(
    "text", ["q4_0:3", "q8_0", "q8_0:x", "q8_0:3:8", "merge:3", "q8_0:-1", "q8_0:\u0663", "epoch:0", "q8_0:0", "q8_0:8", "int8:19",
             "merge:16:8", "merge:3:24", "merge:3:0", "merge:19:7"],
)
def test_other_model_keys_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        model_keys(f"q8_0:3,{text}")
    assert refused.value.where == "--model-keys"
    assert refused.value.actual == text
