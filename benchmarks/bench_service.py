"""`GET /verify/<model_id>` of a verdict that the service has made before, over open connections.

Target: p99 <= 10 ms. And the pages of the explorer for a long run: <= 100 ms each; and a push of
100,000 records to a service on the same cores: <= 30 s.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from common import ROOT, line, median
from fastapi import FastAPI
from fastapi.testclient import TestClient
from million_run import MODEL, Made, Size, made

from provenance.chain.session import embedded
from provenance.digest import sha256
from provenance.errors import UnavailableError
from provenance.ids import NO_ADDRESS, DatasetId, RunId, to_hex
from provenance.judgement.facts import CONTRACTS, Contract, RunFacts
from provenance.judgement.trust import Trust
from provenance.layout import RunFolder, write_json
from provenance.log.anchoring import SignedHead
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import Head, iterate_records
from provenance.merkle import Tree
from provenance.push.sending import send
from provenance.push.service import PushService
from provenance_api.app import create_app
from provenance_api.db import Database
from provenance_api.routes.push import push_routes
from provenance_api.state import AppState
from provenance_api.tenants.inbox import Inbox
from provenance_api.tenants.scan import Scan
from provenance_api.tenants.shelf import Shelf
from provenance_api.tenants.tokens import Tokens
from tests.support.service import serving

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


def explorer(records: int = 125_000, heads: int = 50) -> None:
    """Pages of a run of 125,000 records, each asked for alone. No chain answers meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = _synthetic(Path(name) / "run", records, heads)
        database = Database(f"sqlite:///{name}/index.sqlite")
        database.prepare()
        state = AppState(_trust(), b"", database, (folder.root,), _no_chain, _no_prover)
        begin = time.perf_counter()
        with TestClient(create_app(state)) as client:
            took = time.perf_counter() - begin
            line("index of a run", took, "s", "none", True, f"{records:,} records, {heads} heads")
            for path in _paths(records):
                _page(client, path)
        database.close()


RUN = to_hex(sha256(b"a run of the benchmark"))


def _paths(records: int) -> list[str]:
    run, middle = f"/runs/{RUN}", records // 2
    places = ("", "/records", f"/records?after={records - 60}", f"/records/{middle}", "/heads")
    return ["/", "/runs", *(run + place for place in places), f"/search?q={RUN}"]


def _page(client: TestClient, path: str) -> None:
    for kind in ("json", "html"):
        mark = "&" if "?" in path else "?"
        taken = []
        for _ in range(20):
            begin = time.perf_counter()
            answer = client.get(f"{path}{mark}format={kind}", follow_redirects=False)
            taken.append((time.perf_counter() - begin) * 1e3)
            assert answer.status_code in (200, 303), answer.text
        ms = median(taken)
        what = f"GET {path.replace(RUN, 'ID')} ({kind})"
        line(what, ms, "ms", "<= 100", ms <= 100, f"worst of 20: {max(taken):.1f} ms")


def _synthetic(root: Path, records: int, heads: int) -> RunFolder:
    folder, fields = RunFolder(root), {"epoch": 0, "micro": 0, "rank": 0}
    write_json(folder.info, {"run_id": RUN})
    tree, each = Tree(), records // heads
    journal = Journal.create(folder.journal, {"format": "provenance-journal/1"})
    lines = bytearray()
    for i in range(records):
        record = Record.make(
            "batch",
            **fields,
            step=i,
            positions=list(range(8 * i, 8 * i + 8)),
            tensors=str(sha256(i.to_bytes(8, "big"))),
            leaves=[to_hex(sha256(b"%d %d" % (i, j))) for j in range(8)],
        )
        journal.append(record.to_bytes())
        tree.append(record.entry)
        if (i + 1) % each == 0:
            head = Head(RunId.parse(RUN), i + 1, tree.root())
            lines += SignedHead(head, (i + 1) // each, bytes(65)).to_line()
    journal.barrier()
    journal.close()
    folder.heads.write_bytes(lines)
    return folder


def _trust() -> Trust:
    contracts = {name: Contract(NO_ADDRESS, to_hex(bytes(32))) for name in CONTRACTS}
    return Trust("local", 1, to_hex(bytes(32)), None, contracts, (), (), sha256(b""))


def _no_chain() -> NoReturn:
    raise UnavailableError("no chain is asked")


def _no_prover() -> NoReturn:
    raise UnavailableError("no proof is checked")


PUSHED, HEADS = 100_000, 40


def push() -> None:
    """A run of 100,000 records, pushed. What the chain has of it is given, and not asked."""
    with tempfile.TemporaryDirectory() as name:
        run = _synthetic(Path(name) / "run", PUSHED, HEADS)
        database = Database(f"sqlite:///{name}/service.sqlite")
        database.prepare()
        tokens = Tokens(database)
        facts = _facts_of(run)
        inbox = Inbox(Path(name) / "inbox", lambda _: facts, 1 << 40)
        scan = Scan(database, Shelf({}, several=False), 1e9, lambda _: 0)
        app = FastAPI()
        app.include_router(push_routes(inbox, tokens, scan, ["default"]))
        token = tokens.create("default", "benchmark", None, may_push=True)
        with serving(app) as url:
            _measure_push(run, PushService(url, RunId.parse(RUN), token))
        database.close()


def _facts_of(run: RunFolder) -> RunFacts:
    records: list[Record] = list(iterate_records(run.journal))
    return RunFacts(
        run_id=RunId.parse(RUN),
        owner=NO_ADDRESS,
        draw_block=1,
        seq=HEADS,
        size=len(records),
        root=Tree(record.entry for record in records).root(),
        preregistration=records[0].digest,
        dataset_id=DatasetId(bytes(32)),
        seed=bytes(32),
    )


def _measure_push(run: RunFolder, service: PushService) -> None:
    begin = time.perf_counter()
    sent = send(run, service)
    took = time.perf_counter() - begin
    size = f"{sent.records:,} records, {sent.bytes / 1e6:.0f} MB; client and service on the cores"
    line("push of a run", took, "s", "<= 30", took <= 30, size)
    begin = time.perf_counter()
    send(run, service)
    line("push of it again", time.perf_counter() - begin, "s", "none", True, "nothing is sent")
    begin = time.perf_counter()
    checked = service.check()
    took = time.perf_counter() - begin
    faults = f"records, {checked.heads} heads and the chain's newest; {len(checked.faults)} faults"
    line("the service's check of it", took, "s", "none", True, faults)
    service.close()
