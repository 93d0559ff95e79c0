"""How a tokenizer works, as far as a GGUF reader has to be told: from tokenizer.json.

Two kinds have a GGUF form: byte-level BPE, which splits text by an expression that readers know by
name, and BPE over characters with bytes for what is unknown, as SentencePiece makes it.

Source: tokenizer.json of huggingface/tokenizers; `llama_vocab` of ggml-org/llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provenance.errors import InputError

BYTE_LEVEL, SENTENCEPIECE = "gpt2", "llama"  # as `tokenizer.ggml.model` says them
SPACE = "\u2581"
# Classes of transformers that build a tokenizer's first steps by themselves: the file's are unused.
_LLAMA_CLASSES = ("LlamaTokenizer", "LlamaTokenizerFast")
_QWEN2_CLASSES = ("Qwen2Tokenizer", "Qwen2TokenizerFast")

# Split patterns of byte-level BPE tokenizers -> the name by which GGUF readers know them.
# Source: `pre_tokenizer` of the published tokenizer.json of Llama 3 and Qwen 2.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLIT_NAMES = {
    rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe",
    rf"{_WORDS}|\p{{N}}|{_REST}": "qwen2",
}
# Readers of these take a whole word that is a token before they merge.
WHOLE_WORDS = ("llama-bpe",)


@dataclass(frozen=True)
class TokenizerForm:
    """What a reader is told.

    model: `gpt2` or `llama`.
    splitting: Name of the expression that splits text.
    space_prefix: Text begins with a space that nobody wrote.
    bos: Every text begins with the token for that.
    """

    model: str
    splitting: str
    space_prefix: bool
    bos: bool


def form_of(
    data: Mapping[str, Any], settings: Mapping[str, Any], model_type: str | None, where: str
) -> TokenizerForm:
    """How transformers uses a tokenizer (attacker-controlled).

    Args:
        data: tokenizer.json.
        settings: tokenizer_config.json.
        model_type: Of config.json: transformers loads the tokenizer of `qwen2` as its own class.
        where: For errors.

    Raises:
        InputError: a tokenizer without GGUF form here.
    """
    bpe = data.get("model") or {}
    if bpe.get("type") != "BPE":
        raise InputError(
            "only BPE tokenizers can be written as GGUF",
            where=where,
            expected="BPE",
            actual=bpe.get("type"),
        )
    bos = begins_with_bos(data, settings)
    if bpe.get("byte_fallback"):
        return TokenizerForm(SENTENCEPIECE, "default", _space_prefix(data, settings, where), bos)
    if model_type == "qwen2" or settings.get("tokenizer_class") in _QWEN2_CLASSES:
        return TokenizerForm(BYTE_LEVEL, "qwen2", False, bos)
    return TokenizerForm(BYTE_LEVEL, _splitting(data, where), False, bos)


def _parts(spec: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer, pre-tokenizer or processor that may be a sequence of them."""
    if not spec:
        return []
    if spec.get("type") != "Sequence":
        return [spec]
    return [step for part in spec.get(inner) or [] for step in _parts(part, inner)]


def _splitting(data: Mapping[str, Any], where: str) -> str:
    parts = _parts(data.get("pre_tokenizer"), "pretokenizers")
    name = None
    if parts and parts[-1].get("type") == "ByteLevel" and not parts[-1].get("add_prefix_space"):
        name = _splitting_name(parts[:-1], bool(parts[-1].get("use_regex", True)))
    if name is None:
        raise InputError(
            "tokenizer splits text in a way that has no GGUF name here",
            where=where,
            expected="gpt-2, smollm, llama-bpe or qwen2 splitting",
            actual=_shown(parts),
        )
    return name


def _splitting_name(before: list[Mapping[str, Any]], splits_words: bool) -> str | None:
    """The name of what comes before the bytes, and of the split into words that ByteLevel makes."""
    types = [part.get("type") for part in before]
    if splits_words and types == []:
        return "gpt-2"
    if splits_words and types == ["Digits"] and before[0].get("individual_digits"):
        return "smollm"
    if not splits_words and types == ["Split"]:
        split = before[0]
        plain = split.get("behavior") == "Isolated" and not split.get("invert")
        pattern = (split.get("pattern") or {}).get("Regex", "")
        return _SPLIT_NAMES.get(pattern) if plain else None
    return None


