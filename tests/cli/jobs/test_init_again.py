"""`init` on an installation that has contracts already: keys are added, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from provenance.chain import deploy as deploying
from provenance.chain.deploy import DeployedKey, Deployment, sources_digest
from provenance.chain.session import deployment_path
from provenance.errors import AuthError, ConfigError
from provenance.ids import Address
from provenance.judgement.facts import CONTRACTS, Contract
from provenance.judgement.trust import Key, Publisher
from provenance.judgement.trust_file import Bounds, load_trust, parse_trust, render
from provenance.settings import Settings
from provenance_cli.jobs.init import InitJob, InitRequest
from provenance_cli.setup.deployment import KeyShape, Wanted, model_keys
from provenance_cli.setup.keeping import carried, keep, recorded, wanted_keys
from provenance_zk.weights.run_proofs import is_stage_proven, stale_samples
from tests.support.core.log_maker import LogMaker, derived, trained

TINY_KEYS = "q8_0:1,q8_0:2,merge:1:8,merge:2:8"
MINE, OTHER = Address("0x" + "11" * 20), Address("0x" + "22" * 20)


def word(number: int) -> str:
    return f"0x{number:064x}"


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


def deployed(shapes: list[KeyShape]) -> Deployment:
    contracts = {name: Contract(address(i), word(i)) for i, name in enumerate(CONTRACTS, 1)}
    keys = tuple(DeployedKey(word(i), address(i), *shape) for i, shape in enumerate(shapes, 100))
    return Deployment(5, word(7), contracts, 9, sources_digest(), keys)


@pytest.fixture
def first() -> Deployment:
    return deployed(wanted_keys(256, TINY_KEYS, None).shapes)


def shapes(deployment: Deployment) -> list[KeyShape]:
    return [(k.kind, k.slots, k.depth) for k in deployment.keys]


@pytest.mark.parametrize(
    ("records", "weights"),
    [(None, None), (256, None), (100, ""), (256, "q8_0:2"), (None, TINY_KEYS)],
)
def test_fewer_keys_are_no_wish_to_lose_the_others(
    first: Deployment, records: int | None, weights: str | None
) -> None:
    assert wanted_keys(records, weights, first).shapes == shapes(first)


def test_keys_are_added_and_the_same_command_adds_nothing_more(first: Deployment) -> None:
    wanted = wanted_keys(4_096, "q8_0:3,q8_0:1", first)
    assert set(shapes(first)) < set(wanted.shapes)
    assert wanted.shapes[0] == ("epoch", 4_096, 0)  # the first epoch key is the one that is used
    assert set(model_keys("q8_0:3")) < set(wanted.shapes)
    second = deployed(wanted.shapes)
    assert wanted_keys(4_096, "q8_0:3,q8_0:1", second).shapes == shapes(second)
    assert wanted_keys(256, TINY_KEYS, second).shapes == shapes(second)


def test_a_recorded_deployment_is_found_without_a_chain(tmp_path: Path, first: Deployment) -> None:
    settings = Settings(home=tmp_path, cache=tmp_path)
    assert recorded(settings) is None
    first.save(deployment_path(settings))
    assert recorded(settings) == first
    job = InitJob(InitRequest(), {"PROVENANCE_HOME": str(tmp_path), "HOME": str(tmp_path)})
    assert job.wanted.shapes == shapes(first)


def test_a_deployment_of_an_earlier_release_stays_what_it_was(
    tmp_path: Path, first: Deployment
) -> None:
    """It has four contracts, and so have the trust files that pin it."""
    contracts = {name: c for name, c in first.contracts.items() if name != "attestations"}
    earlier = replace(first, contracts=contracts)
    earlier.save(tmp_path / "deployment.json")
    assert Deployment.load(tmp_path / "deployment.json") == earlier
    assert (earlier.attestations, first.attestations) == (None, address(5))
    trust = parse_trust(render("local", earlier.chain, (), (Publisher(MINE, "me"),)).encode())
    assert trust.contracts == contracts
    for name in ("registry", "ledger", "audits", "models"):
        value = json.loads((tmp_path / "deployment.json").read_text())
        del value[name]
        (tmp_path / "broken.json").write_text(json.dumps(value))
        with pytest.raises(ConfigError, match="not a deployment file of this version"):
            Deployment.load(tmp_path / "broken.json")


class Sender:
    """Deploys nothing, and notes what it was asked to deploy."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def send(self, label: str, to: None, code: bytes) -> SimpleNamespace:
        self.labels.append(label.partition(":")[0])
        return SimpleNamespace(contract_address=address(500 + len(self.labels)))


