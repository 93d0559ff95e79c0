"""`GET /verify/<model_id>` of a verdict that the service has made before, over open connections.

Target: p99 <= 10 ms.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from common import ROOT, line
from million_run import MODEL, Made, Size, made

from provenance.chain.session import embedded
from provenance.digest import sha256

CONNECTIONS, SECONDS = 8, 8
SIZE = Size(records=4000, head=50, slots=256, tree=256)
SERVE = [sys.executable, "-c", "from provenance_cli.main import main; main()", "serve"]


def main(folder: Path = ROOT / "build" / "bench-service") -> None:
    run = made(folder, SIZE)
    try:
        with subprocess.Popen(
            [*SERVE, "--port", "0", "--evidence", str(run.run.root)],
            env=_environment(run),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                _measure(server.pid, server.stdout.readline().strip())
            finally:
                server.terminate()
    finally:
        embedded(run.settings).down()


def _environment(run: Made) -> dict[str, str]:
    return os.environ | {
        "PROVENANCE_HOME": str(run.settings.home),
        "PROVENANCE_TRUST": str(run.trust),
        "PROVENANCE_CACHE": str(run.settings.cache),
    }


def _measure(pid: int, url: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    asyncio.run(_ask(address, 0.1, 1))  # the verification itself
    before = _cpu_s(pid)
    found = sorted(x for one in asyncio.run(_ask(address, SECONDS, CONNECTIONS)) for x in one)
    cpu_ms = (_cpu_s(pid) - before) / len(found) * 1e3
    p50, p99 = (found[int(len(found) * share)] * 1e3 for share in (0.5, 0.99))
    inputs = (
        f"{CONNECTIONS} connections for {SECONDS} s, {len(found) / SECONDS:,.0f} requests/s, "
        f"median {p50:.1f} ms, {cpu_ms:.2f} ms of CPU each; the client on the same cores"
    )
    line("warm GET /verify/<model_id>, p99", p99, "ms", "<= 10", p99 <= 10, inputs)


async def _ask(address: tuple[str, int], seconds: float, connections: int) -> list[list[float]]:
    end = time.monotonic() + seconds
    return await asyncio.gather(*(_connection(address, end) for _ in range(connections)))


async def _connection(address: tuple[str, int], end: float) -> list[float]:
    """Seconds of each request on one connection, one after the other, at least one."""
    reader, writer = await asyncio.open_connection(*address)
    request = f"GET /verify/{sha256(MODEL)} HTTP/1.1\r\nHost: {address[0]}\r\n\r\n".encode()
    taken: list[float] = []
    while not taken or time.monotonic() < end:
        begin = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"error: the service answered {head[:40]!r}")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
        taken.append(time.perf_counter() - begin)
    writer.close()
    return taken


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