def _shown(parts: list[Mapping[str, Any]]) -> str:
    """The steps, and the expression by which text is split."""
    shown = []
    for part in parts:
        pattern = part.get("pattern")
        text = next(iter(pattern.values()), "") if isinstance(pattern, dict) else ""
        shown.append(f"{part.get('type')} {text}"[:120].rstrip())
    return ", ".join(shown) or "no splitting"


def _space_prefix(data: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> bool:
    """Whether text begins with a space, and that nothing else is done to it before it is merged."""
    if settings.get("tokenizer_class") in _LLAMA_CLASSES:
        return settings.get("add_prefix_space") is not False
    normalizers = _parts(data.get("normalizer"), "normalizers")
    splits = _parts(data.get("pre_tokenizer"), "pretokenizers")
    types = [part.get("type") for part in (*normalizers, *splits)]
    if types == ["Metaspace"] and splits and not splits[0].get("split", True):
        if splits[0].get("replacement") == SPACE:
            return splits[0].get("prepend_scheme") != "never"
    elif types in (["Replace"], ["Prepend", "Replace"]) and not splits:
        replace = normalizers[-1]
        spaces = (replace.get("pattern"), replace.get("content")) == ({"String": " "}, SPACE)
        if spaces and normalizers[0].get("prepend", SPACE) == SPACE:
            return len(types) == 2
    raise InputError(
        "tokenizer prepares text in a way that has no GGUF form here",
        where=where,
        expected="spaces become \u2581, and at most one is put before the text",
        actual=", ".join(map(str, types)) or "nothing",
    )


def special(token: Any) -> str | None:
    """Text of a special token of tokenizer_config.json, which is the text or an object with it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def template_of(data: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What a text is put into: special tokens and the text; None if the tokenizer adds nothing."""
    for part in _parts(data.get("post_processor"), "processors"):
        if part.get("type") == "TemplateProcessing":
            return list(part.get("single") or [])
    return None


def begins_with_bos(data: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether the tokenizer puts the token for the beginning before every text."""
    first = (template_of(data) or [{}])[0].get("SpecialToken") or {}
    bos = special(settings.get("bos_token"))
    return bos is not None and first.get("id") == bos


def form_faults(data: Mapping[str, Any], form: TokenizerForm, where: str) -> Iterator[InputError]:
    """What a tokenizer of this form does to text that no reader of a GGUF file does.

    Args:
        data: The tokenizer that transformers uses, as tokenizer.json says it.
    """
    normalizers = [p.get("type") for p in _parts(data.get("normalizer"), "normalizers")]
    if form.model == BYTE_LEVEL and set(normalizers) - {"NFC"}:
        yield InputError(
            "tokenizer changes text before it splits it, which GGUF readers do not",
            where=where,
            expected="no normalizer, or NFC",
            actual=", ".join(map(str, normalizers)),
        )
    bpe = data["model"]
    for option in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if bpe.get(option):
            yield InputError(
                "tokenizer merges in a way that GGUF readers do not",
                where=f"{where} {option}",
                expected="none",
                actual=bpe[option],
            )
    allowed = [["Sequence"], ["SpecialToken", "Sequence"] if form.bos else ["Sequence"]]
    template = template_of(data)
    if template is not None and [next(iter(item), "") for item in template] not in allowed:
        yield InputError(
            "tokenizer adds tokens that GGUF readers do not",
            where=f"{where} post_processor",
            expected="at most bos_token before the text",
            actual=[(item.get("SpecialToken") or {}).get("id", "text") for item in template],
        )
    for token in data.get("added_tokens") or []:
        flags = [f for f in ("lstrip", "rstrip", "single_word") if token.get(f)]
        if form.space_prefix and "Prepend" in normalizers and token.get("normalized"):
            flags.append("normalized")
        if flags:
            yield InputError(
                "added token is found in text in a way that GGUF readers do not",
                where=f"{where} {token.get('content', '')[:80]!r}",
                expected="no such options",
                actual=", ".join(flags),
            )
            return  # one is enough: the others are made alike
