"""Trust files and policies are read strictly.

What is not understood exactly is refused, with the name of the wrong key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from provenance.errors import ConfigError, UnavailableError
from provenance.ids import Address
from provenance.judgement.facts import ChainIdentity, Contract
from provenance.judgement.policy import (
    ALWAYS_REQUIRED,
    CLAIMS,
    DEFAULT_REQUIRED,
    Policy,
    SampleBar,
    load_policy,
)
from provenance.judgement.trust import Key, Publisher
from provenance.judgement.trust_file import Bounds, load_trust, parse_trust, render, to_yaml
from provenance.judgement.verdict import Grade

ADDRESS, HASH = "0x" + "ab" * 20, "0x" + "cd" * 32


def good() -> dict[str, Any]:
    contract = Contract(Address(ADDRESS), HASH)
    chain = ChainIdentity(31337, HASH, {"registry": contract, "ledger": contract})
    keys = (
        Key(HASH, "epoch", "dev"),
        Key("0x" + "11" * 32, "tree", "ceremony", "sha256:" + "00" * 32),
    )
    text = render("test", chain, keys, (Publisher(Address(ADDRESS), "me", 3, 9),), Bounds(12))
    return dict(yaml.safe_load(text))


def at(value: Any, path: str) -> tuple[Any, Any]:
    parts = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in parts[:-1]:
        value = value[part]
    return value, parts[-1]


def parse(value: Any) -> Any:
    return parse_trust(yaml.safe_dump(value).encode())


def test_render_and_parse_agree() -> None:
    trust = parse(good())
    again = parse_trust(to_yaml(trust).encode())
    assert (again.keys, again.publishers, again.contracts, again.confirmations) == (
        trust.keys,
        trust.publishers,
        trust.contracts,
        12,
    )
    assert trust.key(HASH).klass == "dev"


def test_a_publisher_that_is_a_contract_has_its_code_hash() -> None:
    value = good()
    assert parse(value).publishers[0].code_hash is None
    value["publishers"][0]["code_hash"] = HASH
    trust = parse(value)
    assert trust.publishers[0].code_hash == HASH
    assert parse_trust(to_yaml(trust).encode()).publishers == trust.publishers
    value["publishers"][0]["code_hash"] = "0x12"
    with pytest.raises(ConfigError, match="not a hex value"):
        parse(value)


def test_a_quorum_is_what_the_file_says_else_all_endpoints() -> None:
    value = good()
    assert [parse(value).needed(n) for n in (1, 2, 5)] == [1, 2, 5]
    value["chain"]["quorum"] = 2
    trust = parse(value)
    assert parse_trust(to_yaml(trust).encode()).quorum == 2
    assert [trust.needed(n) for n in (2, 3)] == [2, 2]
    with pytest.raises(UnavailableError, match="fewer endpoints than the trust file wants"):
        trust.needed(1)
    value["chain"]["quorum"] = 0
    with pytest.raises(ConfigError, match="too small"):
        parse(value)


@pytest.mark.parametrize("name", ["audits", "models", "attestations"])
def test_contracts_of_statements_are_optional_and_read_strictly(name: str) -> None:
    value = good()
    assert name not in parse(value).contracts
    value["contracts"][name] = {"address": ADDRESS, "code_hash": HASH}
    trust = parse(value)
    assert trust.contracts[name] == Contract(Address(ADDRESS), HASH)
    again = parse_trust(to_yaml(trust).encode())
    assert again.contracts == trust.contracts
    del value["contracts"][name]["code_hash"]
    with pytest.raises(ConfigError) as refused:
        parse(value)
    assert f"contracts.{name}.code_hash" in str(refused.value.where)
    value["contracts"][name] = None
    with pytest.raises(ConfigError):
        parse(value)


REQUIRED = [
    "format",
    "environment",
    "chain",
    "chain.id",
    "chain.genesis",
    "contracts",
    "contracts.registry",
    "contracts.ledger",
    "contracts.registry.address",
    "contracts.ledger.code_hash",
    "keys",
    "keys.0.vk_id",
    "keys.0.kind",
    "keys.0.class",
    "publishers",
    "publishers.0.address",
    "publishers.0.name",
]


@pytest.mark.parametrize("path", REQUIRED)
def test_a_missing_key_is_named(path: str) -> None:
    value = good()
    parent, name = at(value, path)
    del parent[name]
    with pytest.raises(ConfigError, match="lacks a key") as caught:
        parse(value)
    assert str(caught.value.where).endswith(str(name))


@pytest.mark.parametrize(
    "path",
    [
        "extra",
        "chain.extra",
        "contracts.extra",
        "contracts.ledger.extra",
        "keys.0.extra",
        "publishers.0.extra",
    ],
)
def test_an_unknown_key_is_named(path: str) -> None:
    value = good()
    parent, name = at(value, path)
    parent[name] = 1
    with pytest.raises(ConfigError, match="unknown key") as caught:
        parse(value)
    assert "extra" in str(caught.value.where)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("format", "provenance-trust/2"),
        ("environment", "prod"),
        ("environment", 1),
        ("chain", []),
        ("chain.id", "31337"),
        ("chain.id", True),
        ("chain.id", -1),
        ("chain.id", 0),
        ("chain.genesis", HASH[:-1]),
        ("chain.genesis", HASH[2:]),
        ("chain.genesis", 0xCDCD),
        ("chain.confirmations", 0),
        ("chain.confirmations", -5),
        ("chain.confirmations", "12"),
        ("contracts.registry.address", HASH),
        ("contracts.registry.code_hash", "0x" + "g" * 64),
        ("keys", {}),
        ("keys", [1]),
        ("keys.0.kind", "merged"),
        ("keys.0.class", "production"),
        ("keys.0.class", "ceremony"),
        ("keys.0.vk_id", ADDRESS),
        ("keys.1.transcript", 5),
        ("publishers", None),
        ("publishers.0.address", "me"),
        ("publishers.0.from_block", "3"),
        ("publishers.0.to_block", 1.5),
        ("publishers.0.name", 5),
        ("publishers.0.name", ""),
        ("publishers.0.name", " "),
        ("publishers.0.from_block", -5),
        ("publishers.0.to_block", 2),
        ("publishers.0.to_block", -1),
    ],
)
def test_a_wrong_value_is_refused(path: str, wrong: Any) -> None:
    value = good()
    parent, name = at(value, path)
    parent[name] = wrong
    with pytest.raises(ConfigError):
        parse(value)


# Nine lists, each nine times the one before: 400 million words where it is shown
GROWING = "require:\n- &l0 [a]\n" + "".join(
    f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
HUGE = "0x" + "f" * 5000  # Python computes it, and then does not print it


@pytest.mark.parametrize(
    ("line", "other", "words"),
    [
        ("version: 1", f"version: {HUGE}", "5002 characters"),
        ("version: 1", f"version: -{HUGE}", "5003 characters"),
        ("version: 1", "version: 18446744073709551616", "more than 64 bits"),
        ("version: 1", "version: !!int 7", "tag 'tag:yaml.org,2002:int' is not read"),
        ("version: 1", "version: !!bool maybe", "is not read"),
        ("environment: test", "environment: !!str test", "is not read"),
        ("environment: test", "environment: ! test", "is not read"),
        ("id: 31337", f"id: {HUGE}", "line 5"),
    ],
)
def test_tags_and_numbers_without_end_are_refused_with_their_line(
    line: str, other: str, words: str
) -> None:
    """They ended the program, there or where the number was printed."""
    text = yaml.safe_dump(good(), sort_keys=False)
    assert text.count(line) == 1
    with pytest.raises(ConfigError, match="not YAML") as refused:
        parse_trust(text.replace(line, other).encode())
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    largest = text.replace("version: 1", f"version: {2**64 - 1}")
    assert parse_trust(largest.encode()).version == 2**64 - 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"a: [",
        b"\xff\xfe\x00",
        b"a: !!python/object/apply:os.system [id]",
        b"when: 2026-13-45",
        b"[" * 1500,
        b"? [a]\n: b",
        b"{1: 2}",
    ],
    ids=[
        "empty",
        "a list",
        "no YAML",
        "no UTF-8",
        "a Python object",
        "an impossible date",
        "deeply nested",
        "a list as key",
        "a number as key",
    ],
)
def test_what_is_no_trust_file_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_trust(data)


def test_no_trust_file_is_an_error_that_says_where_to_put_one() -> None:
    with pytest.raises(ConfigError, match="no trust file") as caught:
        load_trust(None)
    assert "--trust" in str(caught.value.hint)


def test_a_missing_trust_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read trust file"):
        load_trust(tmp_path / "none.yaml")


@pytest.mark.parametrize(("block", "trusted"), [(2, False), (3, True), (9, True), (10, False)])
def test_a_publisher_counts_within_its_blocks_only(block: int, trusted: bool) -> None:
    assert (
        parse(good()).publisher(ADDRESS.upper().replace("0X", "0x"), block) is not None
    ) is trusted


def test_another_address_is_no_publisher() -> None:
    assert parse(good()).publisher("0x" + "00" * 20, 5) is None


# Policies


def policy(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return load_policy(path)


FORMAT = "format: provenance-policy/1\n"


def test_the_default_policy_requires_the_main_claims() -> None:
    assert load_policy(None).require == DEFAULT_REQUIRED <= set(CLAIMS)


def test_a_policy_may_require_more(tmp_path: Path) -> None:
    assert (
        policy(tmp_path, FORMAT + "require: [file.recomputed]\nmode: warn").require
        == {"file.recomputed"} | ALWAYS_REQUIRED
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "format: other",
        FORMAT + "x: 1",
        FORMAT + "1: 1\nb: 2",
        FORMAT + "require: [nothing.such]",
        FORMAT + "require: all",
        FORMAT + "require: [[a]]",
        FORMAT + "require: [{a: b}]",
        FORMAT + "require: [1]",
        FORMAT + "mode: off",
        FORMAT + "mode: [warn]",
        FORMAT + "onNoMatch: allow",
        FORMAT + "environment: prod",
        FORMAT + "environment: [local]",
        FORMAT + "environment:",
        FORMAT + "environment: !!null production",
        FORMAT + "mode: !!bool warn",
        FORMAT + "mode: !!timestamp warn",
        FORMAT + "mode: 2026-01-01T00:00:00+99:99",
        FORMAT + f"mode: {HUGE}",
        FORMAT + f"require: [{HUGE}]",
        FORMAT + f"require: [{'1' * 90}]",
        FORMAT + GROWING,
        "a: [",
        "[" * 1500,
        FORMAT + "mode: 2026-13-45",
        *(
            FORMAT + f"samples: {bar}"
            for bar in (
                "0.01",
                "",
                "[]",
                "{fraction: 0.01}",
                "{fraction: 0.01, confidence: 0.99, draws: 3}",
                "{fraction: 0.0, confidence: 0.99}",
                "{fraction: 0.01, confidence: 1.0}",
                "{fraction: .nan, confidence: 0.99}",
                "{fraction: true, confidence: 0.99}",
                "{fraction: 1, confidence: 0.99}",
                "{fraction: a, confidence: 0.99}",
                "{fraction: -0.1, confidence: 0.99}",
                "{fraction: [0.1], confidence: .inf}",
            )
        ),
        *(
            FORMAT + f"replayed: {share}"
            for share in (
                "0.5",
                "",
                "{}",
                "{share: 0}",
                "{share: 1.01}",
                "{share: -0.5}",
                "{share: .nan}",
                "{share: true}",
                "{share: all}",
                "{share: 0.5, auditors: 2}",
            )
        ),
    ],
    ids=lambda text: f"{text.removeprefix(FORMAT)!r:.40}",
)
def test_a_policy_that_is_not_understood_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        policy(tmp_path, text)
    assert "policy.yaml" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "edges",
    [
        "[]",
        "{merged: proven}",
        "{merged_from: best}",
        "{merged_from: 5}",
        "{merged_from: }",
        "{merged_from: [sampled]}",
        "{merged_from: {a: b}}",
    ],
)
def test_an_edge_or_grade_that_does_not_exist_is_refused(tmp_path: Path, edges: str) -> None:
    with pytest.raises(ConfigError, match="edge"):
        policy(tmp_path, FORMAT + f"edges: {edges}")


def test_a_policy_may_demand_grades(tmp_path: Path) -> None:
    read = policy(tmp_path, FORMAT + "edges: {merged_from: sampled}")
    assert read.edges == {"merged_from": Grade.SAMPLED}


@pytest.mark.parametrize(("share", "read"), [("0.25", 0.25), ("1", 1.0), ("1.0", 1.0)])
def test_a_policy_may_demand_a_share_of_segments(tmp_path: Path, share: str, read: float) -> None:
    assert policy(tmp_path, FORMAT + f"replayed: {{share: {share}}}").replayed == read
    assert load_policy(None).replayed is None


def test_a_policy_may_say_what_samples_must_detect(tmp_path: Path) -> None:
    assert policy(
        tmp_path, FORMAT + "samples: {fraction: 0.01, confidence: 0.99}"
    ).samples == SampleBar(0.01, 0.99)
    assert load_policy(None).samples is None


@pytest.mark.parametrize(
    ("draws", "anchorings", "caught"),
    [(459, 1, 0.9900), (459, 100, 0.0079), (459, 101, 0.0), (0, 1, 0.0)],
)
def test_detection_falls_with_every_anchoring(draws: int, anchorings: int, caught: float) -> None:
    assert SampleBar(0.01, 0.99).caught(draws, anchorings) == pytest.approx(caught, abs=1e-4)


def test_a_missing_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read policy"):
        load_policy(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("trust", "own", "allowed"),
    [
        ("local", None, True),
        ("local", "local", True),
        ("local", "production", False),
        ("test", None, False),
        ("production", "local", False),
    ],
)
def test_a_policy_can_only_be_stricter_about_environments(
    trust: str, own: str | None, allowed: bool
) -> None:
    assert Policy(environment=own).allows_development(trust) is allowed
