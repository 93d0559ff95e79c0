"""A geth node, the second EVM of the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provenance.chain.rpc import Rpc
from provenance.errors import ProvenanceError

GETH = os.environ.get("PROVENANCE_TEST_GETH") or shutil.which("geth")


@contextmanager
def geth_node(folder: Path) -> Iterator[Rpc]:
    """A node that makes blocks all the time, with its files in a folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(GETH),
        "--dev",
        "--dev.period",
        "0",
        "--datadir",
        str(folder / "geth"),
        "--http",
        "--http.port",
        str(port),
        "--http.api",
        "eth,web3,net",
        "--ipcdisable",
        "--nodiscover",
        "--maxpeers",
        "0",
        "--authrpc.port",
        "0",
        "--port",
        "0",
    ]
    log = (folder / "geth.log").open("wb")
    with log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as node:
        rpc = Rpc(f"http://127.0.0.1:{port}", timeout_s=10)
        for _ in range(600):
            try:
                rpc.chain_id()
                break
            except ProvenanceError:
                assert node.poll() is None, (folder / "geth.log").read_text()
                time.sleep(0.1)
        stop = threading.Event()
        pump = threading.Thread(target=keep_busy, args=(rpc.url, stop))
        pump.start()
        yield rpc
        stop.set()
        pump.join()
        node.terminate()
        node.wait(30)


def keep_busy(url: str, stop: threading.Event) -> None:
    """Send transactions, since the node makes a block for each and finalizes every 32 blocks."""
    rpc = Rpc(url, timeout_s=10)
    (dev,) = rpc.request("eth_accounts")
    while not stop.wait(0.05):
        rpc.request("eth_sendTransaction", [{"from": dev, "to": dev, "value": "0x0"}])
