"""Names of executors, as the option `--executor` takes them."""

from __future__ import annotations

import re

from provenance.errors import ConfigError

RAY_HERE = "ray:local"
_LOCAL = re.compile(r"local(?::([1-9][0-9]{0,2}))?")
_RAY_THERE = re.compile(r"ray://[^\s/]+:[0-9]{1,5}")


def without_ray(error: ModuleNotFoundError) -> ConfigError:
    """What to say where Ray is asked for and cannot be imported."""
    return ConfigError(
        "Ray is not installed",
        where="--executor",
        actual=error.name,
        hint="pip install 'model-provenance[ray]'",
    )


def local_workers(name: str) -> int | None:
    """How many at a time `local:N` asks for.

    Returns:
        0 for `local`, which leaves the number to the machine; None for Ray.

    Raises:
        ConfigError: no such executor.
    """
    if match := _LOCAL.fullmatch(name):
        return int(match[1] or 0)
    if name == RAY_HERE or _RAY_THERE.fullmatch(name):
        return None
    raise ConfigError(
        "no such executor",
        where="--executor",
        expected="local, local:N with N from 1 to 999, ray:local or ray://HOST:PORT",
        actual=name,
    )
