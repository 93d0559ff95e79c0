"""`provenance` as a process of its own that is forked from one which has loaded the libraries.

Loading them takes longer than most commands. It is the same code with the same arguments,
environment, folder and streams, in a session and a process group of its own. The README's main job
runs the installed program itself (`tests/docs/main_job.py`).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.support.places import REPO

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [b"1"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    answer = server.makefile("r").readlines()
    sys.exit(int(answer[1]) if len(answer) > 1 else 70)
"""


class Command:
    """A running command: `pid` is its process, and the group of whatever it starts.

    out, err: what it printed, once `wait` has returned.
    """

    def __init__(self, path: Path, arguments: list[str], folder: Path, env: dict[str, str]) -> None:
        self._streams = [TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115  closed by `wait`
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        with open(os.devnull, "rb") as nothing:
            files = [nothing.fileno(), *(stream.fileno() for stream in self._streams)]
            socket.send_fds(self._socket, [b"1"], files)
        self._socket.sendall(json.dumps([arguments, str(folder), env]).encode())
        self._socket.shutdown(socket.SHUT_WR)
        self._answer = self._socket.makefile("r")
        self.pid = int(self._answer.readline())
        self.out = self.err = ""

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, None if something killed it.

        Raises:
            TimeoutError: it runs for so long.
        """
        self._socket.settimeout(timeout_s)
        code = self._answer.readline()
        self.out, self.err = map(_text, self._streams)
        self._socket.close()
        return int(code) if code else None

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        return False  # an exit code, or the end of its socket

    def kill(self) -> None:
        """Kill it with whatever it started."""
        os.killpg(self.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Warm:
    """A process that forks commands; clients find it at the socket `path`."""

    path: Path

    def start(self, *arguments: object, folder: Path, env: Mapping[str, str]) -> Command:
        """Start `provenance ARGUMENTS` in a folder, with exactly this environment."""
        return Command(self.path, list(map(str, arguments)), folder, dict(env))


@contextmanager
def warm(env: Mapping[str, str], folder: Path) -> Iterator[Warm]:
    """A process that has loaded the libraries, while the context lasts.

    Args:
        env: its environment; commands have their own.
        folder: where its socket will be.
    """
    path = folder / "socket"
    command = [sys.executable, "-m", "tests.support.processes.warm", path]
    server = subprocess.Popen(command, env=env, cwd=REPO)
    try:
        while not path.exists():
            assert server.poll() is None, "the process that loads the libraries ended"
            time.sleep(0.05)
        yield Warm(path)
    finally:
        server.terminate()
        server.wait()


@contextmanager
def warm_commands(env: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """An environment whose `provenance` is forked from a loaded process while the context lasts.

    Args:
        folder: An empty one for the program and its socket.
    """
    program = folder / "provenance"
    with warm(env, folder) as server:
        program.write_text(CLIENT.format(python=sys.executable, path=str(server.path)))
        program.chmod(0o755)
        yield env | {"PATH": f"{folder}{os.pathsep}{env['PATH']}"}


def serve(path: str) -> None:
    """Fork a process for each client until terminated."""
    for library in ("peft", "transformers.trainer", "eth_account"):
        importlib.import_module(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(8)
    os.rename(f"{path}.new", path)  # so that whoever finds it can connect
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run(client)
        client.close()


def _run(client: socket.socket) -> None:
    """Be the command that the client asks for: tell the process id, later the exit code.

    Does not return. A command that is killed tells no code.
    """
    from provenance_cli.main import main

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    arguments, folder, environment = json.loads(client.makefile("rb").read())
    client.sendall(f"{os.getpid()}\n".encode())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["provenance", *arguments]
    code = 70
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        client.sendall(f"{code}\n".encode())
        os._exit(code)


def _text(stream: IO[str]) -> str:
    with stream:
        stream.seek(0)
        return stream.read()


if __name__ == "__main__":
    serve(sys.argv[1])
