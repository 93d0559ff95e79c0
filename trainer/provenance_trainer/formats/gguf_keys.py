"""The metadata keys of a Llama-architecture model folder as GGUF: hyperparameters and tokenizer.

Every key follows from the folder's files alone, so anybody who has them can compute it again.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Standardized key-value pairs").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf.constants import GGUFValueType, LlamaFileType, TokenType

from provenance.errors import InputError
from provenance_trainer.formats.gguf_model import MAX_CONFIG_BYTES, ModelFolder, rope_of
from provenance_trainer.model.adapter import load_json

_MAX_TOKENIZER_BYTES = 256 << 20

# Split patterns of byte-level BPE tokenizers -> the names that GGUF readers know them by.
# Source: `pre_tokenizer` of the published tokenizer.json of Llama 3 and Qwen 2.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLIT_NAMES = {
    rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe",
    rf"{_WORDS}|\p{{N}}|{_REST}": "qwen2",
}
_SPECIAL_TOKENS = (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad"))


@dataclass(frozen=True)
class Key:
    """One metadata key as the file holds it; `item` is the type of an array's items."""

    name: str
    kind: GGUFValueType
    value: Any
    item: GGUFValueType | None = None


def metadata(model: ModelFolder) -> list[Key]:
    """Every key that follows from the folder, in the file's order.

    `general.architecture` is not among them, because gguf-py writes it first by itself.

    Raises:
        InputError: the tokenizer or the rotary type cannot be written as GGUF here.
    """
    return [*_hyperparameters(model), *_tokenizer(model)]


def _hyperparameters(model: ModelFolder) -> Iterator[Key]:
    config, rope = model.config, rope_of(model)
    u32, f32, text = GGUFValueType.UINT32, GGUFValueType.FLOAT32, GGUFValueType.STRING
    yield Key("general.type", text, "model")
    yield Key("general.file_type", u32, int(LlamaFileType.MOSTLY_Q8_0))
    yield Key("general.quantization_version", u32, 2)
    yield Key("llama.block_count", u32, config["num_hidden_layers"])
    yield Key("llama.context_length", u32, config.get("max_position_embeddings", 2048))
    yield Key("llama.embedding_length", u32, config["hidden_size"])
    yield Key("llama.feed_forward_length", u32, config["intermediate_size"])
    yield Key("llama.attention.head_count", u32, model.heads)
    yield Key("llama.attention.head_count_kv", u32, model.kv_heads)
    epsilon = float(np.float32(config.get("rms_norm_eps", 1e-6)))
    yield Key("llama.attention.layer_norm_rms_epsilon", f32, epsilon)
    yield Key("llama.rope.dimension_count", u32, model.head_dim)
    yield Key("llama.rope.freq_base", f32, float(np.float32(rope["rope_theta"])))
    if rope["rope_type"] == "linear":
        yield Key("llama.rope.scaling.type", text, "linear")
        yield Key("llama.rope.scaling.factor", f32, float(np.float32(rope["factor"])))
    if model.head_dim * model.heads != config["hidden_size"]:
        yield Key("llama.attention.key_length", u32, model.head_dim)
        yield Key("llama.attention.value_length", u32, model.head_dim)
    yield Key("llama.vocab_size", u32, config["vocab_size"])


