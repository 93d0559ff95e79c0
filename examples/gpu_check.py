"""`make gpu-check`: a short recorded bfloat16 run on a GPU, which needs no network.

It prints one JSON object. Without a GPU its status is "not run".
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import torch

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore
from provenance.dataset.writer import ManifestFacts
from provenance.log.journal import Journal
from provenance.log.tree import read_records
from provenance.settings import Settings
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.base import load_base
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import EpochOrders
from provenance_trainer.run.train import prepare_run, run_training
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.training.commitments import DatasetCommitter


def check(folder: Path) -> dict[str, object]:
    """Train the tiny model for one epoch on the GPU, and report what was recorded."""
    key = os.urandom(32)
    rows = [
        {"text": f"record {i} of the check, long enough to have some tokens"} for i in range(64)
    ]
    facts = ManifestFacts(source="synthetic", licence="none", text_column="text")
    prover = ZkProver(find_binary(Settings.load().zkprover))
    DatasetCommitter(prover, key).commit(rows, folder / "data", facts)
    config = TrainConfig(
        dataset_name=str(folder / "data"),
        output_dir=str(folder / "run"),
        model_name_or_path="tiny",
        max_length=64,
        per_device_train_batch_size=8,
        save_steps=4,
        bf16=True,
    )
    seed = os.urandom(32)
    with (
        CommittedDataset.open(folder / "data", key) as dataset,
        SaltStore.open(folder / "salts.sqlite", key) as salts,
    ):
        run = prepare_run(config, load_base("tiny", folder / "models"), dataset)
        journal = Journal.create(folder / "journal", {"format": "provenance-journal/1"})
        recorder = Recorder(journal, dataset, salts, EpochOrders(seed, len(dataset)))
        summary = run_training(run, recorder, say=lambda text: print(text, file=sys.stderr))
        recorder.close()
        journal.close()
    batches = [r for r in read_records(folder / "journal") if r.type == "batch"]
    unmatched = sum(int(r.fields.get("unmatched", 0)) for r in batches)
    return {
        "status": "passed" if unmatched == 0 and summary.consumed == len(rows) else "failed",
        "device": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "bf16": True,
        "steps": summary.steps,
        "batches": len(batches),
        "unmatched": unmatched,
        "loss_first": summary.loss_first,
        "loss_last": summary.loss_last,
    }


def main() -> None:
    if not torch.cuda.is_available():
        print(
            json.dumps(
                {"status": "not run", "reason": "no CUDA device", "torch": torch.__version__}
            )
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        result = check(Path(folder))
    print(json.dumps(result))
    sys.exit(0 if result["status"] == "passed" else 1)


if __name__ == "__main__":
    main()
