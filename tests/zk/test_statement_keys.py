"""Which keys `provenance chain deploy` makes for statements about datasets and weights."""

from __future__ import annotations

import pytest

from provenance.chain.deploy import DeployedKey, Deployment
from provenance.errors import ConfigError
from provenance.ids import Address
from provenance.judgement.facts import CONTRACTS, Contract
from provenance_cli.setup.deployment import audit_keys, model_keys
from provenance_zk.kinds import KINDS


def test_audit_keys_go_with_the_epoch_key() -> None:
    assert audit_keys(256, large=False) == [("sorted", 16, 5), ("member", 1, 5), ("absent", 1, 5)]
    large = audit_keys(4096, large=True)
    assert large == [
        (kind, slots, depth)
        for kind, slots in (("sorted", 256), ("member", 1), ("absent", 1))
        for depth in (5, 6)
    ]
    assert all(KINDS[kind].fits(slots, depth) for kind, slots, depth in large)


def test_model_keys_are_read_from_a_list() -> None:
    assert model_keys("") == []
    assert model_keys(" q8_0:3, merge:3:8,") == [("q8_0", 6, 3), ("merge", 3, 3 + 16 * 8)]
    assert model_keys("int8:7,merge:1:64") == [("int8", 6, 7), ("merge", 3, 1 + 16 * 64)]


@pytest.mark.parametrize(
    "text",
    [
        "q4_0:3",
        "q8_0",
        "q8_0:x",
        "q8_0:3:8",
        "merge:3",
        "q8_0:-1",
        "q8_0:\u0663",
        "epoch:0",
        "q8_0:0",
        "q8_0:8",
        "int8:19",
        "merge:16:8",
        "merge:3:24",
        "merge:3:0",
        "merge:19:7",
    ],
)
def test_other_model_keys_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        model_keys(f"q8_0:3,{text}")
    assert refused.value.where == "--model-keys"
    assert refused.value.actual == text


@pytest.mark.parametrize(
    ("kind", "slots", "depth", "expected", "hint"),
    [
        ("int8", None, None, "int8 key", "--model-keys int8:LEVELS"),
        ("merge", 3, 131, "merge key, 3 slots, 131 deep", "--model-keys merge:LEVELS:RANK"),
        ("sorted", 16, 5, "sorted key, 16 slots, 5 deep", "--audit-keys"),
        ("epoch", 4096, None, "epoch key, 4096 slots", "--slots N"),
    ],
)
def test_a_missing_key_is_named_with_what_deploys_it(
    kind: str, slots: int | None, depth: int | None, expected: str, hint: str
) -> None:
    address = "0x" + "11" * 20
    keys = (
        DeployedKey("0x" + "22" * 32, address, "epoch", 256, 0),
        DeployedKey("0x" + "33" * 32, address, "q8_0", 6, 3),
    )
    contracts = {name: Contract(Address(address), "0x") for name in CONTRACTS}
    deployment = Deployment(1, "0x", contracts, 1, "", keys)
    assert deployment.key("q8_0", 6, 3) == keys[1]
    with pytest.raises(ConfigError) as missing:
        deployment.key(kind, slots, depth)
    assert (missing.value.expected, missing.value.actual) == (expected, "epoch-256-0, q8_0-6-3")
    assert missing.value.hint == f"provenance chain deploy {hint}"
