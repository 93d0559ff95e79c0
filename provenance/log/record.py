"""Log records: reading and writing their bytes, and the 32-byte entry that each has in the log.

A record is RFC 8785 JSON `{"type": .., "v": 1, "time": "2026-01-02T03:04:05Z", ..fields}`. Parsing
is strict: unknown types, versions and fields, missing fields, and bytes that are not the canonical
form are refused, so one record has one digest. `time` is the writer's word; trustworthy dates come
from the chain. What each type says: `provenance.log.records`.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from provenance.digest import Digest, tagged
from provenance.encoding import canonical_json, parse_json, release_entry
from provenance.errors import InputError
from provenance.log.forms import TIME, Body, Field, fields_of
from provenance.log.records import BODIES, Release
from provenance.text.shown import told

MAX_VALUES = 1 << 18
"""JSON values of a record of any length; a longer one may hold one more for each 32 bytes."""

_HEADER = ("type", "v", "time")
_FIELDS: dict[str, dict[int, tuple[Field, ...]]] = {}
for _body in BODIES:
    _FIELDS.setdefault(_body.TYPE, {})[_body.VERSION] = fields_of(_body)

_B = TypeVar("_B", bound=Body)
_BodyType = type[_B]  # inside `Record` the name `type` is a field


def now() -> str:
    """The current UTC time as records write it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(type_: str, version: Any) -> tuple[Field, ...]:
    versions = _FIELDS.get(type_)
    if versions is None:
        raise InputError(
            "unknown record type", expected=", ".join(sorted(_FIELDS)), actual=type_[:40]
        )
    if type(version) is not int or version not in versions:  # True and 1.0 would equal 1
        raise InputError(
            "record has another version",
            where=type_,
            expected=" or ".join(map(str, versions)),
            actual=repr(version)[:40],
        )
    return versions[version]


def _check_fields(type_: str, version: Any, values: Mapping[str, Any]) -> None:
    fields = _fields(type_, version)
    for field in fields:
        if field.name in values:
            field.form.check(values[field.name], f"{type_}.{field.name}")
        elif not field.optional:
            raise InputError(
                "record lacks a field", where=f"{type_}.{field.name}", expected=field.form.name
            )
    known = {field.name for field in fields}
    if values.keys() <= known:
        return
    unknown = next(name for name in values if name not in known)
    raise InputError(
        "record has an unknown field",
        where=f"{type_}.{told(unknown)}",
        expected=", ".join(sorted(known)),
    )


def _digest(data: bytes) -> Digest:
    return tagged("entry", data)


@dataclass(frozen=True)
class Record:
    """One record as the journal holds it: `fields` is its JSON without type, version and time.

    Optional fields are left out, never null. `body` gives the fields their types.
    """

    type: str
    time: str
    fields: Mapping[str, Any]
    version: int = 1
    # What `parse` hashed. A copy with other fields (`dataclasses.replace`) does not take it over.
    _read_digest: Digest | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )

    @classmethod
    def make(cls, type: str, /, time: str | None = None, **fields: Any) -> Record:
        """Build a record of the newest version; a None value leaves its field out.

        Raises:
            InputError: fields that this type does not have.
        """
        present = {k.rstrip("_"): v for k, v in fields.items() if v is not None}
        version = max(_FIELDS.get(type, {0: ()}))
        _check_fields(type, version, present)
        return cls(type, time or now(), present, version)

    @classmethod
    def of(cls, body: Body, time: str | None = None) -> Record:
        """The record that says `body`. Law: `Record.of(b).body(type(b)) == b`.

        Raises:
            InputError: a value outside its form, such as a negative integer.
        """
        present = {
            field.name: field.form.write(value)
            for field in _fields(body.TYPE, body.VERSION)
            if (value := getattr(body, field.attribute)) is not None
        }
        _check_fields(body.TYPE, body.VERSION, present)
        return cls(body.TYPE, time or now(), present, body.VERSION)

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read canonical bytes (attacker-controlled). Law: `Record.parse(r.to_bytes()) == r`.

        Raises:
            InputError: not canonical JSON, not a record, or one of more values than `MAX_VALUES`
                allows. Each value takes some 60 to 250 bytes of memory, however short it is.
        """
        most, values = MAX_VALUES + len(data) // 32, sum(map(data.count, (b",", b"[", b"{")))
        if values > most:
            raise InputError("record has too many values", expected=f"<= {most}", actual=values)
        try:
            value = parse_json(data)
        except ValueError as error:
            raise InputError("record is not JSON", actual=error) from error
        header: dict[str, Any] = value if isinstance(value, dict) else {}
        type_, time = header.get("type"), header.get("time")
        version: Any = header.get("v")
        if not isinstance(type_, str) or not isinstance(time, str):
            raise InputError("record lacks type or time")
        TIME.check(time, "time")
        # A log repeats few names many times: each is kept once.
        fields = {sys.intern(name): item for name, item in value.items() if name not in _HEADER}
        _check_fields(type_, version, fields)
        if canonical_json(value) != data:
            raise InputError("record is not in canonical form (RFC 8785)", where=type_)
        record = cls(sys.intern(type_), time, fields, version)
        object.__setattr__(record, "_read_digest", _digest(data))
        return record

    def body(self, kind: _BodyType[_B]) -> _B:
        """The record's fields as values of type `kind`.

        Raises:
            InputError: it is a record of another type or version.
        """
        if (self.type, self.version) != (kind.TYPE, kind.VERSION):
            raise InputError(
                "record is of another type",
                expected=f"{kind.TYPE} {kind.VERSION}",
                actual=f"{self.type} {self.version}",
            )
        return kind(
            **{
                field.attribute: field.form.read(self.fields[field.name])
                for field in _fields(self.type, self.version)
                if field.name in self.fields
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `to_bytes` writes in canonical form."""
        return {"type": self.type, "v": self.version, "time": self.time, **self.fields}

    def to_bytes(self) -> bytes:
        """The bytes in the journal, which `digest` hashes."""
        return canonical_json(self.to_json())

    @property
    def digest(self) -> Digest:
        """Names the record: the tagged SHA-256 of its bytes."""
        return self._read_digest or _digest(self.to_bytes())

    @property
    def entry(self) -> Digest:
        """The 32 bytes that stand in the log for this record."""
        if self.type != Release.TYPE:
            return self.digest
        release = self.body(Release)
        return release_entry(release.run_id, release.model, release.manifest, self.digest)
