"""What is wrong with a base model's tokenizer: whether it loads, and whether its ids fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance.errors import InputError, ProvenanceError
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MAX_TOKENIZER_BYTES = 256 << 20
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_RESAVE = "AutoTokenizer.from_pretrained(..).save_pretrained(FOLDER) writes it"


def tokenizer_faults(folder: Path, rows: int | None) -> Iterator[ProvenanceError]:
    """What keeps a folder's tokenizer from being used with its model.

    Args:
        folder: Links are followed if it is an `OwnPath`.
        rows: Rows of the model's embedding; None where nobody knows.
    """
    if not (folder / TOKENIZER).is_file():
        yield InputError(
            "model has no tokenizer file", where=str(folder), expected=TOKENIZER, hint=_RESAVE
        )
        return
    try:
        data = load_json(folder / TOKENIZER, MAX_TOKENIZER_BYTES)
        ids = token_ids(data)
    except InputError as error:
        yield error
        return
    settings: dict[str, Any] = {}
    if (folder / TOKENIZER_CONFIG).is_file():
        try:
            settings = load_json(folder / TOKENIZER_CONFIG, MAX_CONFIG_BYTES)
        except InputError as error:
            yield error
    yield from _load_faults(folder)
    if settings.get("auto_map"):
        yield InputError(
            "tokenizer wants to run code of its own, which is never done here",
            where=f"{folder / TOKENIZER_CONFIG} auto_map",
            hint="save it as a plain tokenizer.json",
        )
    yield from _special_faults(settings, ids, str(folder / TOKENIZER_CONFIG))
    if rows is not None:
        yield from _size_faults(ids, rows, str(folder / TOKENIZER))


def token_ids(data: Mapping[str, Any]) -> dict[str, int]:
    """Token -> id of a tokenizer.json (attacker-controlled), added tokens included.

    Raises:
        InputError: no vocabulary of tokens and numbers.
    """
    model = data.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    added = data.get("added_tokens") or []
    try:
        if isinstance(vocabulary, list):  # of a Unigram: pairs of token and score
            vocabulary = {str(pair[0]): i for i, pair in enumerate(vocabulary)}
        ids = {**(vocabulary or {}), **{item["content"]: item["id"] for item in added}}
    except (TypeError, KeyError) as error:
        raise InputError("tokenizer has no vocabulary", where=TOKENIZER, actual=error) from error
    if not ids or not all(type(number) is int and number >= 0 for number in ids.values()):
        raise InputError("tokenizer has no vocabulary", where=TOKENIZER)
    return ids


def _load_faults(folder: Path) -> Iterator[ProvenanceError]:
    # Here and not above: verification reads model folders without it.
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library raises bare exceptions with its parser's words
        yield InputError(
            "tokenizer does not load", where=str(folder / TOKENIZER), actual=str(error)[:200]
        )


def _special_faults(
    settings: Mapping[str, Any], ids: Mapping[str, int], where: str
) -> Iterator[ProvenanceError]:
    for name in _SPECIAL:
        token = settings.get(name)
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str) and text not in ids:
            yield InputError(
                "special token is not in the vocabulary",
                where=f"{where} {name}",
                actual=repr(text),
                hint=f"name a token of {TOKENIZER}",
            )


def _size_faults(ids: Mapping[str, int], rows: int, where: str) -> Iterator[ProvenanceError]:
    beyond = sorted((number, token) for token, number in ids.items() if number >= rows)
    if beyond:
        number, token = beyond[-1]
        yield InputError(
            "tokenizer has more tokens than the model's embedding has rows",
            where=f"{where} {token[:80]!r}",
            expected=f"ids 0..{rows - 1}",
            actual=f"{number}, and {len(beyond) - 1} more beyond" if beyond[1:] else number,
            hint="model.resize_token_embeddings(len(tokenizer)), then save_pretrained both",
        )
