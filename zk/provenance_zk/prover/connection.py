"""The connection of a client to a running `zkprover serve`.

A frame is the number of bytes that follow, as a big-endian u32, and then one JSON object. Frames
hold paths and public values. The server reads and writes the files that they name, so it must see
the same file system.

Source: docs/formats/prover.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.encoding import parse_json
from provenance.errors import ConfigError, UnavailableError
from provenance.progress import Say

PROTOCOL = "zkprover/1"
MAX_FRAME_BYTES = (16 << 20) + 1024
_DOMAIN = b"provenance/v1/prover"


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: `unix:PATH`, or `tcp:HOST:PORT` with the file of its secret."""

    network: str
    where: str
    secret: Path | None = None

    @classmethod
    def parse(cls, text: str, secret: Path | None = None) -> Endpoint:
        """Read what the settings say (PROVENANCE_PROVER, PROVENANCE_PROVER_SECRET).

        Raises:
            ConfigError: not an address, or a TCP address without a secret.
        """
        network, _, where = text.partition(":")
        host, _, port = where.rpartition(":")
        is_tcp = network == "tcp" and host and port.isdigit() and secret is not None
        if (network == "unix" and where) or is_tcp:
            return cls(network, where, secret)
        raise ConfigError(
            "not the address of a prover",
            where="PROVENANCE_PROVER",
            actual=text,
            expected="unix:PATH, or tcp:HOST:PORT with PROVENANCE_PROVER_SECRET naming the "
            "secret's file",
        )

    def __str__(self) -> str:
        return f"{self.network}:{self.where}"


class Connection:
    """One connection; the server answers its requests one after the other.

    Closing the connection cancels the request under way. What the server sends is checked: only
    bounded frames with one JSON object are accepted.

    Args:
        timeout_s: limit of one request, waiting in the server's queue included.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self._endpoint, self._timeout_s, self._next = endpoint, timeout_s, 0
        try:
            self._socket = _connect(endpoint, timeout_s)
        except OSError as error:
            raise UnavailableError(
                "cannot reach prover",
                where=str(endpoint),
                actual=error.strerror or error,
                hint="start `zkprover serve`, or unset PROVENANCE_PROVER",
            ) from error
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        hello = self._read()
        if hello.get("protocol") != PROTOCOL:
            raise UnavailableError(
                "not a prover of this version",
                where=str(self._endpoint),
                expected=PROTOCOL,
                actual=hello.get("protocol"),
            )
        if "challenge" in hello:
            if self._endpoint.secret is None:
                raise ConfigError(
                    "prover asks for a secret",
                    where=str(self._endpoint),
                    hint="set PROVENANCE_PROVER_SECRET",
                )
            message = _DOMAIN + bytes.fromhex(hello["challenge"])
            answer = hmac.new(self._endpoint.secret.read_bytes(), message, hashlib.sha256)
            self._send({"answer": answer.hexdigest()})

    def call(
        self,
        command: str,
        request: Mapping[str, Any],
        say: Say | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Send a request and wait for its answer.

        Returns:
            (status, result): exit status and result as a child process would give them; an error is
            a result `{"error": {..}}`.

        Raises:
            UnavailableError: the server went away or took too long; the request may be repeated.
        """
        self._next += 1
        number = str(self._next)
        self._send({"id": number, "command": command, "request": request})
        while True:
            frame = self._read()
            if "error" in frame:
                return int(frame.get("status", 2)), {"error": frame["error"]}
            if frame.get("id") == number and "result" in frame:
                return int(frame["status"]), frame["result"]
            if say is not None and "progress" in frame:
                say(frame["progress"])

    def close(self) -> None:
        """Close the connection; this cancels the request under way."""
        self._socket.close()

    def interrupt(self) -> None:
        """Make a `call` in another thread raise UnavailableError."""
        with suppress(OSError):  # closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def _send(self, value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode()
        try:
            self._socket.sendall(struct.pack(">I", len(data)) + data)
        except OSError as error:
            raise self._gone(error) from error

    def _read(self) -> dict[str, Any]:
        (size,) = struct.unpack(">I", self._receive(4))
        if size > MAX_FRAME_BYTES:
            raise UnavailableError(
                "prover sent a frame that is too large", where=str(self._endpoint), actual=size
            )
        try:
            value = parse_json(self._receive(size))
        except ValueError as error:
            raise UnavailableError("prover sent no JSON", where=str(self._endpoint)) from error
        if not isinstance(value, dict):
            raise UnavailableError("prover sent no object", where=str(self._endpoint))
        return value

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError as error:
                raise UnavailableError(
                    "prover took too long; the request is cancelled",
                    where=str(self._endpoint),
                    expected=f"<= {self._timeout_s:g} s",
                ) from error
            except OSError as error:
                raise self._gone(error) from error
            if not part:
                raise self._gone(None)
            data += part
        return bytes(data)

    def _gone(self, error: OSError | None) -> UnavailableError:
        return UnavailableError(
            "prover went away before it answered",
            where=str(self._endpoint),
            actual=error.strerror if error else "connection closed",
            hint="if it was killed for its memory, give it more, or use a key with fewer slots",
        )


def _connect(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    if endpoint.network == "tcp":
        host, _, port = endpoint.where.rpartition(":")
        return socket.create_connection((host, int(port)), timeout_s)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(endpoint.where)
    except BaseException:
        connection.close()
        raise
    return connection
