"""The metadata keys of a model folder as GGUF: hyperparameters and tokenizer.

Every key follows from the folder's files alone, so anybody who has them can compute it again.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Standardized key-value pairs").
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gguf.constants import GGUFValueType, LlamaFileType

from provenance.errors import InputError
from provenance_trainer.formats.gguf_model import Key, ModelFolder
from provenance_trainer.formats.gguf_rope import rope_keys
from provenance_trainer.formats.tokenizer.keys import tokenizer_keys

_CONTEXT = {"llama": 2048, "mistral": 131072, "qwen2": 32768, "qwen3": 32768}
_MISTRAL_WINDOW = 4096


def metadata(model: ModelFolder) -> list[Key]:
    """Every key that follows from the folder, in the file's order.

    `general.architecture` is not among them, because gguf-py writes it first by itself.

    Raises:
        InputError: the tokenizer or the rotary type cannot be written as GGUF here.
    """
    return [*_hyperparameters(model), *tokenizer_keys(model)]


def _hyperparameters(model: ModelFolder) -> Iterator[Key]:
    config, shape = model.config, model.shape
    arch = shape.architecture.gguf
    u32, f32, text = GGUFValueType.UINT32, GGUFValueType.FLOAT32, GGUFValueType.STRING
    yield Key("general.type", text, "model")
    yield Key("general.file_type", u32, int(LlamaFileType.MOSTLY_Q8_0))
    yield Key("general.quantization_version", u32, 2)
    yield Key(f"{arch}.block_count", u32, shape.layers)
    yield _context_length(model)
    yield Key(f"{arch}.embedding_length", u32, shape.hidden)
    yield Key(f"{arch}.feed_forward_length", u32, shape.intermediate)
    yield Key(f"{arch}.attention.head_count", u32, shape.heads)
    yield Key(f"{arch}.attention.head_count_kv", u32, shape.kv_heads)
    epsilon = float(np.float32(config.get("rms_norm_eps", 1e-6)))
    yield Key(f"{arch}.attention.layer_norm_rms_epsilon", f32, epsilon)
    yield from rope_keys(model)
    if shape.head_dim * shape.heads != shape.hidden:
        yield Key(f"{arch}.attention.key_length", u32, shape.head_dim)
        yield Key(f"{arch}.attention.value_length", u32, shape.head_dim)
    yield Key(f"{arch}.vocab_size", u32, shape.vocabulary)


def _context_length(model: ModelFolder) -> Key:
    """The longest text of which a reader computes what the model does.

    Readers attend to everything. A model with a sliding window does the same up to its width.
    """
    architecture, config = model.shape.architecture, model.config
    length = config.get("max_position_embeddings")
    if length is None:
        length = _CONTEXT[architecture.model_type]
    name, kind = f"{architecture.gguf}.context_length", GGUFValueType.UINT32
    window = sliding_window(model)
    if window is None or window >= length:
        return Key(name, kind, length)
    return Key(name, kind, window, earlier=length)


def sliding_window(model: ModelFolder) -> int | None:
    """How many tokens a layer attends to; None for all.

    Raises:
        InputError: not a number of tokens.
    """
    config = model.config
    if model.shape.architecture.model_type == "mistral":
        window = config.get("sliding_window", _MISTRAL_WINDOW)
    else:
        window = config.get("sliding_window", 4096) if config.get("use_sliding_window") else None
    if window is None or (type(window) is int and window > 0):
        return window
    raise InputError(
        "missing or bad number", where=f"{model.path / 'config.json'} sliding_window", actual=window
    )
