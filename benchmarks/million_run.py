"""A run with 1,000,000 dataset records in 125,000 batch records, on a real chain.

No model is trained. Everything else is made by the code that makes it for a trained run: the
registration of the dataset, the journal, its heads, the proofs of the epoch, and the release. Two
things are cheaper than in life, and cost a verifier the same:

- The leaves are random field elements, under a root that is one as well.
- The 245 tree proofs are made from the secrets of their key, because making them from leaves would
  take a quarter of an hour.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_proofs import random_leaves
from common import quiet, say, settings

from provenance.artifacts.identity import NamedFolder
from provenance.chain.deploy import deploy
from provenance.chain.session import (
    Session,
    connect,
    deployment_path,
    embedded,
    key_path,
    manager_for,
)
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.saltstore import load_or_create_key
from provenance.digest import Digest, sha256
from provenance.ids import to_hex
from provenance.judgement.trust import Key, Publisher
from provenance.judgement.trust_file import render
from provenance.layout import RunFolder, write_json
from provenance.log.anchoring import Anchorer
from provenance.log.fold import read_history
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.run_log import anchor, open_log
from provenance.log.tree import RunLog, read_records
from provenance.order import epoch_order
from provenance.settings import Settings
from provenance.signing.keystore import create_key, load_key, read_password
from provenance_zk.field import R
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.statements import leaves_to_ints, product_from, used_leaves
from provenance_zk.training.epochs import DrawnRun, EpochProver, make_job
from provenance_zk.training.registration import Keys, ProvingSite, register, write_evidence
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.local import Done, LocalExecutor, Worker
from tests.support.plain import FED
from tests.support.trapdoor import TrapdoorKey

DEPTH = 5
MODEL = b"the released file of a run of which no model was trained"
BASE, ADAPTER, MERGED = (str(sha256(name)) for name in (b"base", b"adapter", b"merged"))
FILES = {"config.json": str(sha256(b"{}"))}
CONFIG = {"lora_alpha": 32, "lora_r": 16}


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        batch: records of a batch.
        head: batches between two heads that are committed.
        slots, tree: slots of the epoch key and of the tree key.
    """

    records: int = 1_000_000
    batch: int = 8
    head: int = 2500
    slots: int = 344_064
    tree: int = 4096

    @property
    def batches(self) -> int:
        """Batch records in the log."""
        return -(-self.records // self.batch)


@dataclass(frozen=True)
class Made:
    """A run on disk: its folder, the released file, and the installation that made it."""

    settings: Settings
    run: RunFolder
    model: Path
    trust: Path


class _Trees:
    """An executor that makes tree proofs from the secrets of their key, and has others proven."""

    workers = 1

    def __init__(self, key: TrapdoorKey, leaves: list[int], prover: ZkProver) -> None:
        self._key, self._leaves, self._local = key, leaves, LocalExecutor(prover, 1)

    def worker(self) -> Worker:
        return self

    def interrupt(self) -> None:
        self._local.interrupt()

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        if jobs[0].command != "prove-tree":
            self._local.worker().prove(jobs, done)
            return
        for i, job in enumerate(jobs):
            done(i, self._tree(job.request))

    def _tree(self, request: Any) -> bytes:
        k, count = request["k"], request["count"]
        gamma, delta = (int(request[name], 16) for name in ("gamma", "delta"))
        used, first = used_leaves(count, k, self._key.slots), k * self._key.slots
        t = product_from(gamma, delta, self._leaves[first : first + used], first)
        z = product_from(gamma, delta, [0] * used, first)
        last = int(first + used == count)
        return self._key.prove(ROOT_VALUE, k, used, last, gamma, delta, t, z).to_bytes()


ROOT_VALUE = int.from_bytes(sha256(b"the root of no tree"), "big") % R


def made(folder: Path, size: Size) -> Made:
    """The run of this size in `folder`; it is made if it is not there. Its chain runs afterwards.

    `release.done` in the folder says that a run is complete. Each time the chain starts from the
    state in which the run was made: anvil adds a block 0 to its state at each start, and after some
    of them another one than the first is taken for the genesis block.
    """
    config = replace(settings(_folder(folder)), home=folder / "home")
    run = Made(config, RunFolder(folder / "run"), folder / "model.bin", folder / "trust.yaml")
    done = folder / "release.done"
    state = config.home / "chain" / "state.json"
    kept = folder / "state.json"
    if done.exists() and done.read_text() == repr(size):
        shutil.copyfile(kept, state)
        embedded(config).up()
        return run
    shutil.rmtree(folder)
    settings(_folder(folder))
    create_key(key_path(config), read_password(config.password_file))
    embedded(config).up()
    run.model.write_bytes(MODEL)
    try:
        with ChildServer(find_binary(config.zkprover)) as server:
            _make(run, size, ZkProver(find_binary(config.zkprover), server=server))
    finally:
        embedded(config).down()
    shutil.copyfile(state, kept)
    done.write_text(repr(size))
    embedded(config).up()
    return run


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _make(run: Made, size: Size, prover: ZkProver) -> None:
    tree = TrapdoorKey("tree", size.tree, DEPTH)
    say(f"epoch key of {size.slots:,} slots: takes minutes if it is not cached")
    epoch = ensure_keys(prover, run.settings.cache / "keys", "epoch", size.slots)
    _deploy(run.settings, epoch, tree)
    session = Session(run.settings, say=quiet)
    _trust(run, session, epoch, tree)
    folder = run.run.root.parent / "dataset"
    _folder(folder).joinpath("private").mkdir(mode=0o700)
    root = DatasetRoot(ROOT_VALUE, DEPTH, size.records)
    leaves = random_leaves(size.records)
    manifest = {"root": root.to_json(), "columns": ["text"]}
    dataset = CommittedDataset(folder, manifest, leaves, None)
    words = KeyFolder(folder, "tree", size.tree, DEPTH, tree.vk_id, tree.words, "dev", "", 0)
    keys = Keys(epoch, words)
    salts = load_or_create_key(run.settings.home / "salts.key")
    executor = _Trees(tree, leaves_to_ints(leaves), prover)
    ledger = session.deployment.ledger
    site = ProvingSite(salts, keys, prover, session, ledger, say, executor)
    registered = register(dataset, site)
    write_evidence(run.run, registered, keys)
    drawn = _train(run.run, session, dataset, registered.dataset_id, size)
    say("proving the epoch")
    history = read_history(read_records(run.run.journal))
    job = make_job(history, dataset, drawn, 0)
    proven = EpochProver(dataset, site, run.run).prove([job])
    _release(run, session, [*proven, *_derived(drawn)])


def _deploy(config: Settings, epoch: KeyFolder, tree: TrapdoorKey) -> None:
    rpc = connect(config)
    account = load_key(key_path(config), read_password(config.password_file))
    embedded(config).fund(str(account.address))
    keys = [(k.kind, k.slots, k.depth, k.words) for k in (epoch, tree)]
    deploy(rpc, manager_for(config, rpc, account), keys).save(deployment_path(config))


def _trust(run: Made, session: Session, *keys: KeyFolder | TrapdoorKey) -> None:
    pinned = tuple(Key(to_hex(key.vk_id), key.kind, "dev") for key in keys)
    publishers = (Publisher(session.address, "owner"),)
    run.trust.write_text(render("local", session.deployment.chain, pinned, publishers))


def _train(
    folder: RunFolder, session: Session, dataset: CommittedDataset, dataset_id: bytes, size: Size
) -> DrawnRun:
    """The journal of one epoch, with a head after every `size.head` batches."""
    say(f"logging {size.batches:,} batches")
    journal = Journal.create(folder.journal, {"format": "provenance-journal/1"})
    opening = _opening(session, dataset.root, dataset_id)
    journal.append(opening.to_bytes())
    run = session.open_run(opening.digest, dataset_id)
    seed = session.draw_seed(run)
    write_json(folder.info, {"run_id": to_hex(run.run_id)})
    drawn = {"seed": to_hex(seed), "draw_block": run.draw_block, "run_id": to_hex(run.run_id)}
    journal.append(Record.make("seed", source="chain", **drawn).to_bytes())
    journal.barrier()
    anchorer = Anchorer(run.run_id, folder, session, lambda: journal.durable)
    fed = dataset.leaves[epoch_order(seed, 0, size.records).astype(np.int64)]
    for step in range(1, size.batches + 1):
        journal.append(_batch(step, fed, size).to_bytes())
        if step % size.head == 0:
            journal.barrier()
            anchorer.anchor()
    where = {"step": size.batches, "epoch": 0, "consumed": size.records}
    saved = {"manifest": ADAPTER, "weights": ADAPTER, "files": FILES, "path": "adapter"}
    checkpoint = Record.make("checkpoint", last_batch=size.batches + 1, **where, **saved)
    end = Record.make("epoch", epoch=0, consumed=size.records, remainder=[])
    summary = {"loss_first": "2.0", "loss_last": "1.0", "tensors_changed": 1, "tensors_adapted": 1}
    close = Record.make("run.close", status="completed", step=size.batches, summary=summary)
    for record in (checkpoint, end, close):
        journal.append(record.to_bytes())
    journal.barrier()
    anchorer.anchor()
    anchorer.close()
    journal.close()
    return DrawnRun(run.run_id, dataset_id, seed)


def _opening(session: Session, root: DatasetRoot, dataset_id: bytes) -> Record:
    return Record.make(
        "run.open",
        dataset=root.to_json() | {"dataset_id": to_hex(dataset_id)},
        fed=FED,
        base={"content": BASE, "files": FILES},
        config=CONFIG,
        config_digest=str(sha256(b"config")),
        code={},
        environment={},
        signer=session.address,
        evaluation={},
        registered=True,
        nonce=to_hex(secrets.token_bytes(32)),
    )


def _batch(step: int, fed: np.ndarray, size: Size) -> Record:
    positions = list(range((step - 1) * size.batch, min(step * size.batch, size.records)))
    return Record.make(
        "batch",
        epoch=0,
        step=step,
        micro=0,
        rank=0,
        positions=positions,
        tensors=str(sha256(step.to_bytes(8, "big"))),
        leaves=[to_hex(fed[h].tobytes()) for h in positions],
    )


def _derived(drawn: DrawnRun) -> list[Record]:
    """What stands in a log after training: a merge, a quantization and a release."""
    file, merged = str(sha256(MODEL)), NamedFolder("merged", MERGED, FILES).name
    made = {"base": BASE, "adapter": ADAPTER, "merged": MERGED}
    files = {f"{what}_files": FILES for what in made}
    return [
        Record.make("merge", scale="2", adapted=[], checkpoint=None, **made, **files),
        Record.make(
            "quantize",
            source=merged,
            format="gguf",
            quantization="Q8_0",
            file=file,
            size=len(MODEL),
            tensors={},
        ),
        Record.make(
            "release", run_id=to_hex(drawn.run_id), model=file, manifest=file, name="million"
        ),
    ]


def _release(run: Made, session: Session, records: Sequence[Record]) -> None:
    """Log the last records, anchor them, and claim the release on chain."""
    with open_log(run.run) as log:
        checkpoint = log.history.final_checkpoint.index
        for record in records:
            fields = dict(record.fields)
            if record.type == "merge":
                fields["checkpoint"] = checkpoint
            index = log.append(Record.make(record.type, record.time, **fields))
        head = anchor(session, log)
        tree = RunLog(run.run.journal)
        tree.refresh(head.size)
        path = tree.tree.inclusion_proof(index, head.size)
        session.final(session.release(log.records[index], index, head.seq, path))
    assert Digest.parse(records[-1].fields["model"]) == sha256(MODEL)
