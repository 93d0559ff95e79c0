"""The keys by which a GGUF file carries its model's tokenizer.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, "Tokenizer"); `conversion/base.py` of
ggml-org/llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gguf.constants import GGUFValueType, TokenType

from provenance.errors import InputError
from provenance_trainer.formats.gguf_model import Key, ModelFolder
from provenance_trainer.formats.tokenizer.form import (
    BYTE_LEVEL,
    SENTENCEPIECE,
    WHOLE_WORDS,
    TokenizerForm,
    form_faults,
    form_of,
    special,
)
from provenance_trainer.formats.tokenizer.merging import (
    byte_of,
    scores_of,
    sentencepiece_faults,
    whole_word_faults,
)
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES
from provenance_trainer.model.tokenizer_checks import (
    MAX_TOKENIZER_BYTES,
    TOKENIZER,
    TOKENIZER_CONFIG,
)

_SPECIAL_TOKENS = (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad"))


# What reading a JSON value of another shape than expected raises.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def tokenizer_keys(model: ModelFolder) -> list[Key]:
    """Every key of the tokenizer (attacker-controlled), in file order.

    Raises:
        InputError: a tokenizer that is malformed, or has no GGUF form here.
    """
    try:
        return list(_keys(model))
    except _MALFORMED as error:
        raise _malformed(model, error) from error


def _malformed(model: ModelFolder, error: Exception) -> InputError:
    return InputError(
        "tokenizer is malformed",
        where=str(model.path / TOKENIZER),
        actual=f"{type(error).__name__}: {error}"[:200],
    )


def _keys(model: ModelFolder) -> Iterator[Key]:
    data, settings = _read(model)
    form = _form(model, data, settings)
    tokens, types = _token_list(model, data, form)
    text, array, flag = GGUFValueType.STRING, GGUFValueType.ARRAY, GGUFValueType.BOOL
    yield Key("tokenizer.ggml.model", text, form.model)
    yield Key("tokenizer.ggml.pre", text, form.splitting)
    yield Key("tokenizer.ggml.tokens", array, tokens, text)
    merges = data["model"]["merges"]
    if form.model == SENTENCEPIECE:
        scores = scores_of(tokens, merges)
        yield Key("tokenizer.ggml.scores", array, scores, GGUFValueType.FLOAT32)
    yield Key("tokenizer.ggml.token_type", array, types, GGUFValueType.INT32)
    if form.model == BYTE_LEVEL:
        yield Key("tokenizer.ggml.merges", array, [_merge_text(pair) for pair in merges], text)
    yield from _special_tokens(model, settings, tokens)
    # Earlier releases believed a setting that tokenizers do not follow.
    earlier = form.bos or bool(settings.get("add_bos_token", False))
    yield Key("tokenizer.ggml.add_bos_token", flag, form.bos, earlier=earlier)
    yield Key("tokenizer.ggml.add_space_prefix", flag, form.space_prefix)
    template = _chat_template(model, settings)
    if template is not None:
        yield Key("tokenizer.chat_template", text, template)


def tokenizer_form_faults(model: ModelFolder) -> list[InputError]:
    """What keeps readers of a GGUF file from tokenizing as transformers does.

    Raises:
        InputError: a tokenizer that is malformed, or has no GGUF form here.
    """
    try:
        return list(_form_faults(model))
    except _MALFORMED as error:
        raise _malformed(model, error) from error


def _form_faults(model: ModelFolder) -> Iterator[InputError]:
    data, settings = _read(model)
    where = str(model.path / TOKENIZER)
    form = _form(model, data, settings)
    used = _used_by_transformers(model)
    plain = {name: value for name, value in settings.items() if name != "tokenizer_class"}
    if (actual := form_of(used, plain, None, where)) != form:
        yield InputError(
            "transformers uses another tokenizer than the file describes",
            where=f"{model.path / TOKENIZER_CONFIG} tokenizer_class",
            expected=form,
            actual=actual,
            hint="set tokenizer_class to TokenizersBackend, or save the tokenizer again",
        )
        return
    yield from form_faults(used, form, where)
    yield from _merging_faults(used, form, where)


def _form(
    model: ModelFolder, data: Mapping[str, Any], settings: Mapping[str, Any]
) -> TokenizerForm:
    model_type = model.shape.architecture.model_type
    return form_of(data, settings, model_type, str(model.path / TOKENIZER))


def _read(model: ModelFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    data = load_json(model.path / TOKENIZER, MAX_TOKENIZER_BYTES)
    return data, load_json(model.path / TOKENIZER_CONFIG, MAX_CONFIG_BYTES)


def _used_by_transformers(model: ModelFolder) -> dict[str, Any]:
    """The tokenizer that training uses, in the form of tokenizer.json.

    Raises:
        InputError: it does not load.
    """
    # Here and not above: verification recomputes files without either.
    import json

    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model.path)
    except Exception as error:  # of any kind: whatever the files make the library do
        raise InputError(
            "transformers does not load the tokenizer",
            where=str(model.path),
            actual=f"{type(error).__name__}: {error}"[:200],
        ) from error
    used: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return used


def _merging_faults(
    data: Mapping[str, Any], form: TokenizerForm, where: str
) -> Iterator[InputError]:
    bpe = data["model"]
    vocabulary, merges = bpe["vocab"], bpe["merges"]
    takes_words = form.splitting in WHOLE_WORDS
    if form.model == SENTENCEPIECE:
        yield from sentencepiece_faults(vocabulary, merges, where)
    if bool(bpe.get("ignore_merges")) != takes_words:
        added = {token["content"] for token in data.get("added_tokens") or []}
        words = {token: i for token, i in vocabulary.items() if token not in added}
        yield from whole_word_faults(words, merges, where)


def _special_tokens(
    model: ModelFolder, settings: Mapping[str, Any], tokens: Sequence[str]
) -> Iterator[Key]:
    ids = {token: i for i, token in enumerate(tokens)}
    for key, name in _SPECIAL_TOKENS:
        token = special(settings.get(f"{name}_token"))
        if token is None:
            continue
        if token not in ids:
            raise InputError(
                "special token is not in the vocabulary", where=str(model.path), actual=token
            )
        yield Key(f"tokenizer.ggml.{key}_token_id", GGUFValueType.UINT32, ids[token])


def _token_list(
    model: ModelFolder, data: Mapping[str, Any], form: TokenizerForm
) -> tuple[list[str], list[int]]:
    """Tokens and their types by id; ids that no token has become unused placeholders."""
    size, bpe = model.shape.vocabulary, data["model"]
    tokens, types = [f"[PAD{i}]" for i in range(size)], [int(TokenType.UNUSED)] * size
    added = data.get("added_tokens") or []
    added_types = {
        a["id"]: TokenType.CONTROL if a.get("special") else TokenType.USER_DEFINED for a in added
    }
    entries = {number: token for token, number in bpe["vocab"].items()}
    entries |= {a["id"]: a["content"] for a in added}
    for number, token in entries.items():
        if not isinstance(number, int) or not 0 <= number < size:
            raise InputError(
                "token lies outside the model's vocabulary",
                where=f"{model.path} {token[:80]}",
                expected=f"0..{size - 1}",
                actual=number,
            )
        kind = added_types.get(number, TokenType.NORMAL)
        if form.model == SENTENCEPIECE:
            kind = _sentencepiece_type(token, kind, bpe.get("unk_token"))
        tokens[number], types[number] = token, int(kind)
    return tokens, types


def _sentencepiece_type(token: str, kind: TokenType, unknown: str | None) -> TokenType:
    if byte_of(token) is not None:
        return TokenType.BYTE
    return TokenType.UNKNOWN if token == unknown else kind


def _merge_text(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)


def _chat_template(model: ModelFolder, settings: Mapping[str, Any]) -> str | None:
    file = model.path / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    return template if isinstance(template, str) else None
