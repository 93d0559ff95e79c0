"""Time of a training step with torch's deterministic algorithms, compared with any algorithms.

Rounds with and without alternate in one run, on SmolLM2. Target: <= 5 % more at the median.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from bench_overhead import StepTimes
from common import CACHE, line, median, synthetic_rows
from transformers import TrainerCallback, set_seed

from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import load_base
from provenance_trainer.record.determinism import make_deterministic
from provenance_trainer.record.sampler import CommittedSampler, EpochOrders
from provenance_trainer.run.train import prepare_run

RECORDS, BATCH, STEPS, ROUNDS = 64, 4, 8, 6


class Rows:
    """Records as a committed dataset gives them."""

    columns, text_column = ("text",), "text"

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> dict[str, str]:
        return self._rows[index]


class Choose(TrainerCallback):
    """Every other step with any algorithms."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        torch.use_deterministic_algorithms(state.global_step % 2 == 0)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config(
            {
                "dataset_name": "rows",
                "output_dir": str(Path(folder) / "out"),
                "model_name_or_path": "smollm2",
                "max_length": 64,
                "per_device_train_batch_size": BATCH,
                "max_steps": STEPS * ROUNDS,
                "save_steps": 10**6,
                "lora_dropout": 0.1,
                "eval_samples": 1,
            }
        )
        base = load_base("smollm2", CACHE / "models")
        run = prepare_run(config, base, Rows(synthetic_rows(RECORDS)))
        make_deterministic()
        set_seed(1)
        run.trainer.sampler = CommittedSampler(EpochOrders(bytes(32), RECORDS), batch_size=BATCH)
        times = StepTimes()
        run.trainer.add_callback(Choose())
        run.trainer.add_callback(times)
        run.trainer.train()
    # The first step is left out, so the second one, with any algorithms, comes first.
    anyhow, repeated = median(times.seconds[0::2]), median(times.seconds[1::2])
    share = 100 * (repeated / anyhow - 1)
    inputs = (
        f"SmolLM2, {BATCH} x 64 tokens, LoRA with dropout; {len(times.seconds)} steps by turns; "
        f"{1000 * anyhow:.0f} -> {1000 * repeated:.0f} ms, {torch.get_num_threads()} threads"
    )
    line("step time with deterministic algorithms", share, "% more", "<= 5", share <= 5, inputs)
