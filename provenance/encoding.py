"""The one place that makes bytes which are hashed or signed (docs/formats/bytes.md)."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rfc8785

from provenance.digest import Digest, tagged
from provenance.errors import InputError

MAX_INTEGER = 2**53 - 1
MAX_JSON_DEPTH = 64
MAX_RECURSION = 10_000
# r of BN254: leaves and roots lie below it. Source: EIP-196.
FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
BATCH_TENSORS = ("input_ids", "attention_mask", "labels")


# A string (its closing quote may be missing), or a bracket outside of one.
_JSON_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Made once: `json.loads` and `json.dumps` make one for each call that does not take the defaults.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def parse_json(
    data: bytes,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_constant: Callable[[str], Any] = _refuse_constant,
) -> Any:
    """Read JSON text (attacker-controlled): UTF-8, finite numbers, nested at most 64 deep.

    Half of a pair of surrogates, which `\\ud800` writes, is no text that UTF-8 has.

    The depth is counted before json.loads runs: deep nesting could exhaust the thread's stack and
    end the process.

    Args:
        object_pairs_hook: as `json.loads` has it.
        parse_constant: what NaN, Infinity and -Infinity become; they are refused without it.

    Raises:
        ValueError: anything else.
    """
    if data.count(b"[") + data.count(b"{") > MAX_JSON_DEPTH:
        depth = 0
        for token in _JSON_TOKENS.finditer(data):
            depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
            if depth > MAX_JSON_DEPTH:
                raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
    text = data.decode("utf-8")
    try:
        if b"\\ud" in data or b"\\uD" in data:
            json.dumps(_DECODER.decode(text), ensure_ascii=False).encode()
        if object_pairs_hook is None and parse_constant is _refuse_constant:
            return _DECODER.decode(text)
        return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)
    except ValueError as error:
        # Python's words name a setting of its own, which nobody here can change.
        if "int_max_str_digits" in str(error):
            raise ValueError(_too_many_digits()) from error
        raise


def bound_recursion() -> None:
    """Lower Python's recursion limit to where it still ends a recursion before the stack does.

    Importing py_ecc raises it to 100,000. JSON or a template of somebody else's that is nested as
    deep then ends the process.
    """
    sys.setrecursionlimit(min(sys.getrecursionlimit(), MAX_RECURSION))


def _too_many_digits() -> str:
    return f"an integer has more than {sys.get_int_max_str_digits()} digits"


def u8(value: int) -> bytes:
    """One byte; OverflowError outside 0..255."""
    return value.to_bytes(1, "big")


def u32(value: int) -> bytes:
    """Four bytes, big-endian; OverflowError outside the range."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Eight bytes, big-endian; OverflowError outside the range."""
    return value.to_bytes(8, "big")


def sized(text: str) -> bytes:
    """Length-prefixed UTF-8: u32 length, then the bytes."""
    data = text.encode("utf-8")
    return u32(len(data)) + data


def _is_plain(value: Any) -> bool:
    """Whether a value holds nothing but what records may hold, in the types that JSON is read as.

    If not, it may still be one that `canonical_json` writes, such as a tuple.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER  # type: ignore[no-any-return]
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return False


def _check_no_floats(value: Any, path: str) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise InputError("integer outside +-(2^53-1)", where=path, actual=value)
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_no_floats(item, f"{path}.{key}")
        return
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_no_floats(item, f"{path}[{i}]")
        return
    raise InputError(
        "records hold text, integers, lists and objects", where=path, actual=type(value).__name__
    )


def canonical_json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """RFC 8785 bytes of a record or manifest.

    What is ASCII needs no library of its own: escapes are those of the standard library, and keys
    have the same order by code points as by UTF-16.

    Raises:
        InputError: a float, an integer outside +-(2^53-1), a lone surrogate, or a type JSON does
            not have.
    """
    if _is_plain(value) and (text := _ENCODER.encode(value)).isascii():
        return text.encode("ascii")
    _check_no_floats(value, "$")
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise InputError("cannot be written as canonical JSON", actual=error) from error


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # more digits than Python writes
        raise InputError("integer is too long", actual=_too_many_digits()) from error


def _plain(value: Any, path: str) -> Any:
    """A dataset cell as RFC 8785 sees it.

    Bytes as base64, timestamps RFC 3339, dates and times of day ISO 8601, integers beyond
    +-(2^53-1) and decimals as their decimal digits, finite floats kept.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v, f"{path}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.date | datetime.time):
        return _plain_time(value)
    return _plain_number(value, path)


