"""A complete small run on a real chain, from rows to release.

A trainer can cheat at every step through `Plan`:

run = build_run(lab, data, folder)  # honest
run = build_run(lab, data, folder, Plan(batches=swap(3, 5)))  # logs other records than it proves
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from provenance.artifacts.identity import NamedFolder
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.writer import ManifestFacts
from provenance.digest import Digest, hash_file, sha256
from provenance.layout import RunFolder, write_json
from provenance.log.anchoring import Anchorer, Committed
from provenance.log.fold import read_history
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import RunLog, read_records
from provenance.order import epoch_order
from provenance_zk.training.commitments import DatasetCommitter
from provenance_zk.training.epochs import DrawnRun, EpochProver, make_job
from provenance_zk.training.registration import ProvingSite, Registered, register, write_key
from tests.support.chain import SALT_KEY, Lab
from tests.support.plain import CONFIG, FED, FILES

TIME = "2026-01-02T03:04:05Z"
BATCH = 8
BASE = str(sha256(b"base"))
_RUNS = itertools.count()  # no two openings are the same record


@dataclass(frozen=True)
class Data:
    """A committed dataset and its finished registration."""

    dataset: CommittedDataset
    registered: Registered


def register_rows(
    lab: Lab, folder: Path, count: int, session: str = "default", seed: int = 7
) -> Data:
    """Commit `count` random rows and register them."""
    random = np.random.default_rng(seed)
    rows = [{"text": f"record {i} {random.bytes(8).hex()}"} for i in range(count)]
    facts = ManifestFacts("test", "CC0-1.0")
    DatasetCommitter(lab.prover, SALT_KEY).commit(rows, folder / "dataset", facts)
    dataset = CommittedDataset.open(folder / "dataset", SALT_KEY)
    return Data(dataset, register(dataset, site_of(lab, session)))


def site_of(lab: Lab, session: str) -> ProvingSite:
    """Where an account's proofs are made."""
    ledger = lab.session(session)
    return ProvingSite(SALT_KEY, lab.keys, lab.prover, ledger, lab.deployment.ledger)


@dataclass(frozen=True)
class Batch:
    """A batch about to be logged."""

    positions: list[int]
    leaves: list[str]
    epoch: int = 0


Batches = list[Batch]


@dataclass(frozen=True)
class Plan:
    """What the trainer does; every default is honest.

    consumed: Records fed in each epoch; None: all.
    batches: Rewrites the batches that go into the log.
    training: Rewrites the records up to `run.close` before they are journaled.
    seed: The logged seed, made from the drawn one.
    trained_with: The seed whose order is fed, made from the drawn one.
    early: Batches are logged before the seed.
    checkpoint_first: The checkpoint is logged before anything was fed.
    resume: After how many batches there is a checkpoint, from which the rest is fed again; 0: none.
    opening: Replaces fields of `run.open`.
    filed: The digest registered on chain, made from `run.open`.
    fields: Replaces fields of later records, by type; of the last one of batches.
    extra: Records appended before the release.
    """

    session: str = "default"
    model: bytes = b"model"
    consumed: int | None = None
    epochs: tuple[int, ...] = (0,)
    batches: Callable[[Batches], Batches] | None = None
    training: Callable[[list[Record]], list[Record]] = lambda records: records
    seed: Callable[[bytes], bytes] = lambda seed: seed
    trained_with: Callable[[bytes], bytes] = lambda seed: seed
    early: bool = False
    checkpoint_first: bool = False
    resume: int = 0
    opening: dict[str, Any] = field(default_factory=dict)
    filed: Callable[[Record], Digest] = lambda record: record.digest
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    extra: Sequence[Record] = ()
    prove: bool = True
    release: bool = True
    final: bool = True


