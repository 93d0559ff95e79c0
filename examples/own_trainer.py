"""Record your own training: four additions to an ordinary Hugging Face Trainer script.

    python examples/own_trainer.py --data runs/data --out runs/own \\
        --salt-key ~/.local/share/provenance/salts.key

The additions are marked (1) to (4). This script draws the seed itself, so the order counts as not
pre-registered, and no verdict about the run is better than that. `provenance train --anchor` lets
the chain draw the seed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore, load_or_create_key
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance_trainer.model.base import load_base
from provenance_trainer.record.callback import ProvenanceCallback
from provenance_trainer.record.capture import RecordingCollator
from provenance_trainer.record.features import CommittedRows
from provenance_trainer.record.recorder import Recorder
from provenance_trainer.record.sampler import CommittedSampler, EpochOrders


class Tokenized(Dataset):
    """The script's own preprocessing: samples of fixed length.

    Item i must be record i of the committed dataset.
    """

    def __init__(self, dataset: CommittedDataset, tokenizer, length: int = 32) -> None:
        self.dataset, self.tokenizer, self.length = dataset, tokenizer, length

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> dict:
        text = self.dataset.row(i)[self.dataset.text_column]
        sample = self.tokenizer(text, truncation=True, max_length=self.length, padding="max_length")
        pairs = zip(sample["input_ids"], sample["attention_mask"], strict=True)
        return {
            **sample,
            "labels": [token if mask else -100 for token, mask in pairs],
            "text": text,
        }


class MyTrainer(Trainer):
    """(1) Feeds records in the order of the seed instead of a random order."""

    def __init__(self, *args, sampler: CommittedSampler, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.sampler = sampler

    def _get_train_sampler(self, train_dataset=None) -> CommittedSampler:
        return self.sampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder written by `provenance dataset commit`"
    )
    parser.add_argument(
        "--salt-key", type=Path, required=True, help="file of the key that encrypts the salts"
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "provenance",
        help="folder for decoded base models",
    )
    parser.add_argument("--model", default="tiny", help="smollm2, tiny, a folder or a hub id")
    parser.add_argument("--max-steps", type=int, default=-1)
    options = parser.parse_args()
    torch.manual_seed(0)

    base = load_base(options.model, options.cache)
    tokenizer = AutoTokenizer.from_pretrained(base.dir)
    model = AutoModelForCausalLM.from_pretrained(base.dir, dtype=torch.float32)
    model = get_peft_model(
        model,
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )

    key = load_or_create_key(options.salt_key)
    dataset = CommittedDataset.open(options.data, key)
    seed = os.urandom(32)
    orders = EpochOrders(seed, len(dataset))
    evidence = options.out / "provenance"
    with (
        Journal.create(evidence / "journal", {"format": "own-trainer"}) as journal,
        SaltStore.open(evidence / "secrets" / "salts.sqlite", key) as salts,
    ):
        # (2) The recorder, with journal, committed dataset, private salts and the order.
        recorder = Recorder(journal, dataset, salts, orders)
        recorder.append(Record.make("seed", seed=f"0x{seed.hex()}", source="local"))
        sampler = CommittedSampler(orders)
        trainer = MyTrainer(
            model=model,
            args=TrainingArguments(
                output_dir=str(options.out),
                per_device_train_batch_size=4,
                gradient_accumulation_steps=2,
                num_train_epochs=1,
                max_steps=options.max_steps,
                learning_rate=1e-3,
                logging_steps=1,
                save_steps=5,
                use_cpu=True,
                report_to="none",
                label_names=["labels"],
                dataloader_pin_memory=False,
                disable_tqdm=True,
            ),
            # (3) Each sample has the index of its record, and the collator adds it to the tensors.
            train_dataset=CommittedRows(Tokenized(dataset, tokenizer)),
            data_collator=RecordingCollator(default_data_collator),
            # (4) The callback that records what reaches the model.
            callbacks=[ProvenanceCallback(recorder, sampler=sampler)],
            sampler=sampler,
        )
        trainer.train()
        model.save_pretrained(options.out / "adapter-raw")
        recorder.close()
        print(recorder.status)


if __name__ == "__main__":
    main()
