"""Requests to a running `zkprover serve`.

Somebody else started the server, or it is a child of this process.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from provenance.causes import cause_of
from provenance.encoding import parse_json
from provenance.errors import UnavailableError
from provenance.progress import Say
from provenance_zk.prover.child import require_success
from provenance_zk.prover.connection import Connection, Endpoint

_STOP_S = 10.0
_BUSY_S = 0.5


class Server(Protocol):
    """Where requests go."""

    def endpoint(self) -> Endpoint:
        """Where the server listens now.

        Raises:
            UnavailableError: no server runs, and none can be started.
        """


@dataclass(frozen=True)
class RunningServer:
    """A server that somebody else started and looks after."""

    where: Endpoint

    def endpoint(self) -> Endpoint:
        """Where it listens; does not check that it answers."""
        return self.where


class Requests:
    """Sends requests to a server, each on a connection of its own.

    A timeout or any exception closes the connection, and that cancels its request.

    Args:
        timeout_s: limit of one try; when the server was busy for so long, it is not asked again.
    """

    def __init__(self, server: Server, timeout_s: float) -> None:
        self._server, self._timeout_s = server, timeout_s
        self._connections: set[Connection] = set()

    def call(self, command: str, request: Mapping[str, Any], say: Say | None) -> dict[str, Any]:
        """Run one command; returns its result. Asks again while the server is busy.

        Raises:
            ProvenanceError: as `provenance_zk.prover.child.Child.call`.
        """
        end = time.monotonic() + self._timeout_s
        while True:
            status, result = self._ask(command, request, say)
            if result.get("error", {}).get("code") != "busy" or time.monotonic() > end:
                return require_success(command, status, result)
            time.sleep(_BUSY_S)

    def interrupt(self) -> None:
        """Make requests of other threads fail with UnavailableError."""
        for connection in list(self._connections):
            connection.interrupt()

    def _ask(
        self, command: str, request: Mapping[str, Any], say: Say | None
    ) -> tuple[int, dict[str, Any]]:
        with closing(Connection(self._server.endpoint(), self._timeout_s)) as connection:
            self._connections.add(connection)
            try:
                return connection.call(command, request, say)
            finally:
                self._connections.discard(connection)


class ChildServer:
    """A server that is a child of this process, on a socket in a private folder.

    It starts on first use, and again after it died. `close` ends it, even in the middle of a
    request. It ends by itself when this process dies.

    Args:
        binary: the prover's program.
        limits: fields of the request `serve` (docs/formats/prover.md).
    """

    def __init__(self, binary: Path, **limits: int) -> None:
        self._binary, self._limits = binary, limits
        self._guard = threading.Lock()
        # mkdtemp makes it 0700.
        self._folder = tempfile.TemporaryDirectory(prefix="provenance-prover-")
        self._process: subprocess.Popen[bytes] | None = None
        self._endpoint = Endpoint("unix", f"{self._folder.name}/socket")

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's process; None before its first use."""
        return self._process

    def endpoint(self) -> Endpoint:
        """The socket of a server that runs.

        Raises:
            UnavailableError: the server does not start.
        """
        with self._guard:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._endpoint

    def _start(self) -> None:
        if self._process is not None:
            _end(self._process)
        request = {"listen": str(self._endpoint), "until_stdin_closes": True, **self._limits}
        try:
            self._process = subprocess.Popen(
                [str(self._binary), "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise UnavailableError(
                "cannot start prover", where=str(self._binary), actual=cause_of(error)
            ) from error
        try:
            _require_listening(self._process, request)
        except BaseException:
            _end(self._process)
            raise

    def close(self) -> None:
        """End the server and remove its folder."""
        with self._guard:
            if self._process is not None:
                _end(self._process)
            self._folder.cleanup()

    def __enter__(self) -> ChildServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require_listening(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    if process.stdin is None or process.stdout is None:
        raise UnavailableError("prover has no pipes", where="zkprover serve")
    with suppress(BrokenPipeError):  # it died at once: its output, read below, says why
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    line = process.stdout.readline()
    try:
        listens = "listening" in parse_json(line)
    except (ValueError, TypeError):
        listens = False
    if not listens:
        raise UnavailableError(
            "prover did not start",
            where="zkprover serve",
            actual=line.decode("utf-8", "replace").strip(),
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the server's stdin, which ends it; kill it if it hangs."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
