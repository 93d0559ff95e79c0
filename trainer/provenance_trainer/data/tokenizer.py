"""The tokenizer of a base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provenance.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; its end-of-text token pads where it names no other.

    Code that a model brings along is never run.

    Raises:
        InputError: the folder has none that can be read.
    """
    # Here and not above: the library is large, and what is refused before needs none of it.
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise InputError(
            "tokenizer of the base model cannot be read",
            where=str(folder),
            expected="tokenizer.json or tokenizer.model",
            actual=str(error).partition("\n")[0][:200],
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
