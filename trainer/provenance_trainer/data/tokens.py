"""Token ids with exactly one begin-of-text and one end-of-text token, and what is learned of them.

A tokenizer may add these tokens, a chat template may write them, a record may hold them, and each
may do so or not. So special tokens are never left to the tokenizer: ids are made without, and one
of each is added where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Tokens:
    """One sample, before it is cut: ids, and for each whether it is to be predicted."""

    ids: tuple[int, ...]
    learned: tuple[bool, ...]

    def cut(self, length: int) -> Tokens:
        """The first `length` tokens."""
        return Tokens(self.ids[:length], self.learned[:length])

    @property
    def labels(self) -> list[int]:
        """The id of each token to be predicted, `IGNORED_LABEL` for the others."""
        pairs = zip(self.ids, self.learned, strict=True)
        return [i if learned else IGNORED_LABEL for i, learned in pairs]

    @property
    def predicted(self) -> int:
        """How many tokens are predicted. The first never is: nothing comes before it."""
        return sum(self.learned[1:])


@dataclass(frozen=True)
class Framing:
    """The tokens that begin and end a text for one tokenizer."""

    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def begin(self) -> int | None:
        """The begin-of-text token, where the tokenizer puts one before a text; else None."""
        bos = self.tokenizer.bos_token_id
        ids = self.tokenizer("a")["input_ids"]
        return int(bos) if isinstance(bos, int) and ids and ids[0] == bos else None

    @cached_property
    def end(self) -> int | None:
        """The end-of-text token, None for a tokenizer without."""
        eos = self.tokenizer.eos_token_id
        return int(eos) if isinstance(eos, int) else None

    @cached_property
    def _specials(self) -> frozenset[int]:
        added = self.tokenizer.added_tokens_decoder
        special = {int(i) for i, token in added.items() if token.special}
        return frozenset(special | set(self.tokenizer.all_special_ids)) - {self.begin}

    def ids_of(self, text: str) -> list[int]:
        """The tokens of a text and no others."""
        return [int(i) for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def frame(self, ids: Sequence[int], learned: Sequence[bool]) -> Tokens:
        """Begin and end the sample, each with one token.

        A special token at the end, with white space after it or not, ends the sample already: chat
        templates end a turn with one of their own. The end is learned where the token before it is.
        """
        body, marks = list(ids), list(learned)
        while self.begin is not None and body[:1] == [self.begin]:
            body, marks = body[1:], marks[1:]
        if self.end is not None and not self._is_ended(body):
            marks.append(marks[-1] if marks else True)
            body.append(self.end)
        if self.begin is not None:
            body, marks = [self.begin, *body], [all(learned), *marks]
        return Tokens(tuple(body), tuple(marks))

    def _is_ended(self, ids: Sequence[int]) -> bool:
        for token in reversed(ids):
            if token in self._specials:
                return True
            if str(self.tokenizer.decode([token])).strip():
                return False
        return False