@dataclass
class Run:
    """A run on disk and on chain."""

    lab: Lab
    data: Data
    folder: RunFolder
    run_id: bytes
    seed: bytes
    session: str
    release_index: int = -1
    release_seq: int = 0

    @property
    def file(self) -> Path:
        return self.folder.release / "model.gguf"

    @property
    def model(self) -> Digest:
        return hash_file(self.file)

    def records(self) -> list[Record]:
        return read_records(self.folder.journal)

    def copy(self, to: Path) -> Run:
        """The same run with evidence that may be altered."""
        shutil.copytree(self.folder.root, to)
        return replace(self, folder=RunFolder(to))

    def rewrite(self, change: Callable[[list[Record]], list[Record]]) -> None:
        """Replace the journal by a well-formed one with other records."""
        records = change(self.records())
        self.folder.journal.unlink()
        with Journal.create(self.folder.journal, HEADER) as journal:
            for record in records:
                journal.append(record.to_bytes())

    @contextmanager
    def appending(self) -> Any:
        with Journal.open(self.folder.journal) as journal:
            yield journal

    def log(self, record: Record) -> int:
        with self.appending() as journal:
            index = journal.append(record.to_bytes())
        return int(index)

    def anchor(self) -> Committed:
        session = self.lab.session(self.session)
        size = len(self.records())
        anchorer = Anchorer(self.run_id, self.folder, session, lambda: size)
        try:
            return anchorer.anchor()
        finally:
            anchorer.close()

    def claim(self, index: int, *, final: bool = True) -> None:
        """Release record `index` on chain."""
        head = self.anchor()
        record = self.records()[index]
        log = RunLog(self.folder.journal)
        log.refresh(head.size)
        session = self.lab.session(self.session)
        path = log.tree.inclusion_proof(index, head.size)
        receipt = session.release(record, index, head.seq, path)
        self.release_index, self.release_seq = index, head.seq
        if final:
            session.final(receipt)

    def release_record(self, name: str = "model") -> Record:
        return Record.make(
            "release",
            TIME,
            run_id="0x" + self.run_id.hex(),
            model=str(self.model),
            manifest=str(sha256(b"folder")),
            name=name,
        )

    def judge(self, **options: Any) -> Any:
        return self.lab.judge(self.file, self.folder.root, **options)


HEADER = {"format": "provenance-journal/1"}


def word(data: bytes) -> str:
    return "0x" + bytes(data).hex()


def honest_batches(dataset: CommittedDataset, seed: bytes, epoch: int, consumed: int) -> Batches:
    order = epoch_order(seed, epoch, len(dataset))
    return [
        Batch(
            list(range(b, min(consumed, b + BATCH))),
            [word(dataset.leaf(int(order[h]))) for h in range(b, min(consumed, b + BATCH))],
            epoch,
        )
        for b in range(0, consumed, BATCH)
    ]


def batch_record(batch: Batch, step: int, **fields: Any) -> Record:
    values: dict[str, Any] = {
        "epoch": batch.epoch,
        "step": step,
        "micro": 0,
        "rank": 0,
        "positions": batch.positions,
        "leaves": batch.leaves,
        "tensors": str(sha256(f"tensors {batch.epoch} {step}".encode())),
    }
    return Record.make("batch", TIME, **(values | fields))


def opening_record(lab: Lab, data: Data, plan: Plan) -> Record:
    root = data.dataset.root
    fields: dict[str, Any] = {
        "dataset": {"root": root.hex0x, "depth": root.depth, "count": root.count},
        "fed": FED
        | {"records": root.count, "tokens": 10 * root.count, "predicted": 9 * root.count},
        "base": {"content": BASE, "name": "base", "files": FILES},
        "config": CONFIG,
        "config_digest": str(sha256(b"config")),
        "code": {},
        "environment": {"run": next(_RUNS)},
        "signer": lab.session(plan.session).address,
        "evaluation": {},
        "registered": True,
    }
    return Record.make("run.open", TIME, **(fields | plan.opening))


def later_records(run: Run, plan: Plan) -> list[Record]:
    """Merge and quantize, linked by digests."""
    adapter, merged = str(sha256(b"adapter")), str(sha256(b"merged"))
    fields = {
        "merge": {
            "base": BASE,
            "base_files": FILES,
            "adapter": adapter,
            "adapter_files": {},
            "merged": merged,
            "merged_files": FILES,
            "checkpoint": max(i for i, r in enumerate(run.records()) if r.type == "checkpoint"),
            "scale": "2",
            "adapted": [],
        },
        "quantize": {
            "source": NamedFolder("merged", merged, FILES).name,
            "format": "gguf",
            "quantization": "Q8_0",
            "file": str(run.model),
            "size": len(plan.model),
            "tensors": {},
        },
    }
    return [
        Record.make(type_, TIME, **(fields[type_] | plan.fields.get(type_, {})))
        for type_ in ("merge", "quantize")
    ]


