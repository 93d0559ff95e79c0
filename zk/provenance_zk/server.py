"""A running `zkprover serve`: its address, the connection of a client, and a server of one's own as a child.

A frame is a big-endian u32, the number of bytes that follow, and one JSON object. Frames hold paths and public values; the
files they name are read and written by the server, which must see the same file system.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from provenance.encoding import parse_json
from provenance.errors import ConfigError, UnavailableError

PROTOCOL = "zkprover/1"
MAX_FRAME_BYTES = (16 << 20) + 1024
_STOP_S = 10.0
_DOMAIN = b"provenance/v1/prover"


@dataclass(frozen=True)
class Address:
    """Where a server listens: `unix:PATH`, or `tcp:HOST:PORT` with the file of the shared secret."""

    network: str
    where: str
    secret: Path | None = None

    @classmethod
    def parse(cls, text: str, secret: Path | None = None) -> Address:
        """
        Raises:
            ConfigError: not an address.
        """
        network, _, where = text.partition(":")
        host, _, port = where.rpartition(":")
        if (network == "unix" and where) or (network == "tcp" and host and port.isdigit() and secret is not None):
            return cls(network, where, secret)
        raise ConfigError("not the address of a prover", where="PROVENANCE_PROVER", actual=text,
                          expected="unix:PATH, or tcp:HOST:PORT with PROVENANCE_PROVER_SECRET naming the secret's file")

    def __str__(self) -> str:
        return f"{self.network}:{self.where}"


class Connection:
    """One connection; requests are answered one after the other. Closing it cancels the request under way.

    Args:
        timeout_s: limit of one request, waiting in the server's queue included.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._timeout_s, self._next = address, timeout_s, 0
        try:
            self._socket = _connect(address, timeout_s)
        except OSError as error:
            raise UnavailableError("cannot reach prover", where=str(address), actual=error.strerror or error,
                                   hint="start `zkprover serve`, or unset PROVENANCE_PROVER") from error
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        hello = self._read()
        if hello.get("protocol") != PROTOCOL:
            raise UnavailableError("not a prover of this version", where=str(self._address), expected=PROTOCOL,
                                   actual=hello.get("protocol"))
        if "challenge" in hello:
            if self._address.secret is None:
                raise ConfigError("prover asks for a secret", where=str(self._address), hint="set PROVENANCE_PROVER_SECRET")
            message = _DOMAIN + bytes.fromhex(hello["challenge"])
            self._send({"answer": hmac.new(self._address.secret.read_bytes(), message, hashlib.sha256).hexdigest()})

    def call(self, command: str, request: Mapping[str, Any], progress: Callable[[str], None] | None = None) -> tuple[int, dict[str, Any]]:
        """(status, result) as a process of its own would end, errors as `{"error": {..}}`.

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
            if progress is not None and "progress" in frame:
                progress(frame["progress"])

    def close(self) -> None:
        self._socket.close()

    def interrupt(self) -> None:
        """Let a `call` in another thread end with UnavailableError."""
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
            raise UnavailableError("prover sent a frame that is too large", where=str(self._address), actual=size)
        try:
            value = parse_json(self._receive(size))
        except ValueError as error:
            raise UnavailableError("prover sent no JSON", where=str(self._address)) from error
        if not isinstance(value, dict):
            raise UnavailableError("prover sent no object", where=str(self._address))
        return value

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError as error:
                raise UnavailableError("prover took too long; the request is cancelled", where=str(self._address),
                                       expected=f"<= {self._timeout_s:g} s") from error
            except OSError as error:
                raise self._gone(error) from error
            if not part:
                raise self._gone(None)
            data += part
        return bytes(data)

    def _gone(self, error: OSError | None) -> UnavailableError:
        return UnavailableError("prover went away before it answered", where=str(self._address),
                                actual=error.strerror if error else "connection closed",
                                hint="if it was killed for its memory, give it more, or use a key with fewer slots")


def _connect(address: Address, timeout_s: float) -> socket.socket:
    if address.network == "tcp":
        host, _, port = address.where.rpartition(":")
        return socket.create_connection((host, int(port)), timeout_s)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address.where)
    except BaseException:
        connection.close()
        raise
    return connection


class Server(Protocol):
    """Where requests go."""

    def address(self) -> Address:
        """An address that should answer now.

        Raises:
            UnavailableError: there is none.
        """


@dataclass(frozen=True)
class RunningServer:
    """A server that somebody else started and watches."""

    where: Address

    def address(self) -> Address:
        return self.where


class ChildServer:
    """A server of one's own, on a socket in a private folder; started on first use, and again after it died.

    It ends on `close`, with whatever it was doing, and by itself when this process dies.

    Args:
        limits: fields of the request of `serve` (docs/formats/prover.md).
    """

    def __init__(self, binary: Path, **limits: int) -> None:
        self._binary, self._limits = binary, limits
        self._guard = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="provenance-prover-")  # mkdtemp makes it 0700
        self._process: subprocess.Popen[bytes] | None = None
        self._address = Address("unix", f"{self._folder.name}/socket")

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._process

    def address(self) -> Address:
        with self._guard:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._address

    def _start(self) -> None:
        if self._process is not None:
            _end(self._process)
        request = {"listen": str(self._address), "until_stdin_closes": True, **self._limits}
        try:
            self._process = subprocess.Popen([str(self._binary), "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.DEVNULL)
        except OSError as error:
            raise UnavailableError("cannot start prover", where=str(self._binary), actual=error.strerror) from error
        try:
            _require_listening(self._process, request)
        except BaseException:
            _end(self._process)
            raise

    def close(self) -> None:
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
    with suppress(BrokenPipeError):  # it died at once: what it wrote says why
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    line = process.stdout.readline()
    try:
        listens = "listening" in parse_json(line)
    except (ValueError, TypeError):
        listens = False
    if not listens:
        raise UnavailableError("prover did not start", where="zkprover serve", actual=line.decode("utf-8", "replace").strip())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Closing its stdin ends it; one that hangs is killed."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
