"""Answers of several endpoints to one question, in a form in which equal facts are equal values.

Nodes write the same block with other keys, other letter case and leading zeros. What is compared
here is all that leaves: nothing that was not compared can be read from an answer.

Source: the JSON-RPC methods of the Ethereum execution APIs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provenance.chain.answers import block_hash_of, bytes_of, hostile, number_of
from provenance.chain.lookup.forms import LOOKUPS
from provenance.errors import InternalError, UnavailableError
from provenance.ids import to_hex

BLOCK, CALL, LOGS = "eth_getBlockByNumber", "eth_call", "eth_getLogs"
TAGS = ("latest", "finalized")
REVERTED = "execution reverted"
"""Stands for the answer of a `CALL` that the contract refused."""
_BLOCK = {"number", "hash", "timestamp"}
_SHOWN_BYTES = 32  # of an answer; of a longer one only its beginning and its digest are told


def _number(value: Any) -> str:
    return hex(number_of(value))


def _data(value: Any) -> str:
    return to_hex(bytes_of(value))


def _block(value: Any) -> dict[str, str]:
    return {
        "number": _number(value["number"]),
        "hash": to_hex(block_hash_of(value["hash"])),
        "timestamp": _number(value["timestamp"]),
    }


_READS: Mapping[str, Callable[[Any], Any]] = {
    "eth_chainId": _number,
    BLOCK: _block,
    "eth_getCode": _data,
    CALL: _data,
    **LOOKUPS,
}


def is_pinned(method: str) -> bool:
    """Whether honest endpoints cannot differ: not in what one that is behind does not have yet."""
    return method not in LOOKUPS


def require_read(method: str) -> None:
    """Only what can be compared goes to several endpoints.

    Raises:
        InternalError: no read of a verdict.
    """
    if method not in _READS:
        raise InternalError("answers to this cannot be compared", where=method)


def canonical(method: str, value: Any, where: str) -> Any:
    """An endpoint's `result` (attacker-controlled) of one of the reads of a verdict.

    Raises:
        UnavailableError: the endpoint does not have the block, or answered something else.
    """
    if value is None and method == BLOCK:
        raise UnavailableError("endpoint does not have this block", where=where)
    with hostile(where):
        return _READS[method](value)


def shown(value: Any) -> str:
    """A canonical answer in a few words; answers that differ are shown differently."""
    if isinstance(value, dict | list) and (not isinstance(value, dict) or set(value) != _BLOCK):
        digest = hashlib.sha256(repr(value).encode()).hexdigest()[:16]
        return f"an answer of SHA-256 {digest}.." if value else "that it knows none"
    if isinstance(value, dict):
        return f"block {int(value['number'], 16)} {value['hash']} of time {value['timestamp']}"
    if value == REVERTED:
        return REVERTED
    data = bytes_of(value)
    if len(data) <= _SHOWN_BYTES:
        return str(value)
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"{to_hex(data[:4])}.. ({len(data)} bytes, SHA-256 {digest}..)"


def question(method: str, params: Sequence[Any]) -> str:
    """What is asked, for people: the method, and the contract and function or block it is about."""
    first = params[0] if params else None
    if isinstance(first, dict):
        if method == LOGS:
            return f"{method} {first.get('address')} {first.get('blockHash') or 'of all blocks'}"
        return f"{method} {first.get('to')} {str(first.get('data'))[:10]}"
    return method if first is None else f"{method} {first}"
