"""Two processes (gloo, CPU): each journals what it fed, together whole rounds of the order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from provenance.dataset.committed import CommittedDataset
from provenance.log.tree import read_records
from provenance.order import epoch_order
from provenance_trainer.model.base import BaseModel
from tests.support import training as support
from tests.support.places import REPO

COUNT = 22
SCRIPT = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from tests.support import training as support
from provenance.dataset.committed import CommittedDataset
from provenance.log.journal import Journal
from provenance.dataset.saltstore import SaltStore
from provenance_trainer.model.base import load_base
from provenance_trainer.record.course import Ranks
from provenance_trainer.record.recorder import Recorder, RecorderSettings
from provenance_trainer.record.sampler import EpochOrders
from provenance_trainer.run.train import prepare_run, run_training

torch.set_num_threads(1)
out, rank = Path({out!r}), int(os.environ["RANK"])
config = support.make_config(Path({data!r}), out, num_train_epochs=2)
dataset = CommittedDataset.open(Path({data!r}), support.KEY)
base = load_base("tiny", Path({cache!r}))
evidence = out / "provenance" / str(rank)
with Journal.create(evidence / "journal", {{"rank": rank}}) as journal, \\
        SaltStore.open(evidence / "secrets" / "salts.sqlite", support.KEY) as salts:
    ranks = Ranks(rank, 2, config.per_device_train_batch_size)
    orders = EpochOrders(support.SEED, len(dataset))
    recorder = Recorder(journal, dataset, salts, orders, RecorderSettings(ranks=ranks))
    summary = run_training(prepare_run(config, base, dataset), recorder)
    recorder.close()
    print("adapter", rank, summary.adapter, summary.consumed, summary.remainder)
torch.distributed.destroy_process_group()
"""


def test_two_ranks_feed_whole_rounds(tiny: BaseModel, cache_dir: Path, tmp_path: Path) -> None:
    data, out = support.make_dataset(tmp_path / "data", COUNT), tmp_path / "run"
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(here=str(REPO), out=str(out), data=str(data), cache=str(cache_dir))
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        "0",
        "--standalone",
    ]
    done = subprocess.run(
        [*command, str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    adapters = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("adapter")}
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
