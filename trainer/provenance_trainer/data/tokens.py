"""Token ids with one begin-of-text token before them and one end token after them.

A tokenizer may add these tokens, a chat template may write them, a record may hold them, and each
may do so or not. So special tokens are never left to the tokenizer: ids are made without, and one
of each is added where there is none. Special tokens that a record's own text holds elsewhere stay
where they are, since texts that somebody's chat template wrote before are full of them; they are
counted (`SpecialWords`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Tokens:
    """One sample, before it is cut: ids, and for each whether it is to be predicted.

    ended: whether an end token comes last.
    """

    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    ended: bool = True

    def cut(self, length: int) -> Tokens:
        """The first `length` tokens."""
        return Tokens(self.ids[:length], self.learned[:length], self.ended)

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
    def specials(self) -> frozenset[int]:
        """All special tokens but the one that begins a text."""
        added = self.tokenizer.added_tokens_decoder
        special = {int(i) for i, token in added.items() if token.special}
        return frozenset(special | set(self.tokenizer.all_special_ids)) - {self.begin}

    def ids_of(self, text: str) -> list[int]:
        """The tokens of a text and no others."""
        return [int(i) for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def frame(self, ids: Sequence[int], learned: Sequence[bool], *, closed: bool) -> Tokens:
        """Begin and end the sample, each with one token.

        The end token at the end, with white space after it or not, ends the sample already. The end
        is learned where the token before it is.

        Args:
            closed: a chat template wrote the last words, so any special token there ends the
                sample: templates end a turn with one of their own.
        """
        body, marks = list(ids), list(learned)
        while self.begin is not None and body[:1] == [self.begin]:
            body, marks = body[1:], marks[1:]
        ended = self.is_ended(body, closed=closed)
        if self.end is not None and not ended:
            marks.append(marks[-1] if marks else True)
            body.append(self.end)
            ended = True
        if self.begin is not None:
            body, marks = [self.begin, *body], [all(learned), *marks]
        return Tokens(tuple(body), tuple(marks), ended)

    def is_ended(self, ids: Sequence[int], *, closed: bool) -> bool:
        """Whether these tokens end with an end token, as `frame` says."""
        ends = self.specials | {self.end} if closed else {self.end}
        for token in reversed(ids):
            if token in ends:
                return True
            if str(self.tokenizer.decode([token])).strip():
                return False
        return False


@dataclass(frozen=True)
class SpecialWords:
    """Finds the special tokens of a tokenizer in the words of records."""

    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        added = self.tokenizer.added_tokens_decoder.values()
        words = {token.content for token in added if token.special}
        words |= set(map(str, self.tokenizer.all_special_tokens))
        return re.compile("|".join(map(re.escape, sorted(words)))) if words else None

    def first(self, value: Any) -> str | None:
        """The first special token in a value: a text, or what a list or an object holds.

        Args:
            value: Attacker-controlled.
        """
        if isinstance(value, str):
            found = self._pattern.search(value) if self._pattern else None
            return found[0] if found else None
        if isinstance(value, Mapping):
            value = value.values()
        elif not isinstance(value, list):
            return None
        return next(filter(None, map(self.first, value)), None)
