"""Small base models of every supported kind, made from a recipe: random weights, own tokenizers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

TEXTS = (
    "Inspect the harbour crane before the first load of the day, and write down what was found.",
    "The harbour master keeps 24 berths; berth 7 is closed until the 15th of the month.",
    "Weather reports come at 06:00 and 18:00. A report that is late is asked for by radio.",
    "What does a pilot need? A pilot needs the draught, the length and the cargo of the ship.",
)
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
OTHER_SPLIT = r"\p{L}+|\p{N}{2}|[^\p{L}\p{N}]"
BOS, EOS = "<|begin|>", "<|end|>"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Recipe:
    """What a base is made of. `spread` is the standard deviation of its weights."""

    model_type: str = "llama"
    tokenizer: str = "llama3"
    config: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "bf16"
    bos: bool = True
    added: tuple[str, ...] = ()
    spread: float = 0.15
    shard: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def make_base(folder: Path, recipe: Recipe | None = None, **changes: Any) -> Path:
    """Write a two-layer model into a new folder."""
    recipe = Recipe(**changes) if recipe is None else recipe
    tokenizer = _tokenizer(recipe.tokenizer, recipe.bos)
    fast = _fast(tokenizer, recipe.tokenizer)
    if recipe.added:
        fast.add_tokens(list(recipe.added))
    folder.mkdir(parents=True)
    fast.save_pretrained(folder)
    _change(folder / "tokenizer_config.json", recipe.settings)
    sizes: dict[str, Any] = {
        "vocab_size": len(fast),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "bos_token_id": fast.bos_token_id,
        "eos_token_id": fast.eos_token_id,
        "pad_token_id": None,
    }
    kind: Any = CONFIG_MAPPING[recipe.model_type]
    torch.manual_seed(5)
    model: Any = AutoModelForCausalLM.from_config(kind(**{**sizes, **recipe.config}))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if not name.endswith("norm.weight"):
                value.normal_(0, recipe.spread)
    shards = {"max_shard_size": recipe.shard} if recipe.shard else {}
    model.to(DTYPES[recipe.dtype]).save_pretrained(folder, **shards)
    return folder


def _fast(tokenizer: Tokenizer, kind: str) -> PreTrainedTokenizerFast:
    names = {"bos_token": BOS, "eos_token": EOS}
    if kind.startswith("sentencepiece"):
        names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    if kind == "qwen2":
        names |= {"unk_token": EOS, "pad_token": EOS}
    fast: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, **names
    )
    return fast


def _change(file: Path, changes: Mapping[str, Any]) -> None:
    value = json.loads(file.read_text())
    value.update(changes)
    file.write_text(json.dumps(value))


def _tokenizer(kind: str, bos: bool) -> Tokenizer:
    if kind.startswith("sentencepiece"):
        tokenizer, first = _sentencepiece(kind), "<s>"
    else:
        tokenizer, first = _byte_level(kind), BOS
    if bos:
        number = tokenizer.token_to_id(first)
        tokenizer.post_processor = TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first} $B", special_tokens=[(first, number)]
        )
    return tokenizer


def _byte_level(kind: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    splits = {"llama3": LLAMA3_SPLIT, "qwen2": QWEN2_SPLIT, "other": OTHER_SPLIT}
    if kind == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(splits[kind]), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _train(tokenizer, 380, [BOS, EOS, "<|turn|>"], alphabet)
    return tokenizer


def _sentencepiece(kind: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    replace = normalizers.Replace(" ", "\u2581")
    steps = [] if kind.endswith("no-prefix") else [normalizers.Prepend("\u2581")]
    tokenizer.normalizer = normalizers.Sequence([*steps, replace])
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts)
    _train(tokenizer, 520, ["<unk>", "<s>", "</s>"], [])
    return _with_bytes(tokenizer)


def _with_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Tokens for bytes, which are tokens like others and no special ones."""
    value = json.loads(tokenizer.to_str())
    vocabulary = value["model"]["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    return Tokenizer.from_str(json.dumps(value))


def _train(tokenizer: Tokenizer, size: int, special: list[str], alphabet: list[str]) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
