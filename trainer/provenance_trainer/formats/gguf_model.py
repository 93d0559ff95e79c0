"""What a Llama-architecture model folder looks like as GGUF: names, row order, hyperparameters, tokenizer, chat template.

Everything is a function of the folder's files, so that whoever holds them can compute it again.
Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Standardized tensor names" and "Standardized key-value pairs").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import MODEL_ARCH, GGUFValueType, LlamaFileType, TokenType
from gguf.tensor_mapping import get_tensor_name_map

from provenance.errors import InputError
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.weights import Weights

ARCHITECTURE = "llama"
_MODEL_TYPES = ("llama", "mistral")
_MAX_CONFIG_BYTES = 16 << 20
_MAX_TOKENIZER_BYTES = 256 << 20
_LAYER = re.compile(r"model\.layers\.(\d+)\..+")

# Split patterns of byte-level BPE tokenizers -> the name by which GGUF readers know them.
# Source: `pre_tokenizer` of the published tokenizer.json of Llama 3 and Qwen 2.
_SPLIT_NAMES = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": (
        "llama-bpe"
    ),
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
}


@dataclass(frozen=True)
class Key:
    """One metadata key as it stands in the file; `item` is the type of an array's items."""

    name: str
    kind: GGUFValueType
    value: Any
    item: GGUFValueType | None = None


@dataclass(frozen=True)
class ModelFolder:
    """A model folder opened for conversion."""

    path: Path
    config: Mapping[str, Any]
    weights: Weights

    @property
    def heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def kv_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.heads)

    @property
    def head_dim(self) -> int:
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.heads)


def open_model(path: Path) -> ModelFolder:
    """Open a Llama-architecture folder.

    Raises:
        InputError: another architecture, or a configuration without what GGUF needs.
    """
    where = str(path / "config.json")
    config = load_json(path / "config.json", _MAX_CONFIG_BYTES)
    if config.get("model_type") not in _MODEL_TYPES:
        raise InputError(
            "only Llama-architecture models can be written as GGUF",
            where=where,
            expected=" or ".join(_MODEL_TYPES),
            actual=config.get("model_type"),
        )
    for name in (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
    ):
        if not isinstance(config.get(name), int) or not 0 < config[name] < 2**31:
            raise InputError(
                "missing or bad number", where=f"{where} {name}", actual=config.get(name)
            )
    return ModelFolder(path, config, Weights(path))


# Tensors


def tensor_names(model: ModelFolder) -> dict[str, str]:
    """GGUF name -> name in the folder, in the order of the file: embedding, layers, head.

    Raises:
        InputError: a tensor the architecture does not have, or a tied head that differs from the embedding.
    """
    layers = int(model.config["num_hidden_layers"])
    mapping = get_tensor_name_map(MODEL_ARCH.LLAMA, layers)
    names: dict[str, str] = {}
    for name in sorted(model.weights, key=_file_order):
        if name == "lm_head.weight" and model.config.get("tie_word_embeddings"):
            if model.weights.raw(name) != model.weights.raw("model.embed_tokens.weight"):
                raise InputError(
                    "output head is tied but differs from the embedding",
                    where=f"{model.path} {name}",
                )
            continue
        translated = mapping.get_name(name, try_suffixes=(".weight", ".bias"))
        match = _LAYER.fullmatch(name)
        if translated is None or (match is not None and int(match[1]) >= layers):
            raise InputError(
                "tensor does not belong to the architecture", where=f"{model.path} {name}"
            )
        names[translated] = name
    return names


def _file_order(name: str) -> tuple[int, int, str]:
    match = _LAYER.fullmatch(name)
    if match is not None:
        return 1, int(match[1]), name
    return (0 if name.startswith("model.embed_tokens") else 2), 0, name


def tensor_values(model: ModelFolder, gguf_name: str, name: str) -> np.ndarray:
    """Float32 values of one tensor in GGUF row order (exact: the folder holds bfloat16).

    Raises:
        InputError: not bfloat16, or NaN or infinity among the values.
    """
    bits = model.weights.bf16_bits(name)
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(values).all():
        raise InputError("weights hold NaN or infinity", where=f"{model.path} {name}")
    if ".attn_q." in gguf_name:
        return _interleave(values, model.heads)
    if ".attn_k." in gguf_name:
        return _interleave(values, model.kv_heads)
    return values


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """Rotary halves (x0..xd/2, y0..yd/2) of each head become pairs (x0, y0, x1, y1, ..), as GGUF's Llama rotates them."""
    rows = values.shape[0]
    if rows % (2 * heads):
        raise InputError(
            "rows are not whole heads", expected=f"a multiple of {2 * heads}", actual=rows
        )
    halves = values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def rope_factors(model: ModelFolder) -> np.ndarray | None:
    """Frequency factors `(head_dim/2,)` of rope type llama3, None for other types.

    Source: "llama3" in Hugging Face's modeling_rope_utils documentation (wavelength thresholds and linear blend).
    """
    rope = _rope(model)
    if rope.get("rope_type", "default") != "llama3":
        return None
    factor, low, high = (
        float(rope["factor"]),
        float(rope["low_freq_factor"]),
        float(rope["high_freq_factor"]),
    )
    context = float(rope["original_max_position_embeddings"])
    exponents = np.arange(0, model.head_dim, 2, dtype=np.float64) / model.head_dim
    wavelength = 2 * math.pi * float(rope["rope_theta"]) ** exponents
    blend = (context / wavelength - low) / (high - low)
    smooth = 1 / ((1 - blend) / factor + blend)
    longest = np.where(wavelength > context / low, factor, smooth)
    return np.where(wavelength < context / high, 1.0, longest).astype(np.float32)


