"""Base models that are made here: SmolLM2 from its package's GGUF file, and a tiny one for tests.

torch, transformers and tokenizers are imported only when a model is made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

TINY_SEED = 20260101
_TINY_VOCAB = 512
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Text for the tiny tokenizer's merges. Any text would do, but it must never change.
_TINY_CORPUS = (
    "The adversary sends a message with a link to a site that looks like the one the user "
    "knows.\n"
    "A process on the host reads the memory of another process and writes what it found "
    "to a file in the user's folder.\n"
    "Defenders collect logs of new services, scheduled tasks and remote sessions, and "
    "look for accounts that act at odd hours.\n"
    "The record of a run names the data, the order in which it was read, the model before "
    "training and the model after it.\n"
    "Every file has a digest, and every digest stands in a log whose head is on the "
    "chain, so nobody can change it unnoticed.\n"
    "In 2024 there were 1,234 reports; 56 of them described the same technique, 78 named "
    "the tool, and 90 had no detail."
)


def decode_gguf(file: Path, folder: Path) -> None:
    """Write a GGUF model as a bfloat16 folder with tokenizer.json; weights are rounded once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    config: dict[str, Any] = model.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    # The file holds a float32. Its shortest decimal is the number that the model's authors wrote.
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
    """Make the tokenizer split numbers into digits, as SmolLM2's does.

    The GGUF file says this only by the tokenizer's name "smollm", which transformers ignores.
    """
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


def make_tiny(folder: Path) -> None:
    """Write a two-layer Llama of about 90,000 random weights, always the same ones.

    Hidden size 64, 4 heads of 16, 2 key-value heads.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=_tiny_tokenizer(), **special)  # type: ignore[no-untyped-call]
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=_TINY_VOCAB,
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
    named = {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    _write_model(folder, config.to_dict() | named, tensors)


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
        vocab_size=_TINY_VOCAB,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TINY_CORPUS], trainer)
    return tokenizer
