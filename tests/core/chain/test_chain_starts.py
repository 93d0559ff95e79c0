"""Starts of the embedded chain that are killed, or made at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from provenance.chain.anvil import WARM_UP_BLOCKS, EmbeddedChain

KILLED = """
import os, sys
from pathlib import Path
from provenance.chain import anvil
def killed(*_):
    os.kill(os.getpid(), 9)
write = anvil.write_json
def once(path, value):
    killed() if sys.argv[2] == "unrecorded" else write(path, value)
anvil.write_json = once
anvil.EmbeddedChain._await_answer = killed
anvil.EmbeddedChain(Path(sys.argv[1])).up()
"""


def processes_of(folder: Path) -> list[int]:
    """Ids of the processes that were started with this folder's state."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if str(folder / "state.json") in Path(f"/proc/{name}/cmdline").read_text():
                found.append(int(name))
    return found


@pytest.mark.parametrize("when", ["unrecorded", "recorded"])
def test_a_start_that_is_killed_leaves_no_chain_beside_the_next_one(
    tmp_path: Path, when: str
) -> None:
    """Two would write one state in turn, and the older one's blocks would be lost or come back."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while when == "unrecorded" and processes_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    chain = EmbeddedChain(tmp_path)
    try:
        process = chain.up()
        assert processes_of(tmp_path) == [process.pid]
        assert chain.rpc().block("latest").number == WARM_UP_BLOCKS
        assert abs(chain.rpc().block("latest").timestamp - time.time()) < 60
        assert chain.up() == process
    finally:
        chain.down()


def test_starts_at_the_same_time_start_one_chain(tmp_path: Path) -> None:
    chains = [EmbeddedChain(tmp_path) for _ in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            started = set(pool.map(lambda chain: chain.up(), chains))
        assert len(started) == len(processes_of(tmp_path)) == 1
    finally:
        chains[0].down()
