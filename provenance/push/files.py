"""The files of a run's evidence that leave its owner's machine: names, sizes, what is checked.

The table is closed. Salts, blindings and whatever else lies in a run folder are not in it, so they
are not sent, and a service keeps nothing under another name. Record 0 of the journal holds the
configuration, with the paths that its owner wrote there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from provenance.digest import open_regular
from provenance.errors import InputError
from provenance.ids import Address, KeyId, RunId
from provenance.layout import RunFolder, json_object
from provenance.log.anchoring import MAX_HEADS_BYTES, parse_heads
from provenance.log.audit.kept import MAX_ATTESTATIONS_BYTES
from provenance.log.witness.kept import MAX_COSIGNATURES_BYTES
from provenance.verify.sources.evidence import (
    MAX_BASES_BYTES,
    MAX_PROOF_BYTES,
    MAX_TABLE_BYTES,
    MAX_WORDS_BYTES,
)

INFO, JOURNAL, HEADS = "run.json", "journal", "heads.jsonl"
MAX_NAME = 160
"""Characters of the longest name of a file."""
_FORMAT = re.compile(r"provenance-run/[0-9]{1,3}")
_SENT_INFO: dict[str, Callable[[object], bool]] = {
    "format": lambda value: isinstance(value, str) and _FORMAT.fullmatch(value) is not None,
    "run_id": lambda value: RunId.parse(value) is not None,
    "chain_id": lambda value: type(value) is int and 0 <= value < 1 << 64,
    "registry": lambda value: Address.parse(value) is not None,
    "ledger": lambda value: Address.parse(value) is not None,
}
_KEPT_BACK = frozenset({"secrets", ".nodes"})
_N = r"(?:0|[1-9][0-9]{0,5})"

Check = Callable[[str, bytes, RunId], None]


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    most: bytes of the longest that is taken, as verifiers have it.
    check: compares name, content (attacker-controlled) and run; raises InputError.
    """

    name: re.Pattern[str]
    most: int
    check: Check


def _json(name: str, data: bytes, _: RunId) -> None:
    json_object(data, Path(name))


def _info(name: str, data: bytes, run_id: RunId) -> None:
    value = json_object(data, Path(name))
    if value.get("run_id") != str(run_id):
        raise InputError(
            "file is of another run",
            where=name,
            expected=run_id,
            actual=_brief(value.get("run_id")),
        )
    for key, item in value.items():
        if not _may_be_sent(key, item):
            raise InputError(
                "file says what a run's identity does not",
                where=f"{name} {_brief(key)}",
                expected=", ".join(_SENT_INFO),
                actual=_brief(item),
            )


def _may_be_sent(key: str, value: object) -> bool:
    with suppress(InputError):
        return key in _SENT_INFO and _SENT_INFO[key](value)
    return False


def _heads(name: str, data: bytes, run_id: RunId) -> None:
    if data and not data.endswith(b"\n"):
        raise InputError("last line is unfinished", where=name)
    for number, signed in enumerate(parse_heads(data)):
        if signed.head.run_id != run_id:
            raise InputError(
                "head is of another run",
                where=f"{name} line {number + 1}",
                expected=run_id,
                actual=signed.head.run_id,
            )


def _lines(name: str, data: bytes, _: RunId) -> None:
    for number, line in enumerate(data.splitlines()):
        json_object(line, Path(f"{name} line {number + 1}"))


def _words(name: str, data: bytes, _: RunId) -> None:
    expected, actual = name.split("/")[1], KeyId(keccak(data))
    if str(actual) != expected:
        raise InputError(
            "key has another id than its folder", where=name, expected=expected, actual=actual
        )


def _points(name: str, data: bytes, _: RunId) -> None:
    if not data or len(data) % 64:
        raise InputError("not points of 64 bytes each", where=name, actual=f"{len(data)} bytes")


