"""Two processes (gloo, CPU) feed whole rounds of the order; each journals what it fed itself."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore
from provenance.log.journal import Journal
from provenance.log.tree import read_records
from provenance.order import epoch_order
from provenance_trainer.model.base import BaseModel, load_base
from provenance_trainer.record.course import Ranks
from provenance_trainer.record.recorder import Recorder, RecorderSettings
from provenance_trainer.record.sampler import EpochOrders
from provenance_trainer.run.train import prepare_run, run_training
from tests.support import training as support
from tests.trainer import children

COUNT = 22


def train_rank(data: Path, out: Path, cache: Path) -> None:
    """One process of two, as torchrun starts them."""
    torch.set_num_threads(1)
    rank, config = int(os.environ["RANK"]), support.make_config(data, out, num_train_epochs=2)
    dataset, base = CommittedDataset.open(data, support.KEY), load_base("tiny", cache)
    evidence = out / "provenance" / str(rank)
    orders = EpochOrders(support.SEED, len(dataset))
    settings = RecorderSettings(ranks=Ranks(rank, 2, config.per_device_train_batch_size))
    with (
        Journal.create(evidence / "journal", {"rank": rank}) as journal,
        SaltStore.open(evidence / "secrets" / "salts.sqlite", support.KEY) as salts,
    ):
        recorder = Recorder(journal, dataset, salts, orders, settings)
        summary = run_training(prepare_run(config, base, dataset), recorder)
        recorder.close()
        print("adapter", rank, summary.adapter, summary.consumed, summary.remainder)
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def environments(port: int) -> list[dict[str, str]]:
    """What torchrun sets for each of two processes on one machine."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    shared["MASTER_PORT"] = str(port)
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]


def test_two_ranks_feed_whole_rounds(tiny: BaseModel, cache_dir: Path, tmp_path: Path) -> None:
    data, out = support.make_dataset(tmp_path / "data", COUNT), tmp_path / "run"
    both = environments(free_port())
    done = children.run_together(tmp_path, both, train_rank, data, out, cache_dir)
    for code, output in done:
        assert code == 0, output[-4000:]
    printed = [line for _, output in done for line in output.splitlines()]
    adapters = {line.split()[2] for line in printed if line.startswith("adapter")}
    assert len(adapters) == 1

    dataset, journals = (
        CommittedDataset.open(data),
        [read_records(out / "provenance" / str(r) / "journal") for r in (0, 1)],
    )
    batches = [r.fields for journal in journals for r in journal if r.type == "batch"]
    assert not any("unmatched" in b for b in batches)
    assert sorted({b["rank"] for b in batches}) == [0, 1]
    for epoch in (0, 1):
        merged = sorted(
            (b for b in batches if b["epoch"] == epoch),
            key=lambda b: (b["step"], b["micro"], b["rank"]),
        )
        assert [p for b in merged for p in b["positions"]] == list(range(16))
    ends = [r.fields for journal in journals for r in journal if r.type == "epoch"]
    rest = [
        f"0x{bytes(dataset.leaves[int(i)]).hex()}" for i in epoch_order(support.SEED, 0, COUNT)[16:]
    ]
    assert [(e["epoch"], e["consumed"]) for e in ends] == [(0, 16), (1, 16)]
    assert ends[0]["remainder"] == rest
    assert [sum(r.type == "checkpoint" for r in journal) for journal in journals] == [2, 0]
