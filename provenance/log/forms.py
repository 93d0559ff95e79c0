"""The forms of a record's fields: what JSON holds, and the value that the program holds for it.

A field of a record type is annotated with the value's type; the form follows from it. The names of
the forms are those of docs/formats/records.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from types import NoneType, UnionType
from typing import Any, ClassVar, NewType, Protocol, get_args, get_origin, get_type_hints

from provenance.digest import Digest
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError
from provenance.ids import Address, DatasetId, KeyId, RunId, Word, lower_pattern

Decimal = NewType("Decimal", str)
"""A number as text: the shortest that reads back the same, such as "2", "1e-08" or "nan"."""
_PLAIN_DECIMAL = re.compile(r"[0-9]{1,80}(\.[0-9]{1,400})?")


def is_number(text: str, expected: Fraction) -> bool:
    """Whether a decimal (attacker-controlled) is this number, 0 or more; work is bounded."""
    if not _PLAIN_DECIMAL.fullmatch(text):  # an exponent could make a number of any length
        return False
    return Fraction(text) == expected


@dataclass(frozen=True)
class Form:
    """How a field stands in JSON. `read` and `write` expect what `check` let through.

    accepts: whether `check` lets a value through; a list asks it first, and names a place only
        where something is wrong.
    """

    name: str
    accepts: Callable[[Any], bool]
    check: Callable[[Any, str], None]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One field of a record type. `name` is its key in JSON, `attribute` that of the dataclass."""

    name: str
    attribute: str
    form: Form
    optional: bool

    def __str__(self) -> str:
        return f"{self.form.name}?" if self.optional else self.form.name


class Body(Protocol):
    """What a record says: a frozen dataclass for each version of each type of record."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]


def fields_of(body: type[Body]) -> tuple[Field, ...]:
    """The fields of one version of a record type, in the order of its definition.

    An attribute that would be a Python keyword ends in `_`, which JSON leaves out. An annotation
    without a form raises KeyError, already when `provenance.log.record` is imported.
    """
    types = get_type_hints(body)
    return tuple(_field(field.name, types[field.name]) for field in fields(body))


def _field(attribute: str, annotation: Any) -> Field:
    optional = get_origin(annotation) is UnionType
    if optional:
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return Field(attribute.rstrip("_"), attribute, _form_of(annotation), optional)


def _form_of(annotation: Any) -> Form:
    if get_origin(annotation) is tuple:
        return _list_of(_form_of(get_args(annotation)[0]))
    return _FORMS[get_origin(annotation) or annotation]


def _list_of(item: Form) -> Form:
    name = f"[{item.name}]"

    def accepts(value: Any) -> bool:
        return isinstance(value, list) and all(map(item.accepts, value))

    def check(value: Any, where: str) -> None:
        if accepts(value):
            return
        if not isinstance(value, list):
            raise InputError("not a list", where=where, expected=name, actual=type(value).__name__)
        for i, element in enumerate(value):
            item.check(element, f"{where}[{i}]")

    return Form(
        name,
        accepts,
        check,
        lambda value: tuple(item.read(element) for element in value),
        lambda value: [item.write(element) for element in value],
    )


def _single(
    name: str,
    is_valid: Callable[[Any], bool],
    read: Callable[[Any], Any],
    write: Callable[[Any], Any],
) -> Form:
    def check(value: Any, where: str) -> None:
        if not is_valid(value):
            raise InputError(
                "field has the wrong form", where=where, expected=name, actual=repr(value)[:80]
            )

    return Form(name, is_valid, check, read, write)


def _text(name: str, pattern: str, read: Callable[[Any], Any]) -> Form:
    matches = re.compile(pattern).fullmatch
    return _single(name, lambda v: isinstance(v, str) and matches(v) is not None, read, str)


def _as_is(value: Any) -> Any:
    return value


def _word(kind: type[Word]) -> Form:
    return _text("word", lower_pattern(Word.SIZE), kind.parse)


def _is_natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER


TIME = _text("time", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", str)
_FORMS: dict[Any, Form] = {
    int: _single("int", _is_natural, int, int),
    bool: _single("bool", lambda value: isinstance(value, bool), bool, bool),
    str: _single("str", lambda value: isinstance(value, str), str, str),
    Mapping: _single("object", lambda value: isinstance(value, Mapping), _as_is, _as_is),
    Digest: _text("digest", r"sha256:[0-9a-f]{64}", Digest.parse),
    Address: _text("address", lower_pattern(Address.SIZE), Address.parse),
    Decimal: _text("decimal", r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|nan|-?inf", Decimal),
} | {kind: _word(kind) for kind in (Word, RunId, DatasetId, KeyId)}