def _plain_time(value: datetime.date | datetime.time) -> str:
    if not isinstance(value, datetime.datetime):
        return value.isoformat()
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def _plain_number(value: Any, path: str) -> Any:
    if isinstance(value, float | decimal.Decimal) and not math.isfinite(value):
        raise InputError("not a finite number", where=path, actual=value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return _digits(value)
    return value


def dataset_record_bytes(row: Mapping[str, Any]) -> bytes:
    """Canonical bytes of one dataset row (row is attacker-controlled).

    One text column: its UTF-8 after NFC. Anything else: the RFC 8785 form of the row.

    Raises:
        InputError: an empty row, a value JSON cannot hold, or a lone surrogate.
    """
    if not row:
        raise InputError("a dataset record has no columns")
    values = list(row.values())
    try:
        if len(values) == 1 and isinstance(values[0], str):
            return unicodedata.normalize("NFC", values[0]).encode("utf-8")
        return rfc8785.dumps(_plain(row, "$"))
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise InputError("record cannot be written as canonical JSON", actual=error) from error


def dataset_record_digest(canonical: bytes) -> Digest:
    """The digest `d` of a dataset record, from its canonical bytes (docs/formats/proofs.md)."""
    return tagged("record", canonical)


def release_entry(run_id: bytes, model: bytes, manifest: bytes, record: bytes) -> Digest:
    """Log entry of a release.

    The registry computes it again on chain, so an owner can release only what the log says.
    """
    return tagged("release", run_id + model + manifest + record)


def head_digest(run_id: bytes, size: int, root: bytes) -> Digest:
    """Digest of a log's head: binds run, size and root."""
    return tagged("head", run_id + u64(size) + root)


def batch_payload(salt: bytes, tensors: Mapping[str, np.ndarray | None]) -> bytes:
    """Preimage of a batch's tensor digest: the salt, then each tensor as fed to the model.

    Args:
        salt: 32 private random bytes. Without it, whoever guesses a text could confirm the guess
            from this digest, although the leaves are salted.
        tensors: integer arrays of shape `(batch, seq)` for `input_ids`, `attention_mask`, `labels`;
            None if absent.
    """
    if len(salt) != 32:
        raise InputError("a batch salt has 32 bytes", actual=len(salt))
    parts = [salt]
    for name in BATCH_TENSORS:
        array = tensors.get(name)
        if array is None:
            parts.append(u8(0))
            continue
        if array.dtype.kind not in "iub":
            raise InputError(
                "a batch tensor holds integers",
                where=name,
                expected="an integer dtype",
                actual=array.dtype,
            )
        parts += [
            u8(1),
            u8(array.ndim),
            *(u64(n) for n in array.shape),
            array.astype(">i8").tobytes(),
        ]
    return b"".join(parts)


def batch_digest(salt: bytes, tensors: Mapping[str, np.ndarray | None]) -> Digest:
    """The digest of a batch as `batch` records name it."""
    return tagged("batch", batch_payload(salt, tensors))


def order_words(seed: bytes, epoch: int, counter: int) -> tuple[int, int, int, int]:
    """Four 64-bit words of the shuffle stream of docs/formats/proofs.md."""
    block = tagged("order", seed + u64(epoch) + u64(counter))
    return (
        int.from_bytes(block[0:8], "big"),
        int.from_bytes(block[8:16], "big"),
        int.from_bytes(block[16:24], "big"),
        int.from_bytes(block[24:32], "big"),
    )