class Node:
    """A chain on which every contract has some code."""

    def chain_id(self) -> int:
        return 5

    def block(self, tag: object) -> SimpleNamespace:
        return SimpleNamespace(number=9, hash=bytes(32))


@pytest.mark.parametrize(
    ("added", "sent"),
    [
        (None, []),
        (("q8_0", 4, 9), ["key", "ModelLedger"]),
        (("member", 1, 6), ["key", "DatasetAudits"]),
        (("tree", 4_096, 5), ["key", "ProofLedger", "DatasetAudits"]),
    ],
)
def test_only_contracts_whose_keys_change_are_deployed_anew(
    monkeypatch: pytest.MonkeyPatch, added: KeyShape | None, sent: list[str]
) -> None:
    monkeypatch.setattr(deploying, "code_hash", lambda rpc, at: word(1))
    words = {shape: bytes([i]) * 32 for i, shape in enumerate(Wanted(256).shapes)}
    words |= dict.fromkeys(model_keys("q8_0:1"), b"w" * 32)
    asked = [(*shape, data) for shape, data in words.items()]
    first = deploying.deploy(Node(), Sender(), asked)  # type: ignore[arg-type]
    sender = Sender()
    more = [] if added is None else [(*added, b"\x99" * 32)]
    second = deploying.deploy(Node(), sender, [*more, *asked], first)  # type: ignore[arg-type]
    assert sender.labels == sent
    assert second.registry == first.registry
    assert (second.models == first.models) == ("ModelLedger" not in sent)
    assert (second.ledger == first.ledger) == ("ProofLedger" not in sent)
    assert set(first.keys) <= set(second.keys)


def test_an_older_kept_trust_file_is_never_replaced(tmp_path: Path) -> None:
    trust = tmp_path / "trust.yaml"
    for number, text in enumerate(("first", "second", "third"), 1):
        trust.write_text(text)
        assert keep(trust).name == f"trust.yaml.{number}"
        assert keep(trust).name == f"trust.yaml.{number}"  # killed, and run again
    kept = [(tmp_path / f"trust.yaml.{n}").read_text() for n in (1, 2, 3)]
    assert kept == ["first", "second", "third"]


def test_what_was_added_by_hand_is_carried_over(tmp_path: Path, first: Deployment) -> None:
    path, key = tmp_path / "trust.yaml", Key(word(900), "epoch", "dev")
    second = deployed([*shapes(first), ("q8_0", 4, 9)])
    keys = tuple(Key(k.vk_id, k.kind, "dev") for k in second.keys)
    text = render("local", second.chain, keys, (Publisher(MINE, "default"),))
    assert carried(text, path) == text
    by_hand = (Publisher(MINE, "default", 3), Publisher(OTHER, "friend", 5, 80))
    path.write_text(render("production", first.chain, (*keys[:-1], key), by_hand, Bounds(12)))
    path.with_name("new.yaml").write_text(carried(text, path))
    new = load_trust(path.with_name("new.yaml"))
    assert new.publishers == by_hand
    assert new.keys == (*keys, key)
    assert (new.environment, new.confirmations) == ("production", 12)
    assert new.contracts == second.contracts


def test_trust_in_another_chain_is_not_carried_over(tmp_path: Path, first: Deployment) -> None:
    path, text = tmp_path / "trust.yaml", render("local", first.chain, (), ())
    other = replace(first, genesis=word(8)).chain
    path.write_text(render("production", other, (), (Publisher(OTHER, "friend"),)))
    assert carried(text, path) == text


def test_a_password_file_that_others_can_read_is_refused_first(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    job = InitJob(InitRequest(), {"PROVENANCE_HOME": str(tmp_path), "HOME": str(tmp_path)})
    with pytest.raises(AuthError, match="can be read by others"):
        job.check()


def test_proofs_on_another_contract_do_not_count() -> None:
    log = derived(trained(LogMaker()))
    begin = log.history()
    for stage in ("merge", "quantize"):
        log.sample(stage, ledger=MINE)
    old = log.history()
    for stage in ("merge", "quantize"):
        assert is_stage_proven(old, stage, MINE)
        assert not is_stage_proven(old, stage, OTHER)
    assert stale_samples(old, MINE) == []
    assert stale_samples(old, OTHER) == [MINE, MINE]
    log.sample("merge", ledger=OTHER)
    assert is_stage_proven(log.history(), "merge", OTHER)
    assert not is_stage_proven(log.history(), "merge", MINE)  # a verifier looks at the newest
    assert not is_stage_proven(begin, "merge", MINE)
    assert not is_stage_proven(derived(log).history(), "merge", MINE)
