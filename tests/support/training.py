"""A small committed dataset and the pieces of a run, for tests and for the child processes they
kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from provenance.dataset.committed import CommittedDataset, Recomputation
from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.saltstore import SaltStore
from provenance.dataset.writer import CommittedRecord, ManifestFacts, write_dataset
from provenance.digest import Digest
from provenance.encoding import dataset_record_bytes, dataset_record_digest
from provenance.ids import Address
from provenance.log.fold import read_history
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.progress import silent
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import rows_of
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import BaseModel, load_base
from provenance_trainer.record.checkpoints import find_resume_point
from provenance_trainer.record.preregistration import FedSaid, Registrant, open_record
from provenance_trainer.record.recorder import Recorder, RecorderSettings
from provenance_trainer.record.sampler import EpochOrders
from provenance_trainer.run.preflight import fed_of
from provenance_trainer.run.train import TrainSummary, prepare_run, run_training
from provenance_zk.training.commitments import leaf, leaves_of, root_of, tree_root

KEY = bytes(range(32))
SEED = hashlib.sha256(b"run seed").digest()
AGAIN = Recomputation(leaves_of, root_of)
SIGNER = Address("0x" + "11" * Address.SIZE)


def make_dataset(folder: Path, count: int) -> Path:
    """A folder of `count` one-column records, committed in Python, with salts made of digests."""
    texts = [
        f"Report {i}: technique {i * 7 % 13} was seen on host {i * i % 101} of the network."
        for i in range(count)
    ]
    pairs = sorted(
        (dataset_record_digest(c), c, i)
        for i, t in enumerate(texts)
        if (c := dataset_record_bytes({"text": t}))
    )
    records = []
    for d, c, i in pairs:
        salt = hashlib.sha256(d).digest()[:31]
        records.append(CommittedRecord(Digest(d), c, salt, leaf(Digest(d), salt), i))
    root = tree_root([int.from_bytes(record.leaf, "big") for record in records], 5)
    facts = ManifestFacts("test", "CC0-1.0", "text")
    write_dataset(folder, DatasetRoot(root, 5, count), facts, records, KEY)
    return folder


def make_config(data: Path, out: Path, **changes: Any) -> TrainConfig:
    return parse_config(
        {
            "dataset_name": str(data),
            "output_dir": str(out),
            "model_name_or_path": "tiny",
            "lora_r": 4,
            "lora_alpha": 8,
            "max_length": 24,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-3,
            "save_steps": 3,
            "logging_steps": 1,
            "eval_samples": 4,
            **changes,
        }
    )


def opening_of(config: TrainConfig, base: BaseModel, dataset: CommittedDataset) -> Record:
    """The `run.open` record of an unregistered run."""
    kinds = Kinds.of(rows_of(dataset))
    recipe = Recipe.of(config, load_tokenizer(base.dir), dataset.columns, kinds)
    fed = fed_of(config, recipe, dataset, silent).to_json()
    return open_record(config, base, dataset, FedSaid(fed), Registrant(SIGNER, None))


def start_or_resume(
    config: TrainConfig,
    cache: Path,
    *,
    say: Callable[[str], None] = lambda line: None,
    journal: Journal | None = None,
) -> TrainSummary:
    """One process's part of a run: opens the journal or continues it, trains to the end, closes
    everything.
    """
    torch.set_num_threads(2)
    out = Path(config.output_dir)
    dataset = CommittedDataset.open(Path(config.dataset_name), KEY, AGAIN)
    base = load_base(config.model_name_or_path, cache)
    path = out / "provenance" / "journal"
    fresh = journal is None and not path.exists()
    resume = None
    if not fresh and journal is None:
        resume = find_resume_point(read_history(read_records(path)), out)
    if journal is None:  # not `or`: an empty journal is false
        journal = Journal.create(path, {"format": "test"}) if fresh else Journal.open(path)
    with SaltStore.open(out / "provenance" / "secrets" / "salts.sqlite", KEY) as salts, journal:
        orders = EpochOrders(SEED, len(dataset))
        settings = RecorderSettings(on_failure=config.provenance.on_failure)
        recorder = Recorder(journal, dataset, salts, orders, settings)
        try:
            if resume is None:
                recorder.append(opening_of(config, base, dataset))
                recorder.append(Record.make("seed", seed="0x" + SEED.hex(), source="local"))
            return run_training(
                prepare_run(config, base, dataset), recorder, resume=resume, say=say
            )
        finally:
            recorder.close()


def records_of(config: TrainConfig, kind: str | None = None) -> list[Record]:
    records = read_records(Path(config.output_dir) / "provenance" / "journal")
    return [r for r in records if kind is None or r.type == kind]
