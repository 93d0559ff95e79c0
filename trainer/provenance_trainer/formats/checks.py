"""Whether a base model can become a deployed format, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from provenance.errors import InputError, ProvenanceError
from provenance_trainer.formats.registry import FORMATS, Registry


def format_faults(name: str, base: Path, formats: Registry = FORMATS) -> Iterator[ProvenanceError]:
    """What keeps a base from being written as a format; each says which format works instead.

    Args:
        name: As `--format` takes it.
        base: Folder of the base model; links are followed.
    """
    try:
        form = formats.named(name)
    except InputError as error:
        yield error
        return
    found = list(form.faults(base))
    others = [other for other in formats.names if other != name] if found else []
    working = [other for other in others if not any(formats.named(other).faults(base))]
    for fault in found:
        if working:
            way_out = f"--format {working[0]} works"
            fault.hint = f"{fault.hint}, or {way_out}" if fault.hint else way_out
        yield fault
