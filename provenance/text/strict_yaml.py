"""YAML 1.1 as PyYAML reads it safely, but a key that stands twice in a mapping is refused, and so
are numbers that YAML 1.1 reads otherwise than people: `1:30` (90), `010` (8) and `1_000` (1000).

The YAML specification (1.2.2, section 3.2.1.3) wants unique keys; PyYAML lets the last one win, so
a reader of the file and this program could believe different things.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


_SURPRISING = re.compile(r"[-+]?0[0-7_]+|.*[:_].*")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        value = super().construct_object(node, deep)
        is_number = isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS
        if is_number and _SURPRISING.fullmatch(node.value):
            said = f"{node.value[:40]} means {value} in YAML 1.1: write {value}, or '..' for text"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if key.tag != _MERGE and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {name[1][:80]} stands twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_yaml(text: str | bytes) -> Any:
    """The value of one YAML document (attacker-controlled).

    Raises:
        yaml.YAMLError, ValueError, RecursionError: not YAML, a key stands twice, or such a number.
    """
    return yaml.load(text, _Loader)  # noqa: S506  # derives from SafeLoader