def build_run(lab: Lab, data: Data, root: Path, plan: Plan | None = None) -> Run:
    """Open, draw, feed, anchor, prove, merge, quantize and release, as the plan says."""
    plan = plan or Plan()
    session, folder = lab.session(plan.session), RunFolder(root / "run")
    opening = opening_record(lab, data, plan)
    opened = session.open_run(plan.filed(opening), data.registered.dataset_id)
    seed = session.draw_seed(opened)
    run = Run(lab, data, folder, opened.run_id, seed, plan.session)
    write_json(folder.info, {"run_id": word(opened.run_id)})
    folder.release.mkdir(parents=True)
    run.file.write_bytes(plan.model)
    honest = _train(run, plan, opening, opened.draw_block)
    run.anchor()
    if plan.prove:
        for epoch in plan.epochs:
            prove(run, honest, epoch, plan)
    publish_evidence(run)
    for record in [*later_records(run, plan), *plan.extra]:
        run.log(record)
    if plan.release:
        run.claim(run.log(run.release_record()), final=plan.final)
    return run


def _train(run: Run, plan: Plan, opening: Record, draw_block: int) -> list[Record]:
    """Write the journal; returns the records an honest prover would prove."""
    dataset, trained = run.data.dataset, plan.trained_with(run.seed)
    consumed = len(dataset) if plan.consumed is None else plan.consumed
    honest = [b for e in plan.epochs for b in honest_batches(dataset, trained, e, consumed)]
    ends = {epoch: _end_record(dataset, trained, epoch, consumed) for epoch in plan.epochs}
    seed = Record.make(
        "seed",
        TIME,
        seed=word(plan.seed(run.seed)),
        source="chain",
        draw_block=draw_block,
        run_id=word(run.run_id),
    )
    log = Training([opening], plan)
    if plan.checkpoint_first:
        log.checkpoint("adapter", step=5, consumed=consumed)
    if not plan.early:
        log.records.append(seed)
    log.feed(plan.batches(honest) if plan.batches else honest, ends)
    if plan.early:
        log.records.append(seed)
    if not plan.checkpoint_first:
        log.checkpoint("adapter")
    log.close()
    with Journal.create(run.folder.journal, HEADER) as journal:
        for record in plan.training(log.records):
            journal.append(record.to_bytes())
    proven = Training([opening, seed], Plan())
    proven.feed(honest, ends)
    return proven.records


def _end_record(dataset: CommittedDataset, seed: bytes, epoch: int, consumed: int) -> Record:
    rest = epoch_order(seed, epoch, len(dataset))[consumed:]
    remainder = [word(dataset.leaf(int(i))) for i in rest]
    return Record.make("epoch", TIME, epoch=epoch, consumed=consumed, remainder=remainder)


