"""Configurations as users write them: files and overrides, read to the last fault.

An unknown key is refused, and a near known key is named. If it were silently ignored, the
pre-registered configuration would differ from what ran.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from provenance.causes import near, yaml_cause
from provenance.errors import ConfigError, ProvenanceError
from provenance.faults import Findings
from provenance.text.strict_yaml import load_yaml
from provenance_trainer.config import ProvenanceConfig, TrainConfig, config_faults
from provenance_trainer.unsupported import RENAMED, UNSUPPORTED
from provenance_trainer.values import convert, described

_MAX_CONFIG_BYTES = 1 << 20
_BLOCK = "provenance"
_NOTHING = {"dataset_name": "", "output_dir": ""}  # keys that have no default


@dataclass(frozen=True)
class Draft:
    """A configuration that may have faults.

    config: what is right as it was given, and defaults in the place of the rest.
    faults: what is wrong with the file and its overrides.
    unsound: keys of `config` that say nothing, because they are wrong or missing.
    """

    config: TrainConfig
    faults: tuple[ProvenanceError, ...] = ()
    unsound: frozenset[str] = frozenset()

    def require(self) -> TrainConfig:
        """The configuration, without faults.

        Raises:
            Faults: several. ConfigError: the only one.
        """
        found = Findings()
        found.add(self.faults)
        found.require_none()
        return self.config

    def is_sound(self, *keys: str) -> bool:
        """Whether these keys say what the user wants."""
        return self.unsound.isdisjoint(keys)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML configuration and apply `key=value` overrides; raises as `load_draft`, or:

    Raises:
        Faults, ConfigError: unknown keys, missing keys, or values or types that are wrong.
    """
    return load_draft(path, overrides).require()


