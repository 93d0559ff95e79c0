"""The chain itself: restarts, reorganisations, another chain in its place, and a second EVM."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.anvil import EmbeddedChain
from provenance.chain.contracts import Reader
from provenance.chain.deploy import deploy, require_same_chain
from provenance.chain.genesis import first_time
from provenance.chain.rpc import Rpc
from provenance.chain.session import Session, embedded, load_deployment, manager_for
from provenance.chain.transactions import Limits, TransactionManager
from provenance.digest import sha256
from provenance.errors import (
    ConfigError,
    InputError,
    OutcomeUnknown,
    ProvenanceError,
    RejectedError,
    UnavailableError,
)
from provenance.ids import DatasetId, RunId
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Status
from provenance.settings import Settings
from provenance.signing.keystore import address_of, load_key
from provenance_cli.setup.deployment import Wanted, deploy_all, write_trust
from provenance_zk.prover.keys import find_key
from provenance_zk.training.registration import Keys
from tests.core.chain.geth_node import GETH, geth_node
from tests.support.chain import PASSWORD, Lab, write_keystore
from tests.support.spine import Run, build_run, failing, register_rows


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """Another embedded chain: the same chain id, another genesis, no contracts."""
    chain = EmbeddedChain(tmp_path / "chain")
    chain.up()
    yield chain
    chain.down()


def test_a_wiped_chain_in_the_place_of_the_pinned_one_fails(
    honest: Run, fresh: EmbeddedChain
) -> None:
    trust = honest.lab.trust
    reader = Reader(fresh.rpc(), trust.addresses)
    verdict = honest.judge(reader=reader)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])


def test_writing_to_another_chain_is_refused(lab: Lab, fresh: EmbeddedChain) -> None:
    with pytest.raises(ConfigError, match="wrong chain"):
        require_same_chain(fresh.rpc(), lab.deployment)
    require_same_chain(lab.chain.rpc(), lab.deployment)


def test_attempts_of_one_chain_are_not_sent_to_another(lab: Lab, fresh: EmbeddedChain) -> None:
    account = lab.session().account
    one, two = (manager_for(lab.settings, rpc, account) for rpc in (lab.chain.rpc(), fresh.rpc()))
    assert one._folder != two._folder


IDENTITY_PRECOMPILE = "0x" + "00" * 19 + "04"


def test_a_read_by_hash_is_refused_once_the_block_is_gone(fresh: EmbeddedChain) -> None:
    """By its number, the block of another fork would answer, and nobody would notice."""
    rpc = fresh.rpc()
    rpc.request("anvil_mine", [hex(3)])
    block = rpc.block("latest")
    assert rpc.call(IDENTITY_PRECOMPILE, b"x", block.hash) == b"x"
    rpc.request("anvil_reorg", [1, []])
    assert rpc.block(block.number).hash != block.hash
    assert rpc.call(IDENTITY_PRECOMPILE, b"x", block.number) == b"x"
    with pytest.raises(ProvenanceError):
        rpc.call(IDENTITY_PRECOMPILE, b"x", block.hash)


def test_all_reads_of_a_snapshot_name_its_blocks_hash(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: set[object] = set()

    def call(self: Rpc, to: str, data: bytes, tag: object = "latest") -> bytes:
        named.add(tag)
        return whole(self, to, data, tag)

    whole: Any = Rpc.call
    snapshot = lab.reader().final()
    monkeypatch.setattr(Rpc, "call", call)
    snapshot.run(RunId(bytes(32)))
    snapshot.claims(sha256(b"nothing"))
    snapshot.revocation(RunId(bytes(32)), 0)
    snapshot.dataset(DatasetId(bytes(32)))
    assert named == {snapshot.block.hash}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_chain_keeps_its_state_over_a_restart(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path / "chain")
    # No connection is given a port below 32768, so this one stays free while the chain is down.
    first = chain.up(next(p for p in range(20_000 + os.getpid() % 10_000, 32_000) if is_free(p)))
    address = "0x" + "12" * 20
    chain.fund(address, 5)
    chain.mine(2)
    rpc = chain.rpc()
    genesis = rpc.block(0).hash
    rpc.close()
    assert chain.up() == first
    assert chain.down()
    assert not chain.down()
    with pytest.raises(UnavailableError, match="chain is down"):
        chain.rpc()
    second = chain.up()
    assert (second.port, chain.rpc().balance_wei(address), chain.rpc().block(0).hash) == (
        first.port,
        5,
        genesis,
    )
    chain.down()


def blocks_0(chain: EmbeddedChain) -> list[dict[str, Any]]:
    blocks = json.loads((chain.folder / "state.json").read_text())["blocks"]
    return [block for block in blocks if int(block["header"]["number"], 16) == 0]


def test_a_chain_keeps_its_first_block_over_restarts(tmp_path: Path) -> None:
    """The time of a start is the time of blocks after it, and of no other first block."""
    chain = EmbeddedChain(tmp_path / "chain")
    chain.up()
    genesis, hour_ago = chain.genesis(), int(time.time()) - 3600
    chain.down()
    (first,) = blocks_0(chain)
    assert int(first["header"]["timestamp"], 16) == first_time(chain.folder)

    older = EmbeddedChain(tmp_path / "older")
    older.folder.mkdir()
    (older.folder / "genesis.json").write_text(json.dumps({"timestamp": hour_ago}))
    for _ in range(2):
        older.up()
        rpc = older.rpc()
        assert rpc.block(0).timestamp == hour_ago
        assert 0 <= rpc.block("latest").timestamp - hour_ago - 3600 < 60
        rpc.close()
        older.down()
        assert len(blocks_0(older)) == 1
    chain.up()
    assert chain.genesis() == genesis
    chain.down()


def test_of_several_first_blocks_the_oldest_counts(tmp_path: Path) -> None:
    """Earlier releases added one at some starts, and then another one counted as the first."""
    chain = EmbeddedChain(tmp_path / "chain")
    chain.up()
    genesis = chain.genesis()
    chain.down()
    (chain.folder / "genesis.json").unlink()
    file = chain.folder / "state.json"
    state = json.loads(file.read_text())
    (first,) = blocks_0(chain)
    began = int(first["header"]["timestamp"], 16)
    for later in (1, 60, 7200):
        header = {**first["header"], "timestamp": hex(began + later)}
        state["blocks"].insert(0, {**first, "header": header})
    file.write_text(json.dumps(state))
    chain.up()
    assert chain.genesis() == genesis
    chain.down()
    assert blocks_0(chain) == [first]


def test_a_stale_process_file_is_not_taken_for_a_chain(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path)
    for text in (
        "",
        "[]",
        '{"pid": 1}',
        json.dumps({"pid": os.getpid(), "port": 1, "started": 0}),
        '{"pid": "x", "port": 1, "started": 1}',
    ):
        (tmp_path / "process.json").write_text(text)
        assert chain.running() is None


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(InputError, match="no such port"):
        EmbeddedChain(tmp_path).up(port)


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="port is taken"):
            EmbeddedChain(tmp_path).up(taken.getsockname()[1])


@pytest.fixture
def sender(fresh: EmbeddedChain, tmp_path: Path) -> TransactionManager:
    key = tmp_path / "key.json"
    write_keystore(key, b"\x05" * 32)
    account = load_key(key, PASSWORD)
    fresh.fund(str(account.address))
    return TransactionManager(fresh.rpc(), account, tmp_path / "attempts", Limits(wait_s=5))


def test_a_reorganised_transaction_is_sent_again_on_a_real_node(
    fresh: EmbeddedChain, sender: TransactionManager
) -> None:
    """anvil drops reorganised transactions from chain and pool."""
    first = sender.send("pay", "0x" + "12" * 20, b"")
    fresh.rpc().request("anvil_reorg", [1, []])
    assert fresh.rpc().receipt(first.tx_hash) is None
    again = sender.send("pay", "0x" + "12" * 20, b"")
    assert again.tx_hash == first.tx_hash
    assert fresh.rpc().mined_nonce(sender.address) == 1


def test_a_restarted_sender_finds_its_transaction_on_a_real_node(
    fresh: EmbeddedChain, sender: TransactionManager
) -> None:
    fresh.rpc().request("evm_setAutomine", [False])
    impatient = TransactionManager(
        fresh.rpc(), sender._account, sender._folder.parent, Limits(0.05, 3 * 10**9)
    )
    with pytest.raises(OutcomeUnknown):
        impatient.send("pay", "0x" + "12" * 20, b"")
    fresh.mine(1)
    receipt = sender.send("pay", "0x" + "12" * 20, b"")
    assert receipt.ok
    assert fresh.rpc().mined_nonce(sender.address) == 1


def test_a_seed_is_drawn_once(lab: Lab) -> None:
    session = lab.session()
    opened = session.open_run(b"\x32" * 32, bytes(32))
    seed = session.draw_seed(opened)
    assert session.draw_seed(opened) == seed
    with pytest.raises(RejectedError) as caught:
        lab.session("stranger").writer.send("registry", "redraw", "drawSeed", opened.run_id)
    assert "AlreadyDrawn" in str(caught.value.actual)


def test_a_session_needs_the_right_password(lab: Lab, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    with pytest.raises(ProvenanceError, match="wrong keystore password"):
        Session(replace(lab.settings, password_file=wrong))


# A second EVM


@pytest.fixture
def geth(tmp_path: Path) -> Iterator[Rpc]:
    with geth_node(tmp_path) as rpc:
        yield rpc


class GethLab(Lab):
    """A laboratory on a geth node, whose blocks others fill and which finalizes by itself."""

    def session(self, name: str = "default") -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(self.settings, name)
        return self._sessions[name]

    def reader(self, trust: Trust | None = None) -> Reader:
        trust = trust or self.trust
        return Reader(self.session().rpc, trust.addresses, trust.confirmations)


def fund(geth: Rpc, address: str) -> None:
    (dev,) = geth.request("eth_accounts")
    geth.request("eth_sendTransaction", [{"from": dev, "to": address, "value": hex(10**20)}])
    while geth.balance_wei(address) == 0:
        time.sleep(0.2)


@pytest.mark.skipif(GETH is None, reason="no geth: name one in PROVENANCE_TEST_GETH")
def test_whole_run_is_proven_released_and_verified_on_geth(
    geth: Rpc, lab: Lab, tmp_path: Path
) -> None:
    """Every step of a run, with the node's own finality. A forgery fails there too."""
    settings = replace(lab.settings, home=tmp_path / "home", rpc_url=geth.url)
    write_keystore(settings.home / "keystore" / "default.json", b"\x07" * 32)
    fund(geth, address_of(settings.home / "keystore" / "default.json"))
    deployment = deploy_all(settings, Wanted(256), lambda _: None)
    trust = tmp_path / "trust.yaml"
    write_trust(settings, deployment, trust, "default")
    keys = Keys(
        lab.keys.epoch,
        find_key(settings.cache / "keys", bytes.fromhex(deployment.key("tree", depth=5).vk_id[2:])),
    )
    node = GethLab(settings, deployment, lab.prover, keys, trust)
    run = build_run(node, register_rows(node, tmp_path / "data", 40), tmp_path / "run")
    verdict = run.judge()
    assert verdict.status is Status.VERIFIED, verdict.reason
    broken = run.copy(tmp_path / "copy")
    broken.rewrite(lambda records: [*records[:3], records[4], records[3], *records[5:]])
    assert broken.judge().status is Status.FAILED


