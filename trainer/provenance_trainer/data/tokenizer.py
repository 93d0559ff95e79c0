"""The tokenizer of a base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provenance.encoding import bound_recursion
from provenance.errors import InputError
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_LONG = "sequence-length-is-longer-than-the-specified-maximum"


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder. If it names no padding token, end-of-text pads.

    The same holds if the model has no row for the padding token: for some classes transformers
    makes one up. Code that a model brings along is never run.

    Raises:
        InputError: the folder has none that can be read.
    """
    # Here and not above: the library is large, and what is refused before needs none of it.
    from transformers import AutoTokenizer

    bound_recursion()  # the folder may be somebody else's, and transformers bounds no depth
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        RecursionError,
    ) as error:
        raise InputError(
            "tokenizer of the base model cannot be read",
            where=str(folder),
            expected="tokenizer.json or tokenizer.model",
            actual=str(error).partition("\n")[0][:200],
        ) from error
    # Records are cut here, and told about here: the library's own line says neither.
    tokenizer.deprecation_warnings[_LONG] = True
    rows = load_json(folder / "config.json", MAX_CONFIG_BYTES).get("vocab_size")
    pad = tokenizer.pad_token_id
    if pad is None or (isinstance(rows, int) and pad >= rows):
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
