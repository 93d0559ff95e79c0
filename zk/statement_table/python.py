"""The regions of `provenance/statements.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from statement_table.table import Rule, Table, quoted


def _tuple(items: Sequence[object]) -> str:
    shown = ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in items)
    return f"({shown},)" if len(items) == 1 else f"({shown})"


def _rule(rule: Rule) -> str:
    if "one_of" in rule:
        return _tuple(rule["one_of"])
    return f"range({rule['from']}, {rule['to']} + 1)"


def constants(table: Table) -> Iterator[str]:
    """Types of names, numbers of stages, and limits."""
    yield f"ContractName = Literal[{quoted(table.contracts)}]"
    yield f"StageName = Literal[{quoted(list(table.stages))}]"
    stages = ", ".join(f'"{name}": {number}' for name, number in table.stages.items())
    yield f"STAGES: Mapping[str, int] = MappingProxyType({{{stages}}})"
    for constant in table.constants:
        value = constant["value"]
        shown = _tuple(value) if isinstance(value, list) else value
        yield f"{constant['name']} = {shown}  # {constant['about']}"


def kinds(table: Table) -> Iterator[str]:
    """The kinds, as ruff formats them."""
    yield "_KINDS = ("
    for kind in table.kinds:
        fields = {
            "number": kind["number"],
            "name": f'"{kind["name"]}"',
            "shows": f'"{kind["shows"]}"',
            "contract": f'"{kind["contract"]}"',
            "fixed": _tuple(kind["public"]),
            "slots": _rule(kind["slots"]),
            "depth": _rule(kind["depth"]),
            "words": _tuple(kind["words"]) if kind["words"] else None,
            "commitments": _tuple(kind["commitments"]) if kind["commitments"] else None,
            "holds_slots": kind["depth"].get("holds_slots"),
            "ranked": kind["depth"].get("ranked"),
            "stage": kind["stage"] and f'"{kind["stage"]}"',
            "quantization": kind["quantization"] and f'"{kind["quantization"]}"',
            "block_bytes": kind["block"]["bytes"] or None,
            "codes_at": kind["block"]["codes_at"] or None,
            "blocks_per_proof": kind["blocks_per_proof"] or None,
            "not_shown": f'"{kind["not_shown"]}"' if kind["not_shown"] else None,
        }
        yield "    Kind("
        yield from (
            f"        {name}={shown}," for name, shown in fields.items() if shown is not None
        )
        yield "    ),"
    yield ")"
