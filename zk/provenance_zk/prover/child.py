"""A child process that runs one command of `zkprover`.

It reads the request from stdin and writes the result to stdout, both JSON, and progress lines to
stderr. A child never outlives the call: it is killed on a timeout and on any exception, Ctrl-C
included.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.causes import cause_of
from provenance.encoding import parse_json
from provenance.errors import (
    ConfigError,
    InputError,
    ProvenanceError,
    RejectedError,
    UnavailableError,
)
from provenance.progress import Say

NAME = "zkprover"
_KEPT_LINES = 20
_ERRORS: dict[str, type[ProvenanceError]] = {
    "bad_request": InputError,
    "bad_file": InputError,
    "bad_key": InputError,
    "mismatch": RejectedError,
    "unproven": RejectedError,
    "too_large": ConfigError,
    "busy": UnavailableError,
    "cancelled": UnavailableError,
    "internal": UnavailableError,
}


def find_binary(configured: Path | None) -> Path:
    """The prover's program: the configured one, else the packaged one, else the working copy's.

    Args:
        configured: what the settings say (`Settings.zkprover`, from PROVENANCE_ZKPROVER). If it is
            set, no other program takes its place.

    Raises:
        UnavailableError: no executable file is there.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (
        [package / "bin" / NAME, package.parent / "prover" / "bin" / NAME]
        if configured is None
        else [configured]
    )
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise UnavailableError(
        "prover is not installed",
        where=str(candidates[0]),
        hint="run `make setup`, or set PROVENANCE_ZKPROVER to the program; verification can do "
        "without it (--slow)",
    )


@dataclass(frozen=True)
class Child:
    """Starts children: the program, and the time limit of one call."""

    binary: Path
    timeout_s: float

    def call(self, command: str, request: Mapping[str, Any], say: Say | None) -> dict[str, Any]:
        """Run one command; returns its result.

        Args:
            say: gets each progress line.

        Raises:
            UnavailableError: the program cannot run, was killed, took too long or failed by itself.
            InputError: it refuses the request, a file or a key.
            RejectedError: the statement is false.
            ConfigError: it would need more memory than its limit allows.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            status, lines = self._run(command, stdin.fileno(), stdout.fileno(), say)
            stdout.seek(0)
            output = stdout.read()
        return _result(command, status, output, lines)

    def _run(self, command: str, stdin: int, stdout: int, say: Say | None) -> tuple[int, list[str]]:
        """(exit status, last lines of stderr)."""
        try:
            child = subprocess.Popen(
                [str(self.binary), command], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise UnavailableError(
                "cannot start prover", where=str(self.binary), actual=cause_of(error)
            ) from error
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self.timeout_s, stop)
        timer.start()
        try:
            lines = _follow(child, say)
            status = child.wait()
        except BaseException:  # Ctrl-C, or `say` raised: the child must not outlive us
            child.kill()
            child.wait()
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise UnavailableError(
                "prover took too long and was stopped",
                where=command,
                expected=f"<= {self.timeout_s:g} s",
            )
        return status, lines


def _follow(child: subprocess.Popen[bytes], say: Say | None) -> list[str]:
    """Pass on the child's stderr until it ends; returns its last lines."""
    lines: list[str] = []
    if child.stderr is None:
        return lines
    with child.stderr:
        for raw in child.stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            lines = [*lines, line][-_KEPT_LINES:]
            if say is not None:
                say(line.removeprefix(f"{NAME}: "))
    return lines


def _result(command: str, status: int, output: bytes, lines: Sequence[str]) -> dict[str, Any]:
    try:
        result = parse_json(output)
    except ValueError:
        result = None
    return require_success(command, status, result, lines)


def require_success(
    command: str, status: int, result: Any, lines: Sequence[str] = ()
) -> dict[str, Any]:
    """The result of a command, unless it failed.

    Args:
        status: exit status of the command.
        result: what it wrote to stdout, parsed; None if that is not JSON.
        lines: the last lines of its stderr.

    Raises:
        ProvenanceError: the command failed; the class follows from the error's code.
    """
    if status in (0, 1) and isinstance(result, dict) and "error" not in result:
        return result
    if isinstance(result, dict) and isinstance(result.get("error"), dict):
        facts = result["error"]
        kind = _ERRORS.get(facts.get("code", ""), UnavailableError)
        raise kind(
            str(facts.get("what", "prover failed")),
            where=f"{NAME} {command}",
            expected=facts.get("expected"),
            actual=facts.get("actual"),
            hint=facts.get("hint"),
        )
    killed = status == -signal.SIGKILL
    raise UnavailableError(
        "prover was killed" if killed else "prover failed without a result",
        where=f"{NAME} {command}",
        actual=f"status {status}: {lines[-1] if lines else 'no message'}",
        hint="give it more memory, or a key with fewer slots" if killed else None,
    )
