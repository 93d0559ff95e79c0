"""The table of deployed formats.

A new format is one file with one object, one entry here, and one page in docs/formats/.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provenance.digest import open_regular
from provenance.errors import InputError
from provenance_trainer.formats.deployed import HEAD_BYTES, DeployedFormat
from provenance_trainer.formats.int8 import INT8
from provenance_trainer.formats.q8_0 import Q8_0


class Registry:
    """Formats by name and by file. If two formats would take a file, the first one does."""

    def __init__(self, formats: Iterable[DeployedFormat]) -> None:
        self._formats = {item.name: item for item in formats}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the formats as `quantize` records say them, in the registry's order."""
        return tuple(self._formats)

    def named(self, name: str) -> DeployedFormat:
        """The format that `quantize` records call `name`.

        Raises:
            InputError: there is none.
        """
        try:
            return self._formats[name]
        except KeyError:
            expected = " or ".join(self._formats)
            raise InputError(
                "no such format of deployed files", expected=expected, actual=name[:80]
            ) from None

    def of(self, file: Path) -> DeployedFormat | None:
        """The format of a file (attacker-controlled), by its first bytes or its name."""
        with open_regular(file) as stream:
            head = stream.read(HEAD_BYTES)
        return next((f for f in self._formats.values() if f.is_one(head, file.name)), None)


FORMATS = Registry((Q8_0, INT8))
