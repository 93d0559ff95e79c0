"""Calls and events of the contracts by their ABI, in work bounded by their length.

Anybody may send a transaction whose input says that a list holds itself many times: whoever decodes
such lists whole makes gigabytes of a few kilobytes. So values of one word and texts are read, and
of a list only how long it is.

Source: Contract ABI Specification of Solidity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.chain.abi import decode_word
from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.chain.lookup.forms import SELECTOR_BYTES, Log
from provenance.ids import to_hex
from provenance.text.shown import shortened

WORD = 32
MOST_CHARS = 500


@dataclass(frozen=True)
class Field:
    """A value by its name, as text. Of a list `value` is None, and `count` says how long it is."""

    name: str
    type: str
    value: str | None
    count: int | None = None


@dataclass(frozen=True)
class Decoded:
    """A call or an event. `whole` is false if its bytes are not of this form: it has no fields."""

    name: str
    fields: tuple[Field, ...]
    whole: bool


def decoded_call(contract: str, data: bytes) -> Decoded | None:
    """What a transaction's input (attacker-controlled) calls; None for no function of the ABI.

    Args:
        contract: one of `ARTIFACTS`.
    """
    item = abi_of(ARTIFACTS[contract]).function_of(data[:SELECTOR_BYTES])
    if item is None:
        return None
    return _decoded(item["name"], lambda: list(_fields(item["inputs"], data[SELECTOR_BYTES:])))


def decoded_event(contract: str, log: Log) -> Decoded | None:
    """What an event (attacker-controlled) says; None for no event of the ABI."""
    item = abi_of(ARTIFACTS[contract]).event_of(log.topics[0]) if log.topics else None
    if item is None:
        return None
    return _decoded(item["name"], lambda: _event_fields(item["inputs"], log))


def _decoded(name: str, read: Any) -> Decoded:
    try:
        return Decoded(name, tuple(read()), whole=True)
    except ValueError:
        return Decoded(name, (), whole=False)


def _event_fields(inputs: Sequence[Mapping[str, Any]], log: Log) -> list[Field]:
    indexed = [item for item in inputs if item["indexed"]]
    if len(indexed) != len(log.topics) - 1:
        raise ValueError("event has another number of words than its ABI says")
    words = b"".join(log.topics[1:])
    plain = [item for item in inputs if not item["indexed"]]
    return [*_fields(indexed, words), *_fields(plain, log.data)]


def _fields(items: Sequence[Mapping[str, Any]], data: bytes, inside: str = "") -> Iterator[Field]:
    at = 0
    for place, item in enumerate(items):
        name = inside + (item["name"] or str(place))
        words = _words(item)
        size = WORD * (1 if words is None else words)
        head = _slice(data, at, size)
        at += size
        if words is None:
            yield _dynamic(name, item["type"], data, int.from_bytes(head))
        elif item["type"] == "tuple":
            yield from _fields(item["components"], head, f"{name}.")
        elif item["type"].endswith("]"):
            yield Field(name, item["type"], None, words)
        else:
            yield Field(name, item["type"], _text(decode_word(item["type"], head)))


def _words(item: Mapping[str, Any]) -> int | None:
    """How many words a value takes in place; None if they stand elsewhere."""
    kind = item["type"]
    if kind.endswith("]"):
        count = kind[kind.rindex("[") + 1 : -1]
        inner = _words({**item, "type": kind[: kind.rindex("[")]})
        return None if not count or inner is None else int(count) * inner
    if kind == "tuple":
        inner_words = [_words(each) for each in item["components"]]
        known = [each for each in inner_words if each is not None]
        return sum(known) if len(known) == len(inner_words) else None
    return None if kind in ("bytes", "string") else 1


def _dynamic(name: str, kind: str, data: bytes, at: int) -> Field:
    if kind == "tuple" or (kind.endswith("]") and not kind.endswith("[]")):
        return Field(name, kind, None)
    count = int.from_bytes(_slice(data, at, WORD))
    if kind == "string":
        text = _slice(data, at + WORD, count).decode(errors="replace")
        return Field(name, kind, shortened(text, MOST_CHARS))
    if count > len(data):
        raise ValueError("a list is longer than what holds it")
    return Field(name, kind, None, count)


def _slice(data: bytes, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if len(part) != size:
        raise ValueError("bytes end too early")
    return part


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return to_hex(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
