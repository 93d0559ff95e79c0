"""The tables of `docs/formats`."""

from __future__ import annotations

from collections.abc import Iterator

from statement_table.table import Entry, Rule, Table


def _words_of_rule(table: Table, rule: Rule) -> str:
    if "one_of" in rule:
        *rest, last = (f"{value:,}" for value in rule["one_of"])
        return f"{', '.join(rest)} or {last}" if rest else last
    text = f"{table.limit(rule['from']):,} to {table.limit(rule['to']):,}"
    if rule.get("ranked"):
        *rest, last = map(str, table.ranks)
        text = f"levels {text}, rank {', '.join(rest)} or {last}"
    return text


def _cell(table: Table, kind: Entry, word: str) -> str:
    rule = kind[word]
    text = _words_of_rule(table, rule)
    if rule["means"] != text:
        text = f"{rule['means']}: {text}"
    if rule.get("holds_slots"):
        text += ", with room for a chunk"
    return text


def _public_cell(kind: Entry) -> str:
    return ", ".join([*kind["public"], *(f"{word} words" for word in kind["words"])])


def statements_page(table: Table) -> Iterator[str]:
    """Two tables of all kinds: what their keys look like, and what each shows on which contract."""
    yield "| number | kind | word 2 (slots) | word 3 (depth) | public inputs, in this order |"
    yield "|---|---|---|---|---|"
    for kind in table.kinds:
        cells = [_cell(table, kind, "slots"), _cell(table, kind, "depth"), _public_cell(kind)]
        yield f"| {kind['number']} | `{kind['name']}` | {' | '.join(cells)} |"
    yield ""
    yield "| kind | shows | keys pinned by | stage | file: bytes of a block, of them scale |"
    yield "|---|---|---|---|---|"
    for kind in table.kinds:
        block = kind["block"]
        file = (
            f"{kind['quantization']}: {block['bytes']}, {block['codes_at']}"
            if block["bytes"]
            else "none"
        )
        stage = f"{table.stages[kind['stage']]}, {kind['stage']}" if kind["stage"] else "none"
        yield f"| `{kind['name']}` | {kind['shows']} | `{kind['contract']}` | {stage} | {file} |"


def proofs_page(table: Table) -> Iterator[str]:
    """A table of the public inputs and commitments of the kinds that `ProofLedger` pins."""
    yield "| kind | in this order | commitments |"
    yield "|---|---|---|"
    for kind in table.of("ProofLedger"):
        commitments = ", ".join(kind["commitments"]) or "none"
        yield f"| `{kind['name']}` | {_public_cell(kind)} | {commitments} |"
