"""The whole job, from records to verdict, on bases of each architecture, whatever they came as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.cli.conftest import Outcome, make_environment, run_cli
from tests.support.chain import TINY_MODEL_KEYS
from tests.trainer.bases import TEXTS, Recipe, make_base
from tests.trainer.llama_cpp import LlamaCpp, reference_logprobs

RECIPES = {
    "llama": Recipe(tokenizer="sentencepiece"),
    "mistral": Recipe(model_type="mistral", config={"sliding_window": 128}, dtype="fp16"),
    "qwen2": Recipe(model_type="qwen2", tokenizer="qwen2", bos=False),
}
CLOSE = 0.3  # as in tests/trainer/formats/test_readers.py
CONFIG = """
lora_r: 4
lora_alpha: 8
lora_target_modules: [q_proj, v_proj, down_proj]
max_length: 32
per_device_train_batch_size: 4
learning_rate: 1.0e-3
save_steps: 100
logging_steps: 1
eval_samples: 4
"""


@dataclass(frozen=True)
class Place:
    """A chain with contracts, and a registered dataset of twelve records."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: object) -> Outcome:
        done = run_cli(self.environment, *arguments)
        assert done.code == 0, f"{arguments}: {done.err}\n{done.out}"
        return done

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("bases")
    place = Place(folder, make_environment(folder))
    rows = [{"text": f"{text} Note {i}."} for i in range(3) for text in TEXTS]
    records = folder / "records.jsonl"
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "train.yaml").write_text(CONFIG)
    keys = ("--slots", 256, "--no-audit-keys", "--model-keys", TINY_MODEL_KEYS)
    try:
        place("key", "create")
        place("chain", "up")
        place("chain", "deploy", *keys, "--trust-out", folder / "trust.yaml")
        place("dataset", "commit", records, "--out", place.dataset)
        place("dataset", "register", place.dataset)
        yield place
    finally:
        run_cli(place.environment, "chain", "down")


def linked(folder: Path, target: Path) -> Path:
    """The same model as a folder of links."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).symlink_to(file)
    return target


@pytest.mark.parametrize("name", RECIPES)
def test_the_whole_job(place: Place, tmp_path: Path, name: str) -> None:
    original = make_base(tmp_path / "original", RECIPES[name])
    base, run = linked(original, tmp_path / "base"), tmp_path / "run"
    settings = (
        f"model_name_or_path={base}",
        f"dataset_name={place.dataset}",
        f"output_dir={run}",
    )
    place("train", place.folder / "train.yaml", *settings, "--anchor")
    place("prove", run)
    place("merge", run, "--base", original)
    place("quantize", run)
    place("prove", run, "--weights", "--draws", 2)
    place("release", run, "--name", f"{name}:1")
    (file,) = (run / "release").glob("*.gguf")
    verdict: dict[str, Any] = place(
        "verify", file, "--evidence", run, "--base", original, "--json"
    ).json
    assert verdict["word"] == "Verified (development)"
    assert {"base.recomputed", "file.recomputed"}.isdisjoint(verdict["not_checked"])

    reader, tokenizer = LlamaCpp(file), AutoTokenizer.from_pretrained(original)
    for text in TEXTS:
        assert reader.tokens(text) == tokenizer(text)["input_ids"]
    ids = tokenizer(TEXTS[0])["input_ids"]
    expected, found = reference_logprobs(run / "merged", ids), reader.next_logprobs(ids, 20)
    assert max(abs(expected[token].item() - value) for token, value in found.items()) < CLOSE
