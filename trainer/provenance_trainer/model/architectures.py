"""The decoders that can be trained, merged and written: Llama, and those built like it.

Names and shapes of a model's tensors follow from its config.json. So what is missing, left over or
of another size shows in the headers of its files, before any weight is read.

Source: `modeling_llama.py`, `modeling_mistral.py`, `modeling_qwen2.py` and `modeling_qwen3.py` of
transformers 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provenance.errors import InputError

Config = Mapping[str, Any]

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
MAX_CONFIG_BYTES = 16 << 20
MAX_LAYERS = 1 << 12
_ATTENTION = tuple(f"self_attn.{side}_proj" for side in "qkvo")
_MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
# Rotary frequencies that old checkpoints store although the model computes them.
_DERIVED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
_NUMBERS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
)


def _no_biases(config: Config) -> tuple[str, ...]:
    return ()


def _llama_biases(config: Config) -> tuple[str, ...]:
    attention = _ATTENTION if config.get("attention_bias") else ()
    return (*attention, *(_MLP if config.get("mlp_bias") else ()))


def _qwen2_biases(config: Config) -> tuple[str, ...]:
    return _ATTENTION[:3]


def _qwen3_biases(config: Config) -> tuple[str, ...]:
    return _ATTENTION if config.get("attention_bias") else ()


@dataclass(frozen=True)
class Architecture:
    """One kind of decoder.

    model_type: As config.json calls it.
    causal_lm: Its class with a language-model head.
    gguf: As `general.architecture` calls it.
    interleaved: GGUF holds the rotary halves of each head of Q and K as pairs.
    biases: Which linear layers have a bias.
    head_norms: Q and K are normalized head by head.
    head_dim: Values of a head where config.json does not say; None for hidden size / heads.
    """

    model_type: str
    causal_lm: str
    gguf: str
    interleaved: bool
    biases: Callable[[Config], tuple[str, ...]]
    head_norms: bool = False
    head_dim: int | None = None


ARCHITECTURES = {
    item.model_type: item
    for item in (
        Architecture("llama", "LlamaForCausalLM", "llama", True, _llama_biases),
        Architecture("mistral", "MistralForCausalLM", "llama", True, _no_biases),
        Architecture("qwen2", "Qwen2ForCausalLM", "qwen2", False, _qwen2_biases),
        Architecture("qwen3", "Qwen3ForCausalLM", "qwen3", False, _qwen3_biases, True, 128),
    )
}


def architecture_of(config: Config, where: str) -> Architecture:
    """The architecture that a config.json names (attacker-controlled).

    Raises:
        InputError: another one, or another head than a language model's.
    """
    found = ARCHITECTURES.get(str(config.get("model_type")))
    if found is None:
        raise InputError(
            "architecture is not supported",
            where=f"{where} model_type",
            expected=" or ".join(ARCHITECTURES),
            actual=config.get("model_type"),
        )
    classes = config.get("architectures")
    if classes not in (None, []) and classes != [found.causal_lm]:
        raise InputError(
            "not a causal language model of its architecture",
            where=f"{where} architectures",
            expected=found.causal_lm,
            actual=classes,
        )
    return found


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder."""

    architecture: Architecture
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    biases: tuple[str, ...]
    tied: bool

    @classmethod
    def of(cls, config: Config, where: str) -> Shape:
        """Read a config.json (attacker-controlled).

        Raises:
            InputError: another architecture, or a number missing or impossible.
        """
        architecture = architecture_of(config, where)
        if _number(config, "num_hidden_layers", where) > MAX_LAYERS:
            raise InputError(
                "too many layers",
                where=f"{where} num_hidden_layers",
                expected=f"<= {MAX_LAYERS}",
                actual=config["num_hidden_layers"],
            )
        hidden, intermediate, layers, heads, vocabulary = (
            _number(config, name, where) for name in _NUMBERS
        )
        default = architecture.head_dim or max(1, hidden // heads)
        given = {name: config.get(name) for name in ("num_key_value_heads", "head_dim")}
        kv_heads, head_dim = (
            default_number if value is None else _number(config, name, where)
            for (name, value), default_number in zip(given.items(), (heads, default), strict=True)
        )
        if heads % kv_heads or head_dim % 2:
            raise InputError(
                "attention heads do not fit together",
                where=where,
                expected="heads a multiple of key-value heads, head_dim even",
                actual=f"{heads} heads, {kv_heads} key-value heads, head_dim {head_dim}",
            )
        return cls(
            architecture=architecture,
            hidden=hidden,
            intermediate=intermediate,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            vocabulary=vocabulary,
            biases=architecture.biases(config),
            tied=bool(config.get("tie_word_embeddings", False)),
        )

    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Each linear layer of one decoder layer, by its name there: `(out, in)`."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every tensor; a tied head is not among them."""
        yield EMBEDDING, (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            for name, shape in self._layer():
                yield f"model.layers.{layer}.{name}", shape
        yield "model.norm.weight", (self.hidden,)
        if not self.tied:
            yield HEAD, (self.vocabulary, self.hidden)

    def _layer(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, shape in self.linear_layers().items():
            yield f"{name}.weight", shape
            if name in self.biases:
                yield f"{name}.bias", shape[:1]
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{name}.weight", (self.hidden,)
        if self.architecture.head_norms:
            for name in ("self_attn.q_norm", "self_attn.k_norm"):
                yield f"{name}.weight", (self.head_dim,)


def is_derived(name: str) -> bool:
    """Whether a stored tensor is one that the model computes by itself: it says nothing."""
    return _DERIVED.fullmatch(name) is not None


def _number(config: Config, name: str, where: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise InputError("missing or bad number", where=f"{where} {name}", actual=value)
    return value
