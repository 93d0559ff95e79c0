"""`make gpu-check`: trains on a GPU and trains it again, bit for bit; needs no network.

    python examples/gpu_check.py [--on-cpu] [BASE ..]

For each base one JSON object a line: `tiny`, `smollm2` (135 million weights), and `1b`, a Llama of
1.1 billion random weights with the tokenizer of `smollm2`. Without a GPU the status is "not run".
`--on-cpu` does the same on the processor, to try the script itself.

Each base is trained for six bfloat16 steps with dropout by `provenance train`. Then
`provenance audit replay` trains all segments again as one training, and each by itself.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from provenance.layout import RunFolder
from provenance.log.tree import read_records
from provenance_trainer.model.base import load_base

BASES = ("tiny", "smollm2", "1b")
STEPS, RECORDS = 6, 48
# As Llama 3.2 1B, but for the vocabulary, which is that of the tokenizer.
ONE_BILLION = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096,
}
WEIGHTS = frozenset({"config.json", "model.safetensors", "generation_config.json"})


def one_billion(folder: Path, cache: Path) -> Path:
    """A folder with random weights of this shape, made from a seed."""
    origin = load_base("smollm2", cache).dir
    folder.mkdir()
    torch.manual_seed(1)
    vocabulary = json.loads((origin / "config.json").read_text())["vocab_size"]
    config = LlamaConfig(vocab_size=vocabulary, tie_word_embeddings=False, **ONE_BILLION)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for path in origin.iterdir():
        if path.name not in WEIGHTS:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command of provenance with a home of its own; what it says to people is passed on."""
    script = "import sys; from provenance_cli.main import main; sys.exit(main())"
    password = home / "password"
    environment = os.environ | {
        "PROVENANCE_HOME": str(home),
        "PROVENANCE_PASSWORD_FILE": str(password),
    }
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def trained(home: Path, base: str, folder: Path) -> RunFolder:
    """Train a base, without a chain; the settings are those of a short real run.

    Raises:
        subprocess.CalledProcessError: a command failed; it has said why.
    """
    rows = [{"text": f"record {i}, long enough to have some tokens"} for i in range(RECORDS)]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command(home, "key", "create").check_returncode()
    command(home, "dataset", "commit", str(data), "--out", str(folder / "data")).check_returncode()
    settings = {
        "model_name_or_path": base,
        "dataset_name": str(folder / "data"),
        "output_dir": str(folder / "run"),
        "max_length": "64",
        "per_device_train_batch_size": "4",
        "gradient_accumulation_steps": "2",
        "lora_dropout": "0.05",
        "num_train_epochs": "1",
        "save_steps": "2",
        "bf16": "true",
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    tiny = str(Path(__file__).parent / "tiny.yaml")
    command(home, "train", tiny, *words, "--unregistered").check_returncode()
    return RunFolder(folder / "run")


def replayed(home: Path, run: RunFolder, base: str, executor: str) -> dict[str, Any]:
    """The report of training all segments again; `class` says how they came out."""
    data = run.root.parent / "data"
    words = ("--with-data", str(data), "--base", base, "--segments", "all", "--executor", executor)
    done = command(home, "audit", "replay", str(run.root), *words, "--json")
    return json.loads(done.stdout) if done.stdout else {"class": f"exit code {done.returncode}"}


def check(name: str, folder: Path) -> dict[str, object]:
    """Train a base and train it again, and report what came of it."""
    home = folder / "home"
    home.mkdir()
    (home / "password").touch(0o600)
    (home / "password").write_text(secrets.token_hex(16))
    base = str(one_billion(folder / "base", folder)) if name == "1b" else name
    begin = time.monotonic()
    run = trained(home, base, folder)
    took_s = time.monotonic() - begin
    records = read_records(run.journal)
    unmatched = sum(int(r.fields.get("unmatched", 0)) for r in records if r.type == "batch")
    together = replayed(home, run, base, "local")
    alone = replayed(home, run, base, "local:1")
    classes = {"together": together["class"], "each_alone": alone["class"]}
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "status": "passed" if {*classes.values()} == {"exact"} and unmatched == 0 else "failed",
        "base": name,
        "device": gpu or "processor",
        "torch": torch.__version__,
        "steps": STEPS,
        "segments": together.get("segments"),
        "replayed": classes,
        "unmatched": unmatched,
        "train_s": round(took_s, 1),
        "replay_s": [together.get("seconds"), alone.get("seconds")],
    }


def main(arguments: Sequence[str]) -> int:
    """Check these bases, or all; 1 if one does not come out."""
    names = [name for name in arguments if name != "--on-cpu"] or BASES
    unknown = [name for name in names if name not in BASES]
    if unknown:
        print(f"no such base: {unknown[0][:40]!r}, expected {', '.join(BASES)}", file=sys.stderr)
        return 2
    if "--on-cpu" in arguments:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        reason = {"status": "not run", "reason": "no CUDA device", "torch": torch.__version__}
        print(json.dumps(reason))
        return 0
    passed = True
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            result = check(name, Path(folder))
        print(json.dumps(result), flush=True)
        passed &= result["status"] == "passed"
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
