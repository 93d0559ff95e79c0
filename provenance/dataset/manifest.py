"""The public manifest of a committed dataset, `dataset.json`, and the triple that names a dataset.

RFC 8785 JSON; its fields: MANIFEST_FIELDS (docs/formats/evidence.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.causes import cause_of, content_cause
from provenance.encoding import FIELD_ORDER, parse_json
from provenance.errors import InputError
from provenance.ids import parse_word, to_word
from provenance.statements import ARITY, MAX_RECORDS

FORMAT = "provenance-dataset/1"
DEPTHS = (5, 6)  # 16^5 and 16^6 leaves; no deeper keys exist
SALT_BYTES = 31  # 248 bits: always below the field's order
MANIFEST_FIELDS: dict[str, type] = {
    "format": str,
    "root": dict,
    "source": str,
    "licence": str,
    "text_column": str,
    "columns": list,
    "files": list,
    "counts": dict,
    "duplicates_removed": int,
    "curation": list,
    "created": str,
}
_OPTIONAL = ("text_column", "columns")  # a manifest has exactly one of them


@dataclass(frozen=True)
class DatasetRoot:
    """Identifies a dataset: Poseidon root, depth of its tree, number of leaves.

    The root alone says neither how deep the tree is nor how many leaves it has.
    """

    root: int
    depth: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.root < FIELD_ORDER:
            raise InputError(
                "root is not a field element", expected=f"< {FIELD_ORDER}", actual=self.root
            )
        if self.depth not in DEPTHS:
            raise InputError("no key for a tree of this depth", expected=DEPTHS, actual=self.depth)
        if not 1 <= self.count <= ARITY**self.depth:
            raise InputError(
                "count does not fit the tree", expected=f"1..{ARITY**self.depth}", actual=self.count
            )

    @property
    def hex0x(self) -> str:
        """The Poseidon root as `0x` and 64 digits."""
        return to_word(self.root)

    def to_json(self) -> dict[str, Any]:
        """The triple as files and records hold it."""
        return {"root": self.hex0x, "depth": self.depth, "count": self.count}

    @classmethod
    def from_json(cls, value: Any, where: str = "root") -> DatasetRoot:
        """Read `to_json`'s form (attacker-controlled). Raises InputError."""
        if not isinstance(value, dict) or set(value) != {"root", "depth", "count"}:
            raise InputError("not a dataset root", where=where, expected="root, depth, count")
        text, depth, count = value["root"], value["depth"], value["count"]
        root = parse_word(text, f"{where}.root")
        if type(depth) is not int or type(count) is not int:
            raise InputError("depth and count are integers", where=where)
        return cls(root, depth, count)


def depth_for(count: int) -> int:
    """Depth of the tree that holds `count` leaves.

    Raises:
        InputError: none, or more than 16^6.
    """
    if not 1 <= count <= MAX_RECORDS:
        raise InputError(
            "dataset cannot be committed",
            expected=f"1..{MAX_RECORDS} records",
            actual=count,
            hint="split a larger dataset: deeper keys do not exist yet" if count else None,
        )
    return next(depth for depth in DEPTHS if count <= ARITY**depth)


def load_manifest(path: Path) -> dict[str, Any]:
    """Read and check a `dataset.json` (attacker-controlled).

    Raises:
        InputError: missing, not JSON, or fields that the format does not have.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "cannot read dataset manifest",
            where=str(path),
            actual=cause_of(error, path),
            hint="run `provenance dataset commit` first, and name its --out folder",
        ) from error
    try:
        manifest = parse_json(data)
    except ValueError as error:
        raise InputError(
            "dataset manifest is not JSON", where=str(path), actual=content_cause(data) or error
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError("not a committed dataset", where=str(path), expected=FORMAT)
    for name, kind in MANIFEST_FIELDS.items():
        if name not in manifest and name in _OPTIONAL:
            continue
        if not isinstance(manifest.get(name), kind):
            raise InputError(
                "manifest field is missing or has the wrong form",
                where=f"{path} {name}",
                expected=kind.__name__,
            )
    if extra := sorted(set(manifest) - set(MANIFEST_FIELDS)):
        raise InputError(
            "manifest has unknown fields", where=str(path), actual=", ".join(extra)[:80]
        )
    if ("text_column" in manifest) == ("columns" in manifest):
        raise InputError(
            "manifest names either one text column or several columns", where=str(path)
        )
    return manifest
