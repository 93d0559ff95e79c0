"""`provenance` for the shells of tutorials: each command is forked from a process that has loaded
the libraries already. Loading them takes longer than most commands.

It is the same code with the same arguments, environment, folder and streams. The README's main job
runs the installed program itself (`main_job.py`).
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.documents import ROOT

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [b"1"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(8) or 70))
"""


@contextmanager
def warm_commands(env: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """An environment whose `provenance` is forked from a loaded process while the context lasts.

    Args:
        folder: An empty one for the program and its socket.
    """
    path, program = folder / "socket", folder / "provenance"
    program.write_text(CLIENT.format(python=sys.executable, path=str(path)))
    program.chmod(0o755)
    server = subprocess.Popen([sys.executable, "-m", "tests.docs.warm", path], env=env, cwd=ROOT)
    try:
        while not path.exists():
            assert server.poll() is None, "the process that loads the libraries ended"
            time.sleep(0.05)
        yield env | {"PATH": f"{folder}{os.pathsep}{env['PATH']}"}
    finally:
        server.terminate()
        server.wait()


def serve(path: str) -> None:
    """Fork a process for each client until terminated."""
    for library in ("peft", "transformers.trainer", "web3"):
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
    """Be the command that the client asks for. Does not return."""
    from provenance_cli.main import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    arguments, folder, environment = json.loads(client.makefile("rb").read())
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
        client.sendall(str(code).encode())
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
