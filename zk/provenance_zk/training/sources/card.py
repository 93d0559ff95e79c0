"""What the card of a hub repository says about its files: configurations and their splits.

The card is the YAML between two lines `---` at the beginning of README.md. Source: "Manual
configuration" of the Hugging Face hub's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from provenance.errors import InputError
from provenance_zk.training.sources.splits import canonical_split
from provenance_zk.training.sources.values import listed, shown

_MAX_BYTES = 1 << 20
_MAX_PATTERNS = 1000
_MAX_PATTERN_CHARACTERS = 1000


@dataclass(frozen=True)
class Card:
    """The configuration of a repository that is read.

    name: of the configuration.
    folder: the part of the repository that it is about, "" for all of it.
    patterns: paths by split, as glob patterns; empty where names decide.
    """

    name: str
    folder: str
    patterns: Mapping[str, tuple[str, ...]]

    def splits_of(self, path: str) -> frozenset[str]:
        """The splits that the card puts a file in."""
        return frozenset(
            split
            for split, patterns in self.patterns.items()
            if any(_matches(path, f"{self.folder}{pattern}") for pattern in patterns)
        )


def _matches(path: str, pattern: str) -> bool:
    """Whether a glob pattern covers a path; `**` stands for any number of folders."""
    parts = path.split("/")
    places = {0}  # how many parts the pattern may have covered so far
    for wanted in pattern.removeprefix("./").split("/"):
        if wanted == "**":
            places = set(range(min(places, default=len(parts) + 1), len(parts) + 1))
        else:
            places = {i + 1 for i in places if i < len(parts) and fnmatchcase(parts[i], wanted)}
    return len(parts) in places


def read_card(folder: Path) -> Card | None:
    """The card's word about a repository's files (attacker-controlled); None if it has none.

    Raises:
        InputError: several configurations and none is the default, or a card that says it in a form
            that is not read.
    """
    path = folder / "README.md"
    configs = _front_matter(path).get("configs") or []
    if not configs:
        return None
    where = f"{path} configs"
    if not isinstance(configs, list) or not all(isinstance(c, dict) for c in configs):
        raise InputError("card of the repository cannot be read", where=where)
    default = [
        c for c in configs if c.get("default") == "true" or c.get("config_name") == "default"
    ]
    chosen = configs if len(configs) == 1 else default
    if len(chosen) != 1:
        raise InputError(
            "repository has several configurations",
            where=where,
            actual=listed(str(c.get("config_name")) for c in configs),
            hint="name the file or folder with the data of one of them",
        )
    data_dir = str(chosen[0].get("data_dir") or "").strip("./")
    return Card(
        shown(str(chosen[0].get("config_name"))),
        f"{data_dir}/" if data_dir else "",
        _patterns(chosen[0].get("data_files"), where),
    )


def _front_matter(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return {}  # no card, which is no fault
    found = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    try:
        # Makes text, lists and mappings only, and does not follow merge keys, which may double.
        value = yaml.load(found[1], yaml.BaseLoader) if found else None  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            "card of the repository is not YAML",
            where=str(path),
            actual=" ".join(str(error).split())[:200],
            hint="mend or remove README.md, or name the file with the data",
        ) from error
    return value if isinstance(value, dict) else {}


def _patterns(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    if value is None:
        return {}
    entries = value if isinstance(value, list) and _has_splits(value) else [{"path": value}]
    patterns: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        paths = entry.get("path")
        every = paths if isinstance(paths, list) else [paths]
        if not all(isinstance(p, str) and len(p) <= _MAX_PATTERN_CHARACTERS for p in every):
            raise InputError("card of the repository cannot be read", where=f"{where} data_files")
        split = canonical_split(str(entry.get("split", "train")))
        patterns[split] = (*patterns.get(split, ()), *every)
    if sum(map(len, patterns.values())) > _MAX_PATTERNS:
        raise InputError("card of the repository names too many patterns", where=where)
    return patterns


def _has_splits(entries: Iterable[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)
