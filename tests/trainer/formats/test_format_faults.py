"""What a format cannot hold, or its readers would compute in another way, is told early."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import InputError
from provenance_trainer.formats.checks import format_faults
from provenance_trainer.formats.tokenizer.merging import (
    pieces,
    scores_of,
    sentencepiece_faults,
    whole_word_faults,
)
from tests.trainer.bases import make_base

Change = Callable[[dict[str, Any]], object]
ROPE = {"rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
ONES = [1.0] * 8
NFKC: dict[str, Any] = {"type": "NFKC"}


def rewritten(file: Path, change: Change) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def set_rope(**rope: Any) -> Change:
    return lambda config: config.update(rope_parameters={**ROPE, **rope})


CONFIGS: dict[str, tuple[Change, str]] = {
    "dynamic": (set_rope(rope_type="dynamic"), "rope type dynamic cannot be written"),
    "longrope": (
        set_rope(rope_type="longrope", short_factor=ONES, long_factor=ONES),
        "rope type longrope cannot be written",
    ),
    "beta": (set_rope(rope_type="yarn", beta_fast=8.0), "yarn with another beta_fast"),
    "truncate": (set_rope(rope_type="yarn", truncate=False), "yarn without truncation"),
    "factor": (set_rope(rope_type="linear", factor=None), "missing or bad number"),
    "half": (set_rope(rope_type="default", partial_rotary_factor=0.5), "a part of each head"),
    "activation": (lambda c: c.update(hidden_act="gelu"), "activation is not known"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_without_gguf_form_is_told(tmp_path: Path, name: str) -> None:
    base, (change, words) = make_base(tmp_path / "base"), CONFIGS[name]
    rewritten(base / "config.json", change)
    (fault,) = format_faults("Q8_0", base)
    assert words in str(fault)
    assert "--format int8 works" in str(fault)
    assert list(format_faults("int8", base)) == []


def prepend_to_added(value: dict[str, Any]) -> None:
    value["added_tokens"].append(
        {**value["added_tokens"][-1], "id": 5, "content": "<x>", "special": False}
        | {"normalized": True}
    )


def append_end(value: dict[str, Any]) -> None:
    value["post_processor"]["single"].append({"SpecialToken": {"id": "<|end|>", "type_id": 0}})
    value["post_processor"]["special_tokens"]["<|end|>"] = {
        "id": "<|end|>",
        "ids": [1],
        "tokens": ["<|end|>"],
    }


TOKENIZERS: dict[str, tuple[str, Change, str]] = {
    "splitting": ("other", lambda t: None, r"actual Split \p{L}+|\p{N}{2}|[^\p{L}\p{N}], ByteLev"),
    "inverted": (
        "llama3",
        lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(invert=True),
        "splits text in a way that has no GGUF name",
    ),
    "behaviour": (
        "llama3",
        lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed"),
        "splits text in a way that has no GGUF name",
    ),
    "space": (
        "gpt2",
        lambda t: t["pre_tokenizer"].update(add_prefix_space=True),
        "splits text in a way that has no GGUF name",
    ),
    "normalizer": (
        "llama3",
        lambda t: t.update(normalizer=NFKC),
        "changes text before it splits it",
    ),
    "added token": (
        "llama3",
        lambda t: t["added_tokens"][-1].update(lstrip=True),
        "added token is found in text in a way",
    ),
    "end": ("llama3", append_end, "adds tokens that GGUF readers do not"),
    "spaces": (
        "sentencepiece",
        lambda t: t["normalizer"]["normalizers"][1].update(content="_"),
        "prepares text in a way that has no GGUF form",
    ),
    "malformed": (
        "llama3",
        lambda t: t.update(pre_tokenizer={"type": "Sequence", "pretokenizers": [1]}),
        "tokenizer is malformed",
    ),
    "bytes": (
        "sentencepiece",
        lambda t: t["model"]["vocab"].pop("<0x80>"),
        "none for byte 128 and 0 more",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_without_gguf_form_is_told(tmp_path: Path, name: str) -> None:
    kind, change, words = TOKENIZERS[name]
    base = make_base(tmp_path / "base", tokenizer=kind)
    rewritten(base / "tokenizer.json", change)
    (fault,) = format_faults("Q8_0", base)
    assert words in str(fault)
    assert str(fault).endswith("(--format int8 works)")


def test_llama3_factors_are_known_to_readers_of_llama_only(tmp_path: Path) -> None:
    rope = {**ROPE, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    base = make_base(
        tmp_path / "base",
        model_type="qwen2",
        tokenizer="qwen2",
        config={"rope_parameters": rope},
    )
    (fault,) = format_faults("Q8_0", base)
    assert "llama3 is not known to readers of this architecture" in str(fault)


def test_every_part_is_told(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", tokenizer="other")
    rewritten(base / "config.json", lambda c: c.update(hidden_act="relu"))
    rewritten(base / "config.json", set_rope(rope_type="dynamic"))
    words = [str(fault) for fault in format_faults("Q8_0", base)]
    assert len(words) == 3
    assert ["activation" in words[0], "dynamic" in words[1], "splits" in words[2]] == [True] * 3


def test_another_architecture_fits_no_format(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    rewritten(base / "config.json", lambda c: c.update(model_type="bert"))
    for name in ("Q8_0", "int8"):
        (fault,) = format_faults(name, base)
        assert "architecture is not supported" in str(fault)
        assert fault.hint is None


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    (fault,) = format_faults("Q4_K", tmp_path)
    assert isinstance(fault, InputError)
    assert (fault.expected, fault.actual) == ("Q8_0 or int8", "Q4_K")


# Merging by scores


def by_scores(text: str, tokens: list[str], merges: list[list[str]]) -> list[str]:
    """How a reader merges: any neighbours whose text is a token, highest score, leftmost."""
    scores = dict(zip(tokens, scores_of(tokens, merges), strict=True))
    parts = list(text)
    while True:
        pairs = [
            (-scores[a + b], i)
            for i, (a, b) in enumerate(itertools.pairwise(parts))
            if a + b in scores
        ]
        if not pairs:
            return parts
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def faults(tokens: list[str], merges: list[list[str]]) -> list[str]:
    vocabulary = {token: i for i, token in enumerate([*tokens, *BYTES])}
    return [str(fault.actual) for fault in sentencepiece_faults(vocabulary, merges, "t")]


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "merges", "reason"),
    [
        (["ab", "abc"], [["a", "b"], ["ab", "c"]], None),
        (["aa", "aaaa"], [["a", "a"], ["aa", "aa"]], None),
        (["aa", "aaa"], [["a", "a"], ["aa", "a"], ["a", "aa"]], None),
        (["ab", "bc", "abc"], [["a", "b"], ["b", "c"], ["a", "bc"]], "leaves it as ['ab', 'c']"),
        (["ab"], [], "leaves it as ['a', 'b']"),
        (
            ["ab", "bc", "abc"],
            [["b", "c"], ["ab", "c"], ["a", "b"], ["a", "bc"]],
            "do not stand together",
        ),
    ],
)
def test_a_list_of_merges_that_scores_cannot_say_is_told(
    words: list[str], merges: list[list[str]], reason: str | None
) -> None:
    found = faults([*LETTERS, *words], merges)
    assert len(found) == (reason is not None)
    assert reason is None or reason in found[0]


def test_whoever_has_no_fault_merges_alike() -> None:
    """All lists of up to three merges over two letters, on all texts of up to seven."""
    texts = ["".join(t) for n in range(1, 8) for t in itertools.product("ab", repeat=n)]
    sound = unsound = 0
    for merges in lists_of_merges(3):
        tokens = ["a", "b", *dict.fromkeys(left + right for left, right in merges)]
        ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
        alike = all(by_scores(t, tokens, merges) == pieces(t, ranks) for t in texts)
        if faults(tokens, merges):
            unsound += not alike
        else:
            sound += 1
            assert alike, merges
    assert (sound > 50, unsound > 5) == (True, True)


def lists_of_merges(length: int) -> list[list[list[str]]]:
    """Lists in which each merge joins two tokens that there are by then."""
    found: list[list[list[str]]] = [[]]
    for merges in found:
        if len(merges) < length:
            known = ["a", "b", *dict.fromkeys(left + right for left, right in merges)]
            pairs = [[left, right] for left in known for right in known]
            found += [[*merges, pair] for pair in pairs if pair not in merges]
    return found


def test_words_that_merges_do_not_reach_are_told() -> None:
    merges = [["a", "b"]]
    assert list(whole_word_faults({"a": 0, "b": 1, "ab": 2}, merges, "t")) == []
    (fault,) = whole_word_faults({"a": 0, "b": 1, "ab": 2, "ba": 3}, merges, "t")
    assert "'ba'" in str(fault)