def _rope(model: ModelFolder) -> dict[str, Any]:
    rope = dict(model.config.get("rope_parameters") or model.config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", model.config.get("rope_theta", 10000.0))
    rope.setdefault("rope_type", rope.get("type", "default"))
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        raise InputError(
            "rope type is not supported",
            where=str(model.path),
            expected="default, linear or llama3",
            actual=rope["rope_type"],
        )
    return rope


# Metadata


def metadata(model: ModelFolder) -> list[Key]:
    """Every key that follows from the folder, in file order (`general.architecture` is written first by gguf-py)."""
    return [*_hyperparameters(model), *_tokenizer(model)]


def _hyperparameters(model: ModelFolder) -> Iterator[Key]:
    config, rope = model.config, _rope(model)
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
    yield Key(
        "llama.attention.layer_norm_rms_epsilon",
        f32,
        float(np.float32(config.get("rms_norm_eps", 1e-6))),
    )
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
    settings = load_json(model.path / "tokenizer_config.json", _MAX_CONFIG_BYTES)
    bpe = data.get("model") or {}
    if bpe.get("type") != "BPE" or bpe.get("byte_fallback"):
        raise InputError(
            "only byte-level BPE tokenizers can be written as GGUF",
            where=str(model.path / "tokenizer.json"),
            expected="BPE",
            actual=bpe.get("type"),
        )
    tokens, types = _token_list(model, bpe["vocab"], data.get("added_tokens") or [])
    ids = {token: i for i, token in enumerate(tokens)}
    u32, text, array, flag = (
        GGUFValueType.UINT32,
        GGUFValueType.STRING,
        GGUFValueType.ARRAY,
        GGUFValueType.BOOL,
    )
    yield Key("tokenizer.ggml.model", text, "gpt2")
    yield Key(
        "tokenizer.ggml.pre", text, _pre_tokenizer_name(data.get("pre_tokenizer") or {}, model)
    )
    yield Key("tokenizer.ggml.tokens", array, tokens, text)
    yield Key("tokenizer.ggml.token_type", array, types, GGUFValueType.INT32)
    yield Key("tokenizer.ggml.merges", array, [_merge_text(pair) for pair in bpe["merges"]], text)
    for key, name in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        token = _special(settings.get(f"{name}_token"))
        if token is not None:
            if token not in ids:
                raise InputError(
                    "special token is not in the vocabulary", where=str(model.path), actual=token
                )
            yield Key(f"tokenizer.ggml.{key}_token_id", u32, ids[token])
    yield Key("tokenizer.ggml.add_bos_token", flag, _adds_bos(data, settings))
    yield Key("tokenizer.ggml.add_space_prefix", flag, False)
    template = _chat_template(model, settings)
    if template is not None:
        yield Key("tokenizer.chat_template", text, template)


def _token_list(
    model: ModelFolder, vocab: Mapping[str, int], added: list[dict[str, Any]]
) -> tuple[list[str], list[int]]:
    """Tokens and their types by id; ids that no token has become unused placeholders."""
    size = int(model.config["vocab_size"])
    tokens, types = [f"[PAD{i}]" for i in range(size)], [int(TokenType.UNUSED)] * size
    kinds = {
        a["id"]: TokenType.CONTROL if a.get("special") else TokenType.USER_DEFINED for a in added
    }
    entries = {
        **{number: token for token, number in vocab.items()},
        **{a["id"]: a["content"] for a in added},
    }
    for number, token in entries.items():
        if not isinstance(number, int) or not 0 <= number < size:
            raise InputError(
                "token lies outside the model's vocabulary",
                where=f"{model.path} {token[:80]}",
                expected=f"0..{size - 1}",
                actual=number,
            )
        tokens[number], types[number] = token, int(kinds.get(number, TokenType.NORMAL))
    return tokens, types


def _merge_text(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)


def _special(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _pre_tokenizer_name(spec: Mapping[str, Any], model: ModelFolder) -> str:
    parts = spec["pretokenizers"] if spec.get("type") == "Sequence" else [spec]
    kinds = [part.get("type") for part in parts]
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True):
        return "gpt-2"
    if (
        kinds == ["Digits", "ByteLevel"]
        and parts[0].get("individual_digits")
        and parts[1].get("use_regex", True)
    ):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        name = _SPLIT_NAMES.get((parts[0].get("pattern") or {}).get("Regex", ""))
        if name is not None:
            return name
    raise InputError(
        "tokenizer splits text in a way that has no GGUF name here",
        where=str(model.path / "tokenizer.json"),
        expected="gpt-2, smollm, llama-bpe or qwen2 splitting",
        actual=kinds,
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
