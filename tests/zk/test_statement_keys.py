"""Which keys `provenance chain deploy` makes for statements about datasets and weights."""

from __future__ import annotations

import pytest

from provenance.chain.deploy import DeployedKey, Deployment
from provenance.errors import ConfigError
from provenance.ids import Address
from provenance.judgement.facts import CONTRACTS, Contract
from provenance_cli.setup.deployment import audit_keys, model_keys
from provenance_zk.kinds import KINDS
from provenance_zk.weights.keys import levels_of, wanted_keys


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
        ("int8", None, None, "int8:LEVELS", "--no-audit-keys --model-keys q8_0:3,int8:LEVELS"),
        ("merge", 3, 131, "merge:3:8", "--no-audit-keys --model-keys q8_0:3,merge:3:8"),
        ("sorted", 16, 5, "sorted, 16 slots, depth 5", "--audit-keys --model-keys q8_0:3"),
        (
            "sorted",
            256,
            6,
            "sorted, 256 slots, depth 6",
            "--audit-keys --large --model-keys q8_0:3",
        ),
        (
            "epoch",
            4096,
            None,
            "epoch, 4096 slots",
            "--slots 4096 --no-audit-keys --model-keys q8_0:3",
        ),
    ],
)
def test_a_missing_key_is_named_with_what_deploys_it(
    kind: str, slots: int | None, depth: int | None, expected: str, hint: str
) -> None:
    deployment = two_keys()
    assert deployment.key("q8_0", 6, 3) == deployment.keys[1]
    with pytest.raises(ConfigError) as missing:
        deployment.key(kind, slots, depth)
    assert (missing.value.expected, missing.value.actual) == (expected, "epoch, 256 slots; q8_0:3")
    assert str(missing.value.hint).startswith(f"provenance chain deploy {hint} --trust-out FILE")


def two_keys() -> Deployment:
    address = "0x" + "11" * 20
    keys = (
        DeployedKey("0x" + "22" * 32, address, "epoch", 256, 0),
        DeployedKey("0x" + "33" * 32, address, "q8_0", 6, 3),
    )
    contracts = {name: Contract(Address(address), "0x") for name in CONTRACTS}
    return Deployment(1, "0x", contracts, 1, "", keys)


def test_all_missing_keys_are_named_at_once_with_the_value_that_deploys_them() -> None:
    deployment = two_keys()
    deployment.require_keys([("q8_0", 6, 3)])
    wanted = wanted_keys(("merge", "q8_0"), [(576, 576), (1536, 576), (7, 32), (576, 576)], 12)
    with pytest.raises(ConfigError) as missing:
        deployment.require_keys(wanted)
    assert missing.value.expected == "merge:1:16; merge:3:16; q8_0:1"
    value = "q8_0:3,merge:1:16,merge:3:16,q8_0:1"
    assert f"--model-keys {value} " in str(missing.value.hint)
    # What the hint says is what the command takes, and it deploys what was missing.
    assert set(wanted) <= set(model_keys(value))


@pytest.mark.parametrize(
    ("rows", "columns", "levels"),
    [
        (1, 1, 1),
        (7 * 16, 32, 1),
        (7 * 16 + 1, 32, 2),
        (7 * 16, 33, 2),
        (7 * 256, 32, 2),
        (7 * 256 + 1, 32, 3),
    ],
)
def test_levels_follow_from_the_shape(rows: int, columns: int, levels: int) -> None:
    assert levels_of(rows, columns) == levels
