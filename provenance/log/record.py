"""Log records: their closed set of types, their fields and the 32-byte entry each has in the log.

A record is RFC 8785 JSON `{"type": .., "v": 1, "time": "2026-01-02T03:04:05Z", ..fields}`. Parsing is strict: unknown types and
fields, missing fields, and bytes that are not the canonical form are refused, so one record has one digest.
`time` is what the writer says; dates that mean something come from the chain.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.digest import Digest, tagged
from provenance.encoding import MAX_INTEGER, canonical_json, parse_json, release_entry
from provenance.errors import InputError

VERSION = 1
_KINDS: dict[str, re.Pattern[str]] = {
    "digest": re.compile(r"sha256:[0-9a-f]{64}"),
    "word": re.compile(r"0x[0-9a-f]{64}"),
    "address": re.compile(r"0x[0-9a-f]{40}"),
    "decimal": re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|nan|-?inf"),
    "time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
}

# field -> kind; "?" marks an optional field, "[..]" a list. Public meaning of each field: docs/formats/records.md.
SCHEMAS: dict[str, dict[str, str]] = {
    "run.open": {
        "dataset": "object",
        "base": "object",
        "config": "object",
        "config_digest": "digest",
        "code": "object",
        "environment": "object",
        "signer": "address",
        "evaluation": "object",
        "registered": "bool",
        "nonce": "word?",
    },
    "seed": {"seed": "word", "source": "str", "draw_block": "int?", "run_id": "word?"},
    "batch": {
        "epoch": "int",
        "step": "int",
        "micro": "int",
        "rank": "int",
        "positions": "[int]",
        "leaves": "[word]",
        "tensors": "digest",
        "unmatched": "int?",
    },
    "checkpoint": {
        "step": "int",
        "path": "str",
        "manifest": "digest",
        "weights": "digest",
        "optimizer": "digest?",
        "scheduler": "digest?",
        "rng": "digest?",
        "previous": "int?",
        "last_batch": "int?",
        "epoch": "int",
        "consumed": "int",
    },
    "epoch": {
        "epoch": "int",
        "consumed": "int",
        "remainder": "[word]",
        "number": "int?",
        "ledger": "address?",
        "u_hash": "word?",
        "p_hash": "word?",
        "dataset_id": "word?",
        "vk_id": "word?",
        "log_size": "int?",
    },
    "eval": {"step": "int", "metrics": "object", "subject": "str", "subject_digest": "digest?"},
    "resume": {"from": "int", "abandons": "[int]", "step": "int"},
    "merge": {
        "base": "digest",
        "adapter": "digest",
        "adapter_manifest": "digest",
        "merged": "digest",
        "merged_manifest": "digest",
        "checkpoint": "int?",
        "scale": "decimal",
        "adapted": "[str]",
        "max_ulp_to_peft": "int?",
    },
    "quantize": {
        "source": "digest",
        "format": "str",
        "quantization": "str",
        "file": "digest",
        "size": "int",
        "tensors": "object",
    },
    "sample": {"stage": "str", "number": "int", "ledger": "address", "anchoring": "word"},
    "release": {
        "run_id": "word",
        "model": "digest",
        "manifest": "digest",
        "name": "str",
        "files": "int?",
    },
    "attest": {"subject": "digest", "kind": "str", "body": "object"},
    "revoke": {"run_id": "word", "index": "int", "reason": "str"},
    "run.close": {"status": "str", "step": "int", "summary": "object"},
    "dataset": {
        "root": "word",
        "depth": "int",
        "count": "int",
        "manifest": "digest",
        "source": "str",
        "licence": "str",
        "duplicates_removed": "int",
        "curation": "[str]",
    },
    "curation": {"dataset": "word", "step": "str", "body": "object"},
    "tombstone": {"dataset": "word", "leaf": "word"},
    "adopt": {"subject": "digest", "body": "object"},
}
TYPES = frozenset(SCHEMAS)


def now() -> str:
    """The current UTC time as records write it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_kind(value: Any, kind: str, where: str) -> None:
    if kind.startswith("["):
        if not isinstance(value, list):
            raise InputError("not a list", where=where, expected=kind, actual=type(value).__name__)
        for i, item in enumerate(value):
            _check_kind(item, kind[1:-1], f"{where}[{i}]")
        return
    if kind == "int":
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER
    elif kind == "bool":
        good = isinstance(value, bool)
    elif kind == "object":
        good = isinstance(value, Mapping)
    elif kind == "str":
        good = isinstance(value, str)
    else:
        good = isinstance(value, str) and _KINDS[kind].fullmatch(value) is not None
    if not good:
        raise InputError(
            "field has the wrong form", where=where, expected=kind, actual=repr(value)[:80]
        )


def _check_fields(kind: str, fields: Mapping[str, Any]) -> None:
    schema = SCHEMAS.get(kind)
    if schema is None:
        raise InputError("unknown record type", expected=", ".join(sorted(TYPES)), actual=kind[:40])
    for name, form in schema.items():
        if name not in fields:
            if form.endswith("?"):
                continue
            raise InputError("record lacks a field", where=f"{kind}.{name}", expected=form)
        _check_kind(fields[name], form.rstrip("?"), f"{kind}.{name}")
    for name in fields:
        if name not in schema:
            raise InputError(
                "record has an unknown field",
                where=f"{kind}.{name}",
                expected=", ".join(sorted(schema)),
            )


@dataclass(frozen=True)
class Record:
    """One record. `fields` follows `SCHEMAS[type]`; optional fields are left out, never null."""

    type: str
    time: str
    fields: Mapping[str, Any]

    @classmethod
    def make(cls, type: str, /, time: str | None = None, **fields: Any) -> Record:
        """Build a record from fields; a None value leaves its field out.

        Raises:
            InputError: fields that `SCHEMAS[type]` does not allow.
        """
        present = {k.rstrip("_"): v for k, v in fields.items() if v is not None}
        _check_fields(type, present)
        return cls(type, time or now(), present)

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read canonical bytes (attacker-controlled). Law: `Record.parse(r.to_bytes()) == r`.

        Raises:
            InputError: not canonical JSON, or not a record.
        """
        try:
            value = parse_json(data)
        except ValueError as error:
            raise InputError("record is not JSON", actual=error) from error
        if (
            not isinstance(value, dict)
            or not isinstance(value.get("type"), str)
            or not isinstance(value.get("time"), str)
        ):
            raise InputError("record lacks type or time")
        if value.get("v") != VERSION or isinstance(value.get("v"), bool):
            raise InputError(
                "record has another version", expected=VERSION, actual=repr(value.get("v"))[:40]
            )
        _check_kind(value["time"], "time", "time")
        fields = {k: v for k, v in value.items() if k not in ("type", "v", "time")}
        _check_fields(value["type"], fields)
        record = cls(value["type"], value["time"], fields)
        if record.to_bytes() != data:
            raise InputError("record is not in canonical form (RFC 8785)", where=value["type"])
        return record

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "v": VERSION, "time": self.time, **self.fields}

    def to_bytes(self) -> bytes:
        return canonical_json(self.to_json())

    @property
    def digest(self) -> Digest:
        return tagged("entry", self.to_bytes())

    @property
    def entry(self) -> Digest:
        """The 32 bytes that stand in the log for this record."""
        if self.type != "release":
            return self.digest
        return release_entry(
            bytes.fromhex(self.fields["run_id"][2:]),
            Digest.parse(self.fields["model"]),
            Digest.parse(self.fields["manifest"]),
            self.digest,
        )