@pytest.mark.skipif(GETH is None, reason="no geth: name one in PROVENANCE_TEST_GETH")
def test_contracts_and_transactions_work_on_geth(geth: Rpc, lab: Lab, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    write_keystore(key, b"\x06" * 32)
    account = load_key(key, PASSWORD)
    fund(geth, account.address)
    manager = TransactionManager(geth, account, tmp_path / "attempts", Limits(wait_s=30))
    keys = [("epoch", 256, 0, lab.keys.epoch.words), ("tree", 256, 5, lab.keys.tree.words)]
    deployment = deploy(geth, manager, keys)
    assert replace(deploy(geth, manager, keys), block=deployment.block) == deployment
    settings = Settings(
        home=tmp_path / "home",
        cache=lab.settings.cache,
        password_file=lab.settings.password_file,
        rpc_url=geth.url,
    )
    write_keystore(settings.home / "keystore" / "default.json", b"\x06" * 32)
    deployment.save(settings.home / "deployment.json")
    session = Session(settings)
    opened = session.open_run(sha256(b"opening"), bytes(32))
    while geth.block("latest").number <= opened.draw_block:
        time.sleep(0.2)
    session.writer.send("registry", "draw", "drawSeed", opened.run_id)
    facts = Reader(geth, deployment.addresses, confirmations=1).latest().run(opened.run_id)
    assert facts is not None
    assert facts.seed != bytes(32)
    assert load_deployment(settings) == deployment
    assert embedded(settings).running() is None
