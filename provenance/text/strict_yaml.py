"""YAML 1.1 as PyYAML reads it safely, but a key that stands twice in a mapping is refused, and so
are numbers that YAML 1.1 reads otherwise than people: `1:30` (90), `010` (8) and `1_000` (1000).
Refused, too, are tags (`!!null production` is nothing, and `!!bool warn` an error of the library)
integers of more than 64 bits, which may be longer than Python prints, and more than 32 aliases.

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
_LONGEST = 100  # characters of a number; more are not even computed
_BITS = 64
_ALIASES = 32  # lists of lists of aliases grow by powers where they are shown


class _Loader(yaml.SafeLoader):
    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.aliases += isinstance(event, yaml.AliasEvent)
        if self.aliases > _ALIASES:
            said = f"more than {_ALIASES} aliases: write the values out"
            raise yaml.composer.ComposerError(None, None, said, event.start_mark)
        if (tag := getattr(event, "tag", None)) is not None:
            said = f"tag {tag[:40]!r} is not read here: write the value alone"
            raise yaml.composer.ComposerError(None, None, said, event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        is_number = isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS
        if is_number and len(node.value) > _LONGEST:
            raise _wrong(node, f"a number of {len(node.value)} characters, expected <= {_LONGEST}")
        try:
            value = super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:
            raise _wrong(node, str(error)) from error
        if is_number and _SURPRISING.fullmatch(node.value):
            said = f"{node.value[:40]} means {value} in YAML 1.1: write {value}, or '..' for text"
            raise _wrong(node, said)
        if isinstance(value, int) and abs(value) >= 1 << _BITS:
            raise _wrong(node, f"{node.value[:40]} has more than {_BITS} bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if key.tag != _MERGE and name in seen:
                raise _wrong(key, f"key {name[1][:80]} stands twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def _wrong(node: yaml.Node, said: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, said, node.start_mark)


def load_yaml(text: str | bytes) -> Any:
    """The value of one YAML document (attacker-controlled).

    Raises:
        yaml.YAMLError, ValueError, RecursionError: not YAML, a key stands twice, a tag, or such a
            number.
    """
    return yaml.load(text, _Loader)  # noqa: S506  # derives from SafeLoader
