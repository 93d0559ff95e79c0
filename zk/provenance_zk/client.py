"""Typed client of `zkprover`, the Go program that makes keys, commitments and proofs.

Each call starts one child: a JSON request on its stdin, a JSON result on its stdout, progress lines on its stderr. Secrets
(salts, blindings) reach it only in files of mode 0600 inside a folder of mode 0700 that is removed afterwards, never as
arguments. A child never outlives the call: it is killed on a timeout and on any exception, Ctrl-C included.

With the address of a running server (`provenance_zk.server`) the same requests go there, which reads each key once; on a
timeout and on any exception the connection is closed, which cancels the request.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.encoding import parse_json
from provenance.errors import ConfigError, InputError, ProvenanceError, RejectedError, UnavailableError
from provenance_zk.field import parse_element
from provenance_zk.inputs import blindings_bytes, challenge_fields, leaf_bytes, order_bytes, used_bytes
from provenance_zk.server import Connection, Server
from provenance_zk.statements import ProofFile, point_from_json

NAME = "zkprover"
DEFAULT_TIMEOUT_S = 3600.0
_KEPT_LINES = 20
_BUSY_S = 0.5
_ERRORS: dict[str, type[ProvenanceError]] = {
    "bad_request": InputError, "bad_file": InputError, "bad_key": InputError, "mismatch": RejectedError,
    "unproven": RejectedError, "too_large": ConfigError, "busy": UnavailableError, "cancelled": UnavailableError,
    "internal": UnavailableError,
}


def find_binary(explicit: Path | None = None) -> Path:
    """The prover to run: the one given, else the packaged one, else the one built in the working copy.

    Raises:
        UnavailableError: none of them is an executable file.
    """
    package = Path(__file__).resolve().parent
    candidates = [explicit] if explicit is not None else [package / "bin" / NAME, package.parent / "prover" / "bin" / NAME]
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise UnavailableError("prover is not installed", where=str(candidates[0]), hint="run `make setup`, or set "
                           "PROVENANCE_ZKPROVER to the program; verification can do without it (--slow)")


@dataclass(frozen=True)
class KeyInfo:
    """Facts of a key folder. `klass` is `dev` when one party ran the setup and could forge proofs."""

    dir: Path
    kind: str
    slots: int
    depth: int
    vk_id: bytes
    circuit: str
    klass: str
    constraints: int
    reused: bool


@dataclass(frozen=True)
class Commitments:
    """One 64-byte point per chunk, and the proof of knowledge of each (empty when recomputed from public bases)."""

    points: tuple[bytes, ...]
    poks: tuple[bytes, ...]
    slots: int
    vk_id: bytes


@dataclass(frozen=True)
class Verdict:
    ok: bool
    reason: str


class InputFolder:
    """Private files of one call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, data: bytes) -> str:
        path = self.path / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
        return str(path)

    def out(self, name: str) -> str:
        return str(self.path / name)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        """
        Raises:
            UnavailableError: the file is not there.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UnavailableError("prover wrote no result", where=name, actual=error.strerror) from error


@contextmanager
def input_folder() -> Iterator[InputFolder]:
    with tempfile.TemporaryDirectory(prefix="provenance-zk-") as path:  # mkdtemp makes it 0700
        yield InputFolder(Path(path))


class ZkProver:
    """Runs the prover. Every method raises UnavailableError when the program cannot run, is killed or takes too long,
    InputError for requests, files and keys it refuses, RejectedError when the statement is false.

    Args:
        binary: see `find_binary`.
        progress: gets each progress line of the child.
        timeout_s: limit of one call.
        server: where requests go, but for `setup`, which takes more memory than a server can predict.
    """

    def __init__(
        self, binary: Path, *, progress: Callable[[str], None] | None = None, timeout_s: float = DEFAULT_TIMEOUT_S,
        server: Server | None = None,
    ) -> None:
        self.binary = binary
        self.server = server
        self._progress = progress
        self._timeout_s = timeout_s
        self._connections: set[Connection] = set()

    # --- keys --------------------------------------------------------------------------------------------------------

    def setup(self, kind: str, slots: int, depth: int, cache: Path) -> KeyInfo:
        """Find the development key of a circuit in `cache`, or make it (40 s for 2^18 constraints on two cores)."""
        result = self._call("setup", {"kind": kind, "slots": slots, "depth": depth, "cache": str(cache)})
        return KeyInfo(Path(result["key"]), result["kind"], result["slots"], result["depth"], _word(result["vkId"]),
                       result["circuitDigest"], result["class"], result["constraints"], result["reused"])

    def inspect(self, words: Path) -> dict[str, Any]:
        """Header of a verifying key after it passed every check of a loader."""
        return self._call("inspect", {"words": str(words)})

    # --- dataset -----------------------------------------------------------------------------------------------------

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        """(leaves, root) of count*32 bytes of digests in strictly increasing order and count*31 bytes of salts."""
        with input_folder() as folder:
            request = {"digests": folder.write("digests", digests), "salts": folder.write("salts", salts),
                       "leaves_out": folder.out("leaves"), "depth": depth}
            result = self._call("dataset", request)
            return folder.read("leaves"), parse_element(result["root"], "root")

    def leaf_root(self, leaves: np.ndarray | bytes, depth: int) -> int:
        """Root over leaves: the fast root function of `CommittedDataset.check`."""
        with input_folder() as folder:
            result = self._call("leaf-root", {"leaves": folder.write("leaves", leaf_bytes(leaves)), "depth": depth})
            return parse_element(result["root"], "root")

    def order(self, seed: bytes, epoch: int, count: int) -> np.ndarray:
        """`provenance.order.epoch_order`, faster. Shape (count,), uint64."""
        with input_folder() as folder:
            self._call("order", {"seed": f"0x{seed.hex()}", "epoch": epoch, "count": count, "out": folder.out("order")})
            return np.frombuffer(folder.read("order"), dtype=">u8").astype(np.uint64)

    # --- commitments -------------------------------------------------------------------------------------------------

    def commit_values(self, key: Path, vector: str, values: np.ndarray | bytes, blindings: Sequence[int]) -> Commitments:
        """Commit to D (values are the leaves) or U (the leaves in fed order), one secret blinding per chunk."""
        if vector not in ("D", "U"):
            raise InputError("values are committed as D or U", actual=vector)
        data = leaf_bytes(values)
        with input_folder() as folder:
            return _commitments(self._call("commit", {
                "key": str(key), "vector": vector, "values": folder.write("values", data), "count": len(data) // 32,
                "blindings": folder.write("blindings", blindings_bytes(**{vector.lower(): blindings})),
            }))

    def commit_order(self, key: Path, order: np.ndarray | Sequence[int]) -> Commitments:
        """Commit to P, with proofs of knowledge."""
        with input_folder() as folder:
            return _commitments(self._call("commit", {
                "key": str(key), "vector": "P", "order": folder.write("order", order_bytes(order)), "count": len(order),
            }))

    def recompute_order(self, words: Path, bases: Path, order: np.ndarray | Sequence[int]) -> Commitments:
        """What a verifier does: P from the order alone, over bases held against the key. No proofs of knowledge."""
        with input_folder() as folder:
            return _commitments(self._call("commit", {
                "words": str(words), "bases": str(bases), "vector": "P", "count": len(order),
                "order": folder.write("order", order_bytes(order)),
            }))

    # --- proofs ------------------------------------------------------------------------------------------------------

    def prove_tree(
        self, key: Path, leaves: np.ndarray | bytes, depth: int, chunks: Sequence[int], challenge: tuple[int, int]
    ) -> list[ProofFile]:
        """One `tree` proof for each tree chunk number of `chunks`; challenge is (gamma, delta)."""
        data = leaf_bytes(leaves)
        with input_folder() as folder:
            shared = {"key": str(key), "leaves": folder.write("leaves", data), "count": len(data) // 32, "depth": depth}
            return self._prove("prove-tree", folder, shared, "k", chunks, challenge)

    def prove_link(
        self, key: Path, leaves: np.ndarray | bytes, d_blindings: Sequence[int], chunks: Sequence[int],
        challenge: tuple[int, int],
    ) -> list[ProofFile]:
        """One link proof (an `epoch` proof in leaf order with U at infinity) for each of `chunks`."""
        data = leaf_bytes(leaves)
        with input_folder() as folder:
            shared = {"key": str(key), "leaves": folder.write("leaves", data), "count": len(data) // 32,
                      "blindings": folder.write("blindings", blindings_bytes(d=d_blindings))}
            return self._prove("prove-link", folder, shared, "chunk", chunks, challenge)

    def prove_epoch(
        self, key: Path, leaves: np.ndarray, order: np.ndarray | Sequence[int],
        blindings: tuple[Sequence[int], Sequence[int]], chunks: Sequence[int], challenge: tuple[int, int],
    ) -> list[ProofFile]:
        """One `epoch` proof for each of `chunks`; `blindings` are those of D and of U, one per chunk of the epoch."""
        used = used_bytes(leaves, order)
        with input_folder() as folder:
            shared = {
                "key": str(key), "leaves": folder.write("leaves", leaf_bytes(leaves)), "used": folder.write("used", used),
                "order": folder.write("order", order_bytes(order)), "count": len(leaves),
                "blindings": folder.write("blindings", blindings_bytes(d=blindings[0], u=blindings[1])),
            }
            return self._prove("prove-epoch", folder, shared, "chunk", chunks, challenge)

    def verify(self, words: Path, proofs: Sequence[ProofFile], mask: int) -> list[Verdict]:
        """What the prover's verifier says of each proof; malformed ones are false. Never an empty list."""
        with input_folder() as folder:
            paths = [folder.write(f"proof-{i}", proof.to_bytes()) for i, proof in enumerate(proofs)]
            result = self._call("verify", {"words": str(words), "proofs": paths, "mask": mask})
        verdicts = [Verdict(entry["ok"] is True, entry.get("reason", "")) for entry in result["results"]]
        if len(verdicts) != len(proofs) or result["ok"] is not all(verdict.ok for verdict in verdicts):
            raise UnavailableError("prover contradicts itself", where="verify")
        return verdicts

    def products(
        self, challenge: tuple[int, int], count: int, *, leaves: np.ndarray | bytes | None = None,
        used: np.ndarray | bytes | None = None, order: np.ndarray | None = None, slots: int = 0, tree_slots: int = 0,
    ) -> dict[str, list[int]]:
        """Accumulators per chunk: `a` of leaves and order, `b` of used leaves, `t` and `z` of tree chunks."""
        with input_folder() as folder:
            request: dict[str, Any] = {"count": count, "slots": slots, "treeSlots": tree_slots, **challenge_fields(challenge)}
            for name, data in (("leaves", leaves), ("used", used)):
                if data is not None:
                    request[name] = folder.write(name, leaf_bytes(data))
            if order is not None:
                request["order"] = folder.write("order", order_bytes(order))
            result = self._call("products", request)
        return {name: [parse_element(word, name) for word in words] for name, words in result.items()}

    def _prove(self, command: str, folder: InputFolder, shared: Mapping[str, Any], name: str, chunks: Sequence[int],
               challenge: tuple[int, int]) -> list[ProofFile]:
        jobs = [{name: chunk, "out": folder.out(f"proof-{chunk}")} for chunk in chunks]
        if not jobs:
            raise InputError("no chunks to prove")
        self._call(command, {**shared, **challenge_fields(challenge), "jobs": jobs})
        return [ProofFile.parse(folder.read(f"proof-{chunk}")) for chunk in chunks]

    # --- the child ---------------------------------------------------------------------------------------------------

    def run(self, command: str, request: Mapping[str, Any], progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Any command; `progress` gets its lines in the place of the prover's own."""
        return self._call(command, request, progress or self._progress)

    def interrupt(self) -> None:
        """Cut the connections of requests under way, in other threads: they fail as if the server had gone."""
        for connection in list(self._connections):
            connection.interrupt()

    def _call(self, command: str, request: Mapping[str, Any], progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        if self.server is not None and command != "setup":
            return self._ask(self.server, command, request, progress or self._progress)
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            status, lines = self._run(command, stdin.fileno(), stdout.fileno(), progress or self._progress)
            stdout.seek(0)
            output = stdout.read()
        return _result(command, status, output, lines)

    def _ask(self, server: Server, command: str, request: Mapping[str, Any], progress: Callable[[str], None] | None) -> dict[str, Any]:
        """Ask until the server has room or the time is over."""
        end = time.monotonic() + self._timeout_s
        while True:
            status, result = self._ask_once(server, command, request, progress)
            if result.get("error", {}).get("code") != "busy" or time.monotonic() > end:
                return check_result(command, status, result, [])
            time.sleep(_BUSY_S)

    def _ask_once(self, server: Server, command: str, request: Mapping[str, Any],
                  progress: Callable[[str], None] | None) -> tuple[int, dict[str, Any]]:
        with closing(Connection(server.address(), self._timeout_s)) as connection:
            self._connections.add(connection)
            try:
                return connection.call(command, request, progress)
            finally:
                self._connections.discard(connection)

    def _run(self, command: str, stdin: int, stdout: int, progress: Callable[[str], None] | None) -> tuple[int, list[str]]:
        """(exit status, last lines of stderr)."""
        try:
            child = subprocess.Popen([str(self.binary), command], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
        except OSError as error:
            raise UnavailableError("cannot start prover", where=str(self.binary), actual=error.strerror) from error
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self._timeout_s, stop)
        timer.start()
        try:
            lines = _follow(child, progress)
            status = child.wait()
        except BaseException:  # Ctrl-C, or a progress callback that raised: the child must not outlive us
            child.kill()
            child.wait()
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise UnavailableError("prover took too long and was stopped", where=command, expected=f"<= {self._timeout_s:g} s")
        return status, lines


def _follow(child: subprocess.Popen[bytes], progress: Callable[[str], None] | None) -> list[str]:
    lines: list[str] = []
    if child.stderr is None:
        return lines
    with child.stderr:
        for raw in child.stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            lines = [*lines, line][-_KEPT_LINES:]
            if progress is not None:
                progress(line.removeprefix(f"{NAME}: "))
    return lines


def _result(command: str, status: int, output: bytes, lines: Sequence[str]) -> dict[str, Any]:
    try:
        result = parse_json(output)
    except ValueError:
        result = None
    return check_result(command, status, result, lines)


def check_result(command: str, status: int, result: Any, lines: Sequence[str]) -> dict[str, Any]:
    """The result of a command that succeeded.

    Raises:
        ProvenanceError: as the command's error says.
    """
    if status in (0, 1) and isinstance(result, dict) and "error" not in result:
        return result
    if isinstance(result, dict) and isinstance(result.get("error"), dict):
        facts = result["error"]
        kind = _ERRORS.get(facts.get("code", ""), UnavailableError)
        raise kind(str(facts.get("what", "prover failed")), where=f"{NAME} {command}", expected=facts.get("expected"),
                   actual=facts.get("actual"), hint=facts.get("hint"))
    killed = status == -signal.SIGKILL
    raise UnavailableError(
        "prover was killed" if killed else "prover failed without a result", where=f"{NAME} {command}",
        actual=f"status {status}: {lines[-1] if lines else 'no message'}",
        hint="give it more memory, or a key with fewer slots" if killed else None,
    )


def _word(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _commitments(result: Mapping[str, Any]) -> Commitments:
    points = tuple(point_from_json(point, "point") for point in result["points"])
    poks = tuple(point_from_json(point, "pok") for point in result.get("poks") or ())
    return Commitments(points, poks, result["slots"], _word(result["vkId"]))