def load_draft(path: Path, overrides: Sequence[str] = ()) -> Draft:
    """Read a YAML configuration and apply `key=value` overrides, faults and all.

    `provenance.key=value` sets a key inside the block.

    Raises:
        ConfigError: the file cannot be read, or holds no keys and values.
    """
    value, found = _mapping(path), Findings()
    given: dict[str, str] = {}
    for override in overrides:
        found.run(partial(_apply, value, override, given))
    draft = parse_draft(value, str(path))
    found.add(draft.faults)
    return dataclasses.replace(draft, faults=tuple(found.faults))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "cannot read configuration", where=str(path), actual=error.strerror
        ) from error
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(
            "configuration is too large", where=str(path), expected=f"<= {_MAX_CONFIG_BYTES} bytes"
        )
    try:
        value = load_yaml(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "configuration is not YAML",
            where=str(path),
            actual=yaml_cause(error),
            hint=None if _is_utf8(data) else f"iconv -f WINDOWS-1252 -t UTF-8 {path} > NEW",
        ) from error
    expected = "keys and values, as in examples/smollm2.yaml"
    if value is None:
        what = "holds no keys, only comments" if data.strip() else "is empty"
        raise ConfigError(f"the file {what}", where=str(path), expected=expected)
    if not isinstance(value, dict):
        raise ConfigError(
            "configuration is not a mapping",
            where=str(path),
            expected=expected,
            actual=type(value).__name__,
        )
    return value


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _apply(value: dict[str, Any], override: str, given: dict[str, str]) -> None:
    """Apply one override; `given` holds those before it, by key."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            "override is not KEY=VALUE", where=override, expected="such as max_steps=100"
        )
    if key in given:
        raise ConfigError(
            "override stands twice", where=key, actual=f"{given[key]} {override}"[:200]
        )
    given[key] = override
    try:
        parsed = load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "override is not YAML", where=override, actual=yaml_cause(error)
        ) from error
    block, dot, inner = key.partition(".")
    if not dot:
        value[key] = parsed
        return
    target = value.setdefault(block, {})
    if not isinstance(target, dict):
        raise ConfigError(
            "not a block", where=block, expected="keys and values", actual=type(target).__name__
        )
    target[inner] = parsed


def parse_config(value: Mapping[str, Any], where: str = "configuration") -> TrainConfig:
    """Check a configuration that is already a mapping. Raises ConfigError as `load_config` does."""
    return parse_draft(value, where).require()


def parse_draft(value: Mapping[str, Any], where: str = "configuration") -> Draft:
    """Read a configuration that is already a mapping, faults and all."""
    reading = _Reading(where)
    fields = reading.fields(TrainConfig, value)
    block = value.get(_BLOCK)
    if isinstance(block, dict):
        fields |= reading.fields(ProvenanceConfig, block, f"{_BLOCK}.")
    elif block is not None:
        error = ConfigError("not a block", where=f"{where} {_BLOCK}", actual=described(block))
        reading.found.add([error])
        reading.unsound |= _defaults(ProvenanceConfig, f"{_BLOCK}.").keys()
    # Where a key is missing or wrong, the others are judged with a value that says nothing.
    blanks = _NOTHING | _defaults(TrainConfig) | _defaults(ProvenanceConfig, f"{_BLOCK}.")
    for fault in config_faults(blanks | fields):
        reading.found.add([fault])
        reading.unsound.add(str(fault.where))
    kept = {name: made for name, made in fields.items() if name not in reading.unsound}
    config = _built(blanks | kept)
    return Draft(config, tuple(reading.found.faults), frozenset(reading.unsound))


def _defaults(kind: type[Any], prefix: str = "") -> dict[str, Any]:
    plain = [item for item in dataclasses.fields(kind) if item.default is not dataclasses.MISSING]
    return {prefix + item.name: item.default for item in plain}


def _built(values: Mapping[str, Any]) -> TrainConfig:
    prefix = f"{_BLOCK}."
    inner = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
    outer = {n: v for n, v in values.items() if not n.startswith(prefix)}
    return TrainConfig(**outer, provenance=ProvenanceConfig(**inner))


class _Reading:
    """Reads the fields of a configuration; gathers what is wrong, and the keys it is wrong with.

    Args:
        where: the file, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.found = Findings()
        self.unsound = set[str]()

    def fields(self, kind: type[Any], value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """The fields of `kind` that are right, by their names after `prefix`."""
        where = f"{self._where} {prefix.rstrip('.')}".rstrip()
        hints = typing.get_type_hints(kind)
        for key in value:
            if key not in hints:
                self._unknown(str(key), list(hints), where)
        for name in _missing(kind, value):
            self.unsound.add(name)
            error = ConfigError(
                "configuration lacks a key",
                where=f"{where} {name}",
                hint=f"add it to the file, or give {name}=VALUE",
            )
            self.found.add([error])
        made: dict[str, Any] = {}
        for key in value:
            if key in hints and key != _BLOCK:
                faults = len(self.found.faults)
                item = self.found.run(partial(convert, value[key], hints[key], f"{where} {key}"))
                if len(self.found.faults) == faults:
                    made[prefix + key] = item
                else:
                    self.unsound.add(prefix + key)
        return made

    def _unknown(self, key: str, known: list[str], where: str) -> None:
        what, hint = "unknown key", "see the example configurations for all keys"
        if key in UNSUPPORTED:
            what, hint = f"unknown key, {UNSUPPORTED[key]}", "leave it out"
        elif meant := RENAMED.get(key) or near(key, known):
            self.unsound.add(meant)
            hint = f"did you mean {meant}?"
        elif meant := near(key, typing.get_type_hints(ProvenanceConfig), 0.8):
            self.unsound.add(f"{_BLOCK}.{meant}")
            hint = f"did you mean provenance.{meant}?"
        self.found.add([ConfigError(what, where=f"{where} {key[:80]}", hint=hint)])


def _missing(kind: type[Any], value: Mapping[str, Any]) -> Iterator[str]:
    for item in dataclasses.fields(kind):
        has_default = (item.default, item.default_factory) != (dataclasses.MISSING,) * 2
        if not has_default and item.name not in value:
            yield item.name