_KEY = r"keys/0x[0-9a-f]{64}/"
_TABLE: tuple[tuple[str, int, Check], ...] = (
    (r"run\.json", MAX_PROOF_BYTES, _info),
    (r"heads\.jsonl", MAX_HEADS_BYTES, _heads),
    (r"cosignatures\.jsonl", MAX_COSIGNATURES_BYTES, _lines),
    (r"attestations\.jsonl", MAX_ATTESTATIONS_BYTES, _lines),
    (r"release\.(?:manifest|oms)\.json", MAX_TABLE_BYTES, _json),
    (rf"epochs/{_N}/proof-{_N}\.json", MAX_PROOF_BYTES, _json),
    (r"dataset/registration\.json", MAX_TABLE_BYTES, _json),
    (rf"dataset/(?:tree|link)-{_N}\.json", MAX_PROOF_BYTES, _json),
    (rf"samples/(?:merge|quantize)-{_N}/tables\.json", MAX_TABLE_BYTES, _json),
    (rf"samples/(?:merge|quantize)-{_N}/proof-{_N}\.json", MAX_PROOF_BYTES, _json),
    (_KEY + r"vk\.words", MAX_WORDS_BYTES, _words),
    (_KEY + r"p_bases\.bin", MAX_BASES_BYTES, _points),
)
KINDS = tuple(Kind(re.compile(name), most, check) for name, most, check in _TABLE)


def kind_of(name: str) -> Kind | None:
    """What a file of evidence is by its name below `provenance/` (attacker-controlled).

    None for anything else, the journal among it, which is sent in pieces.
    """
    if len(name) > MAX_NAME:
        return None
    return next((kind for kind in KINDS if kind.name.fullmatch(name)), None)


def require_kind(name: str) -> Kind:
    """`kind_of` a name (attacker-controlled).

    Raises:
        InputError: no file of evidence has this name.
    """
    kind = kind_of(name)
    if kind is None:
        raise InputError(
            "no file of evidence that is sent has this name",
            actual=_brief(name),
            hint="docs/service.md lists the names",
        )
    return kind


def files_to_send(folder: RunFolder) -> tuple[list[str], list[str]]:
    """(names of a run's files that are sent, sorted; names of those that are not).

    Of what stays here, `secrets/` is one name with a slash. Links are not followed.
    """
    sent: list[str] = []
    kept: list[str] = []
    waiting = [""]
    while waiting:
        at = waiting.pop()
        with os.scandir(folder.evidence / at) as entries:
            for entry in entries:
                name = at + entry.name
                if not at and entry.name in _KEPT_BACK:
                    kept.append(f"{name}/")
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif name != JOURNAL:
                    is_sent = entry.is_file(follow_symlinks=False) and kind_of(name)
                    (sent if is_sent else kept).append(name)
    return sorted(sent), sorted(kept)


def content_to_send(folder: RunFolder, name: str, records: int) -> tuple[bytes, int]:
    """(a file's bytes as they are sent, how many of its lines are left out).

    What `run.json` says of folders here is left out, and so are heads of more records than the
    service has, which come with the next push, and lines that verifiers skip.

    Args:
        records: that the service has.

    Raises:
        InputError: it is a link, longer than a verifier reads, or a `run.json` that is none.
    """
    path, kind = folder.evidence / name, require_kind(name)
    with open_regular(path) as stream:
        data = stream.read(kind.most + 1)
    if len(data) > kind.most:
        raise InputError("file is too large", where=str(path), expected=f"<= {kind.most} bytes")
    if name == INFO:
        return info_to_send(json_object(data, path)), 0
    if name == HEADS:
        whole = _whole_lines(data)
        sizes = [signed.head.size for signed in parse_heads(b"".join(whole))]
        kept = [line for line, size in zip(whole, sizes, strict=True) if size <= records]
        return b"".join(kept), 0
    if name.endswith(".jsonl"):
        whole = _whole_lines(data)
        kept = [line for line in whole if _is_object(line)]
        return b"".join(kept), len(whole) - len(kept)
    return data, 0


def _whole_lines(data: bytes) -> list[bytes]:
    """Lines that end; a torn last one is none yet."""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


def _is_object(line: bytes) -> bool:
    with suppress(InputError):
        json_object(line, Path("line"))
        return True
    return False


def info_to_send(info: Mapping[str, Any]) -> bytes:
    """`run.json` without what only its owner can use."""
    value = {name: info[name] for name in _SENT_INFO if name in info}
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _brief(value: object) -> str:
    return repr(value)[:80]
