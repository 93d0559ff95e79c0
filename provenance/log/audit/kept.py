"""Attestations kept beside a run's log: `attestations.jsonl` (docs/formats/attestations.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from provenance.causes import cause_of
from provenance.digest import open_regular
from provenance.encoding import parse_json
from provenance.errors import InputError, OutputError
from provenance.layout import append_line
from provenance.log.audit.attestation import Attestation

MAX_ATTESTATIONS_BYTES = 4 << 20
_LEAST_LINE_BYTES = 300  # none is shorter; a file of empty lines costs nothing


def to_line(attestation: Attestation) -> bytes:
    """JSON and a newline. Law: `list(parse_lines(to_line(a))) == [a]`."""
    text = json.dumps(attestation.to_json(), sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def parse_line(line: bytes) -> Attestation:
    """Read one line (attacker-controlled).

    Raises:
        InputError: malformed.
    """
    try:
        value = parse_json(line)
    except ValueError as error:
        raise InputError("not an attestation", actual=repr(line[:80])) from error
    return Attestation.read(value)


def parse_lines(data: bytes) -> Iterator[Attestation]:
    """The lines of a file (attacker-controlled) that can be read, in their order.

    Others are left out, for whoever adds one must not take the others away.
    """
    for line in data.split(b"\n"):
        if len(line) >= _LEAST_LINE_BYTES:
            with suppress(InputError):
                yield parse_line(line)


def read_lines(path: Path) -> Iterator[tuple[int, Attestation | InputError]]:
    """Each line of a file (attacker-controlled) with its number from 1, or what is wrong with it.

    Raises:
        InputError: larger than `MAX_ATTESTATIONS_BYTES`, cannot be read, a link, or not a regular
            file.
    """
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_ATTESTATIONS_BYTES + 1)
    except OSError as error:
        raise InputError(
            "cannot read attestations", where=str(path), actual=cause_of(error, path)
        ) from error
    if len(data) > MAX_ATTESTATIONS_BYTES:
        raise InputError(
            "file of attestations is too large",
            where=str(path),
            expected=f"<= {MAX_ATTESTATIONS_BYTES} bytes",
        )
    for number, line in enumerate(data.split(b"\n"), 1):
        if line:
            try:
                yield number, parse_line(line)
            except InputError as error:
                yield number, error


def read_attestations(path: Path) -> list[Attestation]:
    """Every line of a file (attacker-controlled).

    Raises:
        InputError: one is malformed, there is none, or as `read_lines`.
    """
    found = []
    for number, line in read_lines(path):
        if isinstance(line, InputError):
            line.where = f"{path} line {number}"
            raise line
        found.append(line)
    if not found:
        raise InputError("no attestation in file", where=str(path))
    return found


def keep(path: Path, attestation: Attestation) -> bool:
    """Add an attestation to a run's, unless it is there; durable on return.

    Returns:
        Whether it was added.

    Raises:
        InputError: what is there is too large, a link, or not a regular file.
        OutputError: the file cannot be written, or would be larger than a verifier reads.
    """
    line = to_line(attestation)
    try:
        there = b""
        if path.exists() or path.is_symlink():
            with open_regular(path) as stream:
                there = stream.read(MAX_ATTESTATIONS_BYTES + 1)
        # As bytes: what is equal in Python (1 and true) may be signed otherwise.
        if line.rstrip(b"\n") in there.split(b"\n"):
            return False
        if len(there) + len(line) > MAX_ATTESTATIONS_BYTES:
            raise OutputError(
                "file of attestations is full",
                where=str(path),
                expected=f"<= {MAX_ATTESTATIONS_BYTES} bytes",
                hint="move it away, and run the command again",
            )
        last = there.rpartition(b"\n")[2]
        if last:  # not a crash, which leaves part of a line, but an editor
            with suppress(InputError):
                parse_line(last)
                append_line(path, last + b"\n")
        append_line(path, line)
    except OSError as error:
        raise OutputError(
            "cannot keep an attestation", where=str(path), actual=cause_of(error, path)
        ) from error
    return True