def _tokenizer(model: ModelFolder) -> Iterator[Key]:
    data = load_json(model.path / "tokenizer.json", _MAX_TOKENIZER_BYTES)
    settings = load_json(model.path / "tokenizer_config.json", MAX_CONFIG_BYTES)
    bpe = data.get("model") or {}
    if bpe.get("type") != "BPE" or bpe.get("byte_fallback"):
        raise InputError(
            "only byte-level BPE tokenizers can be written as GGUF",
            where=str(model.path / "tokenizer.json"),
            expected="BPE",
            actual=bpe.get("type"),
        )
    tokens, types = _token_list(model, bpe["vocab"], data.get("added_tokens") or [])
    splitting = _pre_tokenizer_name(data.get("pre_tokenizer") or {}, model)
    text, array, flag = GGUFValueType.STRING, GGUFValueType.ARRAY, GGUFValueType.BOOL
    yield Key("tokenizer.ggml.model", text, "gpt2")
    yield Key("tokenizer.ggml.pre", text, splitting)
    yield Key("tokenizer.ggml.tokens", array, tokens, text)
    yield Key("tokenizer.ggml.token_type", array, types, GGUFValueType.INT32)
    yield Key("tokenizer.ggml.merges", array, [_merge_text(pair) for pair in bpe["merges"]], text)
    yield from _special_tokens(model, settings, tokens)
    yield Key("tokenizer.ggml.add_bos_token", flag, _adds_bos(data, settings))
    yield Key("tokenizer.ggml.add_space_prefix", flag, False)
    template = _chat_template(model, settings)
    if template is not None:
        yield Key("tokenizer.chat_template", text, template)


def _special_tokens(
    model: ModelFolder, settings: Mapping[str, Any], tokens: list[str]
) -> Iterator[Key]:
    ids = {token: i for i, token in enumerate(tokens)}
    for key, name in _SPECIAL_TOKENS:
        token = _special(settings.get(f"{name}_token"))
        if token is None:
            continue
        if token not in ids:
            raise InputError(
                "special token is not in the vocabulary", where=str(model.path), actual=token
            )
        yield Key(f"tokenizer.ggml.{key}_token_id", GGUFValueType.UINT32, ids[token])


def _token_list(
    model: ModelFolder, vocab: Mapping[str, int], added: list[dict[str, Any]]
) -> tuple[list[str], list[int]]:
    """Tokens and their types, by id. An id without a token gets an unused placeholder."""
    size = int(model.config["vocab_size"])
    tokens, types = [f"[PAD{i}]" for i in range(size)], [int(TokenType.UNUSED)] * size
    added_types = {
        a["id"]: TokenType.CONTROL if a.get("special") else TokenType.USER_DEFINED for a in added
    }
    entries = {number: token for token, number in vocab.items()}
    entries |= {a["id"]: a["content"] for a in added}
    for number, token in entries.items():
        if not isinstance(number, int) or not 0 <= number < size:
            raise InputError(
                "token lies outside the model's vocabulary",
                where=f"{model.path} {token[:80]}",
                expected=f"0..{size - 1}",
                actual=number,
            )
        tokens[number], types[number] = token, int(added_types.get(number, TokenType.NORMAL))
    return tokens, types


def _merge_text(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)


def _special(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _pre_tokenizer_name(spec: Mapping[str, Any], model: ModelFolder) -> str:
    parts = spec["pretokenizers"] if spec.get("type") == "Sequence" else [spec]
    types = [part.get("type") for part in parts]
    splits_words = bool(parts) and parts[-1].get("use_regex", True)
    if types == ["ByteLevel"] and splits_words:
        return "gpt-2"
    if types == ["Digits", "ByteLevel"] and splits_words and parts[0].get("individual_digits"):
        return "smollm"
    if types == ["Split", "ByteLevel"]:
        name = _SPLIT_NAMES.get((parts[0].get("pattern") or {}).get("Regex", ""))
        if name is not None:
            return name
    raise InputError(
        "tokenizer splits text in a way that has no GGUF name here",
        where=str(model.path / "tokenizer.json"),
        expected="gpt-2, smollm, llama-bpe or qwen2 splitting",
        actual=types,
    )


def _adds_bos(data: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    processor = data.get("post_processor") or {}
    parts = processor.get("processors", []) if processor.get("type") == "Sequence" else [processor]
    bos = _special(settings.get("bos_token"))
    for part in parts:
        if part.get("type") == "TemplateProcessing":
            first = (part.get("single") or [{}])[0].get("SpecialToken") or {}
            if bos is not None and first.get("id") == bos:
                return True
    return bool(settings.get("add_bos_token", False))


def _chat_template(model: ModelFolder, settings: Mapping[str, Any]) -> str | None:
    file = model.path / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    return template if isinstance(template, str) else None
