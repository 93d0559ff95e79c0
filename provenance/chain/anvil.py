"""The embedded chain: a local anvil whose state outlives restarts.

For development only: its operator makes every block.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from provenance.causes import cause_of
from provenance.chain.genesis import first_time
from provenance.chain.rpc import Rpc
from provenance.errors import (
    ConfigError,
    InputError,
    OutputError,
    ProvenanceError,
    UnavailableError,
)
from provenance.ids import from_hex
from provenance.layout import write_json

CHAIN_ID = 31337
START_TIMEOUT_S = 30.0
# Blocks mined after a start. `finalized` is two blocks behind, and must name a block whose state
# this process has.
WARM_UP_BLOCKS = 3
# The shell becomes anvil once it is told to, and ends if whoever started it ends before that. Else
# no file would name it, and a second anvil would write to the same state.
_GATED = 'read -r go && exec "$@" < /dev/null'


@dataclass(frozen=True)
class ChainProcess:
    """A running embedded chain: process id, loopback port, start time of the process.

    The time is in clock ticks since boot. It tells this process from a later one with the same id.
    `is_ready` once its clock is set and it has made its first blocks.
    """

    pid: int
    port: int
    started: int
    is_ready: bool = True

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


def find_anvil(extra: Path | None = None) -> Path:
    """The anvil binary that the npm package `@foundry-rs/anvil` installed, or one on PATH.

    Raises:
        UnavailableError: neither is there.
    """
    roots = [extra] if extra else []
    roots += [Path(__file__).resolve().parents[2], Path.cwd()]
    for root in roots:
        for name in ("anvil-linux-amd64", "anvil-linux-arm64", "anvil-darwin-arm64"):
            binary = root / "node_modules" / "@foundry-rs" / name / "bin" / "anvil"
            if binary.is_file():
                return binary
    found = shutil.which("anvil")
    if found:
        return Path(found)
    raise UnavailableError(
        "anvil is not installed", hint="make setup (npm package @foundry-rs/anvil)"
    )


def _process_start(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot, None if it is gone.

    Source: proc(5), stat field 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else int(fields[19])


class EmbeddedChain:
    """One anvil below `folder`: `state.json` (chain), `process.json` (pid, port), `anvil.log`.

    Whoever starts it holds `lock` until it is ready, so that never two of them write one state.

    `genesis.json` holds the time of its first block.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process_file = folder / "process.json"

    def running(self) -> ChainProcess | None:
        """The process, None unless it runs now."""
        try:
            process = ChainProcess(**json.loads(self._process_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if _process_start(process.pid) == process.started else None

    def up(self, port: int = 0) -> ChainProcess:
        """Start the chain unless it runs; port 0 reuses the last port or picks a free one.

        Raises:
            UnavailableError: anvil is missing or did not answer within 30 s.
            ConfigError: the port is taken.
        """
        process = self.running()
        if process is not None and process.is_ready:
            return process
        self._make_folder()
        with self._lock():
            process = self.running() or self._start(port)
            return process if process.is_ready else self._make_ready(process)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Wait until nobody else starts this chain."""
        with (self.folder / "lock").open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _start(self, port: int) -> ChainProcess:
        port = port or self._last_port() or _free_port()
        if not _is_free(port):
            raise ConfigError(
                "port is taken", where=f"127.0.0.1:{port}", hint="choose another with --port"
            )
        first = first_time(self.folder)
        command = ["/bin/sh", "-c", _GATED, "sh", str(find_anvil()), *self._options(port, first)]
        with (self.folder / "anvil.log").open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        assert child.stdin is not None  # it was asked for
        with child.stdin as gate:
            process = self._recorded(child, port)
            gate.write(b"go\n")
        # It outlives this object by design; `down` ends and reaps it by its pid.
        child.returncode = 0
        return process

    def _recorded(self, child: subprocess.Popen[bytes], port: int) -> ChainProcess:
        """Write down which process it is, before it begins."""
        started = _process_start(child.pid)
        if started is None:
            raise UnavailableError(
                "anvil ended at once",
                where=str(self.folder / "anvil.log"),
                actual=self._last_words(),
            )
        process = ChainProcess(child.pid, port, started, is_ready=False)
        write_json(self._process_file, asdict(process))
        return process

    def _make_ready(self, process: ChainProcess) -> ChainProcess:
        """Set the clock and make the first blocks; also of a chain whose starter was killed."""
        self._await_answer(process)
        clock = int(self._ask("eth_getBlockByNumber", ["pending", False])["timestamp"], 16)
        self._ask("evm_increaseTime", [hex(max(0, int(time.time()) - clock))])
        self.mine(WARM_UP_BLOCKS)
        process = replace(process, is_ready=True)
        write_json(self._process_file, asdict(process))
        return process

    def _make_folder(self) -> None:
        """The folder, with room for the chain's state.

        Raises:
            OutputError: it cannot be written to.
        """
        log = self.folder / "anvil.log"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            log.open("ab").close()
        except OSError as error:
            raise OutputError(
                "cannot write the chain's folder", where=str(self.folder), actual=cause_of(error)
            ) from error

    def _options(self, port: int, first: int) -> list[str]:
        options = {
            "host": "127.0.0.1",
            "port": str(port),
            "chain-id": str(CHAIN_ID),
            "timestamp": str(first),
            "state": str(self.folder / "state.json"),
            "state-interval": "1",
            "slots-in-an-epoch": "1",
            "accounts": "1",
            "code-size-limit": "24576",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _await_answer(self, process: ChainProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        rpc = Rpc(process.url, timeout_s=2.0)
        while True:
            try:
                rpc.chain_id()
                return
            except ProvenanceError:
                is_gone = _process_start(process.pid) != process.started
                if is_gone or time.monotonic() > deadline:
                    raise UnavailableError(
                        "anvil did not start",
                        where=str(self.folder / "anvil.log"),
                        actual=self._last_words(),
                    ) from None
                time.sleep(0.05)

    def _last_words(self) -> str | None:
        """The last line of the log, which says why anvil ended."""
        lines = (self.folder / "anvil.log").read_text("utf-8", "replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), None)

    def down(self) -> bool:
        """Stop the chain after it saved its state; false if it did not run."""
        process = self.running()
        if process is None:
            return False
        os.kill(process.pid, signal.SIGINT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while _process_start(process.pid) == process.started:
            if time.monotonic() > deadline:
                raise UnavailableError("anvil does not stop", where=f"pid {process.pid}")
            _reap(process.pid)
            time.sleep(0.05)
        self._process_file.rename(self.folder / "last.json")
        return True

    def rpc(self) -> Rpc:
        """A connection to the running chain.

        Raises:
            UnavailableError: it does not run.
        """
        process = self.running()
        if process is None:
            raise UnavailableError(
                "embedded chain is down", where=str(self.folder), hint="provenance chain up"
            )
        return Rpc(process.url)

    def genesis(self) -> bytes:
        """Hash of the running chain's first block; no other chain has it."""
        return from_hex(self._ask("eth_getBlockByNumber", [hex(0), False])["hash"], 32)

    def mine(self, blocks: int) -> None:
        """Make so many empty blocks."""
        self._ask("anvil_mine", [hex(blocks)])

    def fund(self, address: str, wei: int = 10**24) -> None:
        """Give an account this balance."""
        self._ask("anvil_setBalance", [address, hex(wei)])

    def _ask(self, method: str, params: list[Any]) -> Any:
        """Ask once. A connection that stayed open would keep the port after `down`."""
        rpc = self.rpc()
        try:
            return rpc.request(method, params)
        finally:
            rpc.close()

    def _last_port(self) -> int | None:
        for name in ("process.json", "last.json"):
            try:
                port = int(json.loads((self.folder / name).read_text())["port"])
            except (OSError, ValueError, KeyError):
                continue
            if _is_free(port):
                return port
        return None


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by another process, which reaps it


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    if not 1 <= port <= 65535:
        raise InputError("no such port", expected="1..65535", actual=port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
