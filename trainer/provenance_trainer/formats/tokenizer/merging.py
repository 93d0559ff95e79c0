"""Whether readers of a GGUF file merge as the tokenizer does, and the scores that make them.

A BPE tokenizer merges the pair of lowest rank first, of those that it lists. A reader of a
SentencePiece vocabulary has no list: it merges any two neighbours whose text is a token, highest
score first. Both end alike for every text if three things hold:

1. The merges of each token stand together, so one score can stand for their ranks.
2. No token's text is left in two pieces by the list. Else a reader would join the two. (Where two
   neighbours that the list does not join make up a token, that token's text alone is left in these
   two pieces too: nothing outside of them has been merged into them so far.)
3. Where x, y, z follow one another and both x+y and y+z are the same token, the list takes the left
   pair first, as readers do.

Source: the SentencePiece and BPE sessions of `llama_vocab`, ggml-org/llama.cpp; T. Kudo and J.
Richardson, "SentencePiece", EMNLP 2018, section 3.1.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from provenance.errors import InputError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
Pair = tuple[str, str]


def pairs_of(merges: Sequence[str | Sequence[str]]) -> list[Pair]:
    """The merges of a tokenizer.json, which are pairs, or two tokens with a space between them."""
    pairs = [tuple(m.split(" ", 1)) if isinstance(m, str) else tuple(m) for m in merges]
    return [(left, right) for left, right in pairs]


def scores_of(tokens: Sequence[str], merges: Sequence[str | Sequence[str]]) -> list[float]:
    """A score for each token: the earlier its first merge, the higher; 0 for those of no merge."""
    first: dict[str, int] = {}
    for rank, (left, right) in enumerate(pairs_of(merges)):
        first.setdefault(left + right, rank)
    return [float(-1 - first.get(token, -1)) for token in tokens]


def byte_of(token: str) -> int | None:
    """The byte that a token such as `<0x0A>` stands for."""
    match = _BYTE.fullmatch(token)
    return int(match[1], 16) if match is not None else None


def pieces(text: str, ranks: Mapping[Pair, int], end: int | None = None) -> list[str]:
    """What the list makes of a text: its merges before rank `end`, on single characters at first.

    Args:
        end: None for all of them.
    """
    parts, end = list(text), len(ranks) if end is None else end
    while len(parts) > 1:
        found = [(ranks.get(pair, end), i) for i, pair in enumerate(itertools.pairwise(parts))]
        rank, i = min(found)
        if rank >= end:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


def sentencepiece_faults(
    vocabulary: Mapping[str, int], merges: Sequence[str | Sequence[str]], where: str
) -> Iterator[InputError]:
    """Where a reader that merges by scores would tokenize in another way than the list does."""
    missing = set(range(256)) - {byte_of(token) for token in vocabulary}
    if missing:
        yield InputError(
            "vocabulary lacks tokens for bytes",
            where=where,
            expected="<0x00>..<0xFF>",
            actual=f"none for byte {min(missing)} and {len(missing) - 1} more",
        )
    pairs = pairs_of(merges)
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    groups: dict[str, list[int]] = defaultdict(list)
    for (left, right), rank in ranks.items():
        groups[left + right].append(rank)
    for token, found in groups.items():
        if found[-1] - found[0] + 1 != len(found):
            yield _differs(where, token, "its merges do not stand together")
            return
    for token in vocabulary:
        if len(token) > 1 and len(left_over := pieces(token, ranks)) == 2:
            yield _differs(where, token, f"the list of merges leaves it as {left_over}")
            return
    for token, found in groups.items():
        if (text := _from_the_right([pairs[rank] for rank in found], ranks)) is not None:
            yield _differs(where, token, f"{text!r} is merged from the right first")
            return


def _from_the_right(pairs: Sequence[Pair], ranks: Mapping[Pair, int]) -> str | None:
    """A text that becomes x, y, z, of which the list then joins y+z before the equal x+y."""
    for (y, z), (x, right) in itertools.combinations(pairs, 2):
        if right == y and pieces(x + y + z, ranks, ranks[y, z]) == [x, y, z]:
            return x + y + z
    return None


def whole_word_faults(
    vocabulary: Mapping[str, int], merges: Sequence[str | Sequence[str]], where: str
) -> Iterator[InputError]:
    """Where it matters whether a word that is a token is taken whole or merged."""
    ranks = {pair: rank for rank, pair in enumerate(pairs_of(merges))}
    for token in vocabulary:
        if len(token) > 1 and len(left_over := pieces(token, ranks)) > 1:
            yield _differs(where, token, f"the list of merges makes it {left_over[:4]}")
            return


def _differs(where: str, token: str, reason: str) -> InputError:
    return InputError(
        "readers of a GGUF file would tokenize in another way",
        where=f"{where} {token[:80]!r}",
        expected="the same tokens",
        actual=reason[:200],
    )
