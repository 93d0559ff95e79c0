"""Which split a file is of, by its name, as the `datasets` library understands names.

`train-00000-of-00002.parquet`, `data/train.jsonl`, `train/part1.csv`: a file's own name comes
before those of its folders. A name says a split where one of its words stands between `-`, `.`,
`_`, blanks, digits or the ends. `data/NAME-00000-of-00001.parquet` says the split NAME, whatever
it is. Unlike there, capitals do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}

_SHARD = re.compile(r"data/(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SEPARATORS = r"[-._ 0-9]"
_NAMES = {
    split: re.compile(
        f"(.*{_SEPARATORS})?({'|'.join(words)})({_SEPARATORS}.*)?", re.DOTALL | re.IGNORECASE
    )
    for split, words in WORDS.items()
}


def canonical_split(name: str) -> str:
    """The split that a name such as `val` or `dev` stands for."""
    return next((split for split, words in WORDS.items() if name.lower() in words), name)


def splits_of(path: str) -> frozenset[str]:
    """The splits that a file's path says, seen from the source's folder; none, one or several."""
    if found := _SHARD.fullmatch(path):
        return frozenset({canonical_split(found["split"])})
    *folders, name = PurePosixPath(path).parts
    if own := _words_of(name):
        return own
    for folder in reversed(folders):
        if said := _words_of(folder):
            return said
    return frozenset()


def _words_of(name: str) -> frozenset[str]:
    return frozenset(split for split, pattern in _NAMES.items() if pattern.fullmatch(name))


def in_order(splits: Iterable[str]) -> list[str]:
    """Each split once, in the order train, validation, test, others."""
    found = set(splits)
    return [split for split in WORDS if split in found] + sorted(found - set(WORDS))
