"""Looks at this machine's folders and clock, for `doctor` and before a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from provenance.chain.anvil import CHAIN_ID
from provenance.chain.rpc import Rpc
from provenance.errors import ProvenanceError
from provenance_cli.outputs import try_folder
from provenance_cli.setup.findings import Finding

MIN_DISK_BYTES = 2 << 30
DEVELOPMENT_CHAINS = frozenset({CHAIN_ID, 1337})  # make blocks when they are asked to
MAX_BLOCK_AGE_S, MAX_BLOCK_LEAD_S = 600, 60


def look_at_folder(name: str, folder: Path, mend: str) -> Finding:
    """Whether a folder, which may be missing, takes files and has room for them."""
    try:
        try_folder(folder, name)
        place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
        free = shutil.disk_usage(place).free
    except ProvenanceError as error:
        return Finding.of(name, error, mend)
    room = f"{folder}, {free / (1 << 30):.1f} GiB free"
    least = f"free at least {MIN_DISK_BYTES >> 30} GiB there, or {mend}"
    return Finding(name, free >= MIN_DISK_BYTES, room, least)


def look_at_clock(rpc: Rpc, clock: Callable[[], float]) -> Iterator[Finding]:
    """Compares the clocks where blocks come by themselves.

    Args:
        clock: Unix time in seconds.
    """
    name = "clock"
    try:
        if rpc.chain_id() in DEVELOPMENT_CHAINS:
            return
        age_s = clock() - rpc.block("latest").timestamp
    except ProvenanceError as error:
        yield Finding.of(name, error, "see chain, above", needed=False)
        return
    if -MAX_BLOCK_LEAD_S <= age_s <= MAX_BLOCK_AGE_S:
        yield Finding(name, True, f"the latest block is {age_s:.0f} s old")
        return
    detail = (
        f"the latest block is {age_s:.0f} s old"
        if age_s > 0
        else (f"the latest block is {-age_s:.0f} s in the future")
    )
    mend = "timedatectl set-ntp true; if the clock is right, name an endpoint that keeps up"
    yield Finding(name, False, detail, mend)
