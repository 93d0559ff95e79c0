"""The server that a command starts for itself.

It ends with its parent and at a signal, refuses what its memory cannot hold, and is told apart from
other programs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import ConfigError, InputError, RejectedError, UnavailableError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.connection import Connection, Endpoint
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer, RunningServer
from provenance_zk.training.jobs import tree_jobs
from provenance_zk.weights.commit import commit_weights
from provenance_zk.weights.jobs import QuantizedBlocks, StoredTensor, quantize_job
from provenance_zk.workers.jobs import Job
from tests.support.zk.proofs import prove


def with_wrong_key(key: KeyFolder) -> list[Job]:
    """The proof of a tree of one leaf under a key of another kind."""
    return tree_jobs(key, DatasetRoot(1, 5, 1), np.zeros((1, 32), np.uint8), (1, 2))


def test_a_request_beyond_the_memory_is_refused_before_it_starts(
    prover: ZkProver, epoch_key: KeyFolder
) -> None:
    with ChildServer(prover.binary, memory_bytes=65 << 20) as server:
        with pytest.raises(ConfigError, match="memory predicted") as refused:
            prove(ZkProver(prover.binary, server=server), with_wrong_key(epoch_key))
        assert refused.value.expected == str(65 << 20)
        connection = Connection(server.endpoint(), 30)
        assert connection.call("stats", {})[1]["keyLoads"] == 0
        connection.close()


def test_requests_are_refused_as_by_the_program(prover: ZkProver, epoch_key: KeyFolder) -> None:
    with ChildServer(prover.binary) as server:
        served = ZkProver(prover.binary, server=server)
        with pytest.raises(InputError, match="kind of key"):
            prove(served, with_wrong_key(epoch_key))
        with pytest.raises(InputError):
            served.request("inspect", {"words": str(epoch_key.dir / "nothing")})
        request = {"words": str(epoch_key.words_file)}
        assert served.request("inspect", request) == prover.request("inspect", request)


def test_a_key_is_read_once_for_all_tensors(
    prover: ZkProver, key_cache: Path, tmp_path: Path
) -> None:
    values = np.random.default_rng(3).normal(size=(2, 64)).astype(np.float16).astype(np.float32)
    bits = bfloat16.round_float32(values)
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    with SafetensorsWriter(tmp_path / "model", dict.fromkeys("vw", ("BF16", bits.shape))) as writer:
        for name in "vw":
            writer.write(name, bits.astype("<u2").tobytes())
    deployed = quantize(exact, GGMLQuantizationType.Q8_0).reshape(-1, 34)
    key = ensure_keys(prover, key_cache, "q8_0", 2, 1)
    opened = [QuantizedBlocks((a, b), deployed[[a, b]].tobytes()) for a, b in ((1, 0), (2, 3))]
    with ChildServer(prover.binary) as server:
        served = ZkProver(prover.binary, server=server)
        [_, w] = commit_weights(served, [tmp_path / "model"])
        proofs = [
            proof
            for name in "vw"
            for proof in prove(
                served,
                [
                    quantize_job(key, StoredTensor(tmp_path / "model", name), blocks, ())
                    for blocks in opened
                ],
            )
        ]
        assert all(
            is_valid_proof(key.words_file.read_bytes(), proof, 0) and proof.public[0] == w.root
            for proof in proofs
        )
        assert len(proofs) == 4
        blocks = QuantizedBlocks((2, 0), deployed[[1, 0]].tobytes())
        false = quantize_job(key, StoredTensor(tmp_path / "model", "v"), blocks, ())
        with pytest.raises(RejectedError, match="block 2, scale"):
            prove(served, [false])
        with closing(Connection(server.endpoint(), 30)) as connection:
            assert connection.call("stats", {})[1]["keyLoads"] == 1


@pytest.mark.parametrize(
    "command",
    [
        "setup",
        *(f"ceremony-{step}" for step in ("begin", "contribute", "accept", "seal", "verify")),
    ],
)
def test_keys_are_not_made_by_a_server(prover: ZkProver, tmp_path: Path, command: str) -> None:
    with ChildServer(prover.binary) as server:
        request = {
            "kind": "tree",
            "slots": 16,
            "depth": 2,
            "dir": str(tmp_path / "new"),
            "cache": str(tmp_path),
        }
        with closing(Connection(server.endpoint(), 30)) as connection:
            status, answer = connection.call(command, request)
        assert (status, answer["error"]["code"]) == (2, "bad_request")
        assert not list(tmp_path.iterdir())
        made = ZkProver(prover.binary, server=server).ceremony(
            "begin", kind="member", slots=1, depth=1, dir=tmp_path / "new"
        )
        assert made["kind"] == "member"  # the client starts a process for it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server(prover: ZkProver, number: signal.Signals) -> None:
    with ChildServer(prover.binary) as server:
        address = server.endpoint()
        assert server.process is not None
        assert server.process.stdout is not None
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
        assert json.loads(server.process.stdout.read()) == {"stopped": True}
        assert not Path(address.where).exists()


PARENT = """
import sys
from pathlib import Path
from provenance_zk.prover.server import ChildServer
server = ChildServer(Path(sys.argv[1]))
print(server.endpoint().where, server.process.pid, flush=True)
sys.stdin.read()
"""


def test_the_server_dies_with_its_parent(prover: ZkProver) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(prover.binary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    path, pid = parent.stdout.readline().decode().split()
    watched = os.pidfd_open(int(pid))  # names the process even after its number is free
    connection = Connection(Endpoint("unix", path), 60)
    parent.kill()
    parent.communicate()
    with pytest.raises(UnavailableError, match="went away"):
        connection._read()
    connection.close()
    assert select.select([watched], [], [], 60)[0]  # readable once it ended
    os.close(watched)


def test_a_server_that_cannot_start_is_unavailable(tmp_path: Path) -> None:
    program = tmp_path / "zkprover"
    program.write_text('#!/bin/sh\necho \'{"error": {"code": "internal"}}\'\n')
    program.chmod(0o700)
    with ChildServer(program) as server, pytest.raises(UnavailableError, match="did not start"):
        server.endpoint()
    with (
        ChildServer(tmp_path / "nothing") as server,
        pytest.raises(UnavailableError, match="cannot start"),
    ):
        server.endpoint()


def test_a_tcp_server_answers_only_clients_that_have_the_secret(
    prover: ZkProver, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    request = {"listen": "tcp:127.0.0.1:0", "secret": str(secret), "until_stdin_closes": True}
    with subprocess.Popen(
        [prover.binary, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode())
        process.stdin.flush()
        listening = json.loads(process.stdout.readline())["listening"]
        right = ZkProver(prover.binary, server=RunningServer(Endpoint.parse(listening, secret)))
        assert right.leaf_root(bytes(32), 1) == prover.leaf_root(bytes(32), 1)
        wrong = tmp_path / "wrong"
        wrong.write_bytes(os.urandom(32))
        stranger = RunningServer(Endpoint.parse(listening, wrong))
        with pytest.raises(InputError, match="wrong answer"):
            ZkProver(prover.binary, server=stranger).leaf_root(bytes(32), 1)
        process.stdin.close()


class Impostor:
    """Listens on a socket and sends what it is given to whoever connects."""

    def __init__(self, path: Path, *frames: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.endpoint = Endpoint("unix", str(path))
        self._thread = threading.Thread(target=self._serve, args=(frames,))
        self._thread.start()

    def _serve(self, frames: tuple[bytes, ...]) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for frame in frames:
                connection.sendall(frame)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def frame(value: object) -> bytes:
    data = json.dumps(value).encode()
    return struct.pack(">I", len(data)) + data


HELLO = frame({"protocol": "zkprover/1"})


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ((frame({"protocol": "other/1"}),), "not a prover of this version"),
        ((struct.pack(">I", 1 << 31),), "too large"),
        ((struct.pack(">I", 3) + b"abc",), "no JSON"),
        ((frame([]),), "no object"),
        ((HELLO,), "went away"),
        ((HELLO, struct.pack(">I", 100) + b"{"), "went away"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_unavailable(
    prover: ZkProver, tmp_path: Path, frames: tuple[bytes, ...], what: str
) -> None:
    impostor = Impostor(tmp_path / "s", *frames)
    with pytest.raises(UnavailableError, match=what):
        ZkProver(prover.binary, server=RunningServer(impostor.endpoint)).request("inspect", {})
    impostor.close()


def test_a_client_without_the_secret_that_a_server_asks_for_is_misconfigured(
    tmp_path: Path,
) -> None:
    impostor = Impostor(tmp_path / "s", frame({"protocol": "zkprover/1", "challenge": "00" * 32}))
    with pytest.raises(ConfigError, match="asks for a secret"):
        Connection(impostor.endpoint, 10)
    impostor.close()


@pytest.mark.parametrize(
    "text", ["", "unix", "unix:", "tcp:", "tcp:host", "tcp:host:port", "udp:h:1", "/path"]
)
def test_malformed_addresses_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Endpoint.parse(text, tmp_path)