@dataclass
class Training:
    """Writes the records of training as a recorder does; a plan may falsify them."""

    records: list[Record]
    plan: Plan
    step: int = 0

    def feed(self, batches: Batches, ends: dict[int, Record]) -> None:
        """Log batches; where another epoch begins, and at last, the end of the epoch before."""
        epoch = batches[0].epoch
        for number, batch in enumerate(batches):
            if batch.epoch != epoch:
                self.records.append(ends[epoch])
                epoch = batch.epoch
            last = self.plan.fields.get("batch", {}) if number == len(batches) - 1 else {}
            self._batch(batch, **last)
            if number + 1 == self.plan.resume:
                self.checkpoint(f"checkpoint-{self.step}")
        if self.plan.resume:
            self._resume(batches[self.plan.resume :])
        self.records.append(ends[epoch])

    def _batch(self, batch: Batch, **fields: Any) -> None:
        self.step += 1
        self.records.append(batch_record(batch, self.step, **fields))

    def _resume(self, again: Batches) -> None:
        begin = self._last("checkpoint")
        assert begin is not None
        self.step = self.records[begin].fields["step"]
        lost = list(range(begin + 1, len(self.records)))
        self.records.append(Record.make("resume", TIME, from_=begin, abandons=lost, step=self.step))
        for batch in again:
            self._batch(batch)

    def checkpoint(self, path: str, **fields: Any) -> None:
        fed = [r.fields for r in self.records if r.type == "batch"]
        adapter = str(sha256(b"adapter"))
        values = {
            "step": self.step,
            "path": path,
            "manifest": adapter,
            "weights": adapter,
            "files": {},
            "epoch": fed[-1]["epoch"] if fed else 0,
            "consumed": fed[-1]["positions"][-1] + 1 if fed and fed[-1]["positions"] else 0,
            "last_batch": self._last("batch"),
            "previous": self._last("checkpoint"),
        }
        changed = values | fields | self.plan.fields.get("checkpoint", {})
        self.records.append(Record.make("checkpoint", TIME, **changed))

    def close(self) -> None:
        values = {"status": "completed", "step": self.step, "summary": {}}
        changed = values | self.plan.fields.get("run.close", {})
        self.records.append(Record.make("run.close", TIME, **changed))

    def _last(self, type_: str) -> int | None:
        return max((i for i, r in enumerate(self.records) if r.type == type_), default=None)


def prove(run: Run, honest: list[Record], epoch: int, plan: Plan) -> None:
    """Anchor and prove an epoch from these records, and log what came of it."""
    job = make_job(
        read_history(honest),
        run.data.dataset,
        DrawnRun(run.run_id, run.data.registered.dataset_id, plan.trained_with(run.seed)),
        epoch,
    )
    prover = EpochProver(run.data.dataset, site_of(run.lab, run.session), run.folder)
    [record] = prover.prove([job], batch=False)
    run.log(replace(record, time=TIME, fields=dict(record.fields) | plan.fields.get("epoch", {})))


def publish_evidence(run: Run) -> None:
    """Put registration and keys beside the journal."""
    shutil.copytree(run.data.registered.folder, run.folder.dataset, dirs_exist_ok=True)
    for key in (run.lab.keys.epoch, run.lab.keys.tree):
        write_key(run.folder.key(word(key.vk_id)), key)


def failing(verdict: Any) -> list[str]:
    """Claims of a verdict that do not hold."""
    return [c.id for c in verdict.claims if c.holds is False]


# What trainers do to their batches.


def swap(first: int, second: int) -> Callable[[Batches], Batches]:
    """Exchange the leaves at two positions."""

    def change(batches: Batches) -> Batches:
        flat = [leaf for b in batches for leaf in b.leaves]
        flat[first], flat[second] = flat[second], flat[first]
        return _refill(batches, flat)

    return change


def repeat(source: int, target: int) -> Callable[[Batches], Batches]:
    """Feed one record twice, in the place of another."""

    def change(batches: Batches) -> Batches:
        flat = [leaf for b in batches for leaf in b.leaves]
        flat[target] = flat[source]
        return _refill(batches, flat)

    return change


def inject(target: int, leaf: str) -> Callable[[Batches], Batches]:
    """Feed a record that is not in the dataset."""

    def change(batches: Batches) -> Batches:
        flat = [x for b in batches for x in b.leaves]
        flat[target] = leaf
        return _refill(batches, flat)

    return change


def omit_batch(number: int) -> Callable[[Batches], Batches]:
    return lambda batches: [b for i, b in enumerate(batches) if i != number]


def reorder_batches(first: int, second: int) -> Callable[[Batches], Batches]:
    """Feed two batches in each other's turn, each truthfully labelled."""

    def change(batches: Batches) -> Batches:
        result = list(batches)
        result[first], result[second] = result[second], result[first]
        return result

    return change


def repeat_batch(number: int) -> Callable[[Batches], Batches]:
    return lambda batches: [*batches, batches[number]]


def extra_position(count: int, leaf: str) -> Callable[[Batches], Batches]:
    return lambda batches: [*batches, Batch([count], [leaf])]


def _refill(batches: Batches, flat: list[str]) -> Batches:
    result, at = [], 0
    for batch in batches:
        result.append(replace(batch, leaves=flat[at : at + len(batch.leaves)]))
        at += len(batch.leaves)
    return result
