"""From what a YAML file holds to what a key of a training configuration takes."""

from __future__ import annotations

import math
import types
import typing
from typing import Any, Literal

from provenance.errors import ConfigError

_HINTS = {"num_train_epochs": "for a part of an epoch, or to a step, give max_steps"}


def convert(value: Any, hint: Any, where: str) -> Any:
    """The value as a field of this type holds it.

    Args:
        value: as the file says it (the user's).
        hint: the field's type.
        where: file and key, for messages.

    Raises:
        ConfigError: it is of another type, empty, not finite, or none of the choices.
    """
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (h for h in typing.get_args(hint) if h is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        return _choice(value, typing.get_args(hint), where)
    if typing.get_origin(hint) is tuple:
        return _names(value, where)
    if hint is float:
        return _number(value, where)
    if type(value) is not hint:
        raise ConfigError(
            "value has the wrong type",
            where=where,
            expected=hint.__name__,
            actual=described(value),
            hint=_whole(value, where) if hint is int else None,
        )
    if value == "":
        raise ConfigError(
            "value is empty", where=where, expected=hint.__name__, actual=described(value)
        )
    return value


def _whole(value: Any, where: str) -> str | None:
    if isinstance(value, float) and value.is_integer():
        return f"write {value:.0f}"
    return _HINTS.get(where.rpartition(" ")[2]) if isinstance(value, float) else None


def _choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value not in choices:
        raise ConfigError(
            "not one of the choices",
            where=where,
            expected=", ".join(choices),
            actual=described(value),
        )
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise ConfigError(
            "value has the wrong type",
            where=where,
            expected="a list of names",
            actual=described(value),
        )
    return tuple(items)


def _number(value: Any, where: str) -> float:
    """A finite number. Text counts if it is one, because YAML 1.1 reads `2e-4` as text."""
    try:
        number = None if isinstance(value, bool) else float(value)
    except (ValueError, TypeError):
        number = None
    except OverflowError:  # an integer beyond every float
        number = math.inf
    if number is None:
        raise ConfigError(
            "value has the wrong type", where=where, expected="float", actual=described(value)
        )
    if not math.isfinite(number):
        raise ConfigError(
            "value is not finite", where=where, expected="a finite number", actual=described(value)
        )
    return number


def described(value: Any) -> str:
    """A value and its type, cut short."""
    return f"{value!r:.60} ({type(value).__name__})"
