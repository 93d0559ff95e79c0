"""What a run needs besides its data: places to write to, room, a key, money, a right clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provenance.causes import NO_ROOM, cause_of
from provenance.chain.endpoint import BRISK
from provenance.chain.rpc import Rpc
from provenance.chain.session import connect, key_path
from provenance.errors import OutputError, ProvenanceError, UnavailableError
from provenance.ids import Address
from provenance.settings import Settings
from provenance.signing.keystore import address_of
from provenance_cli.jobs.funds import require_balance
from provenance_cli.outputs import try_folder
from provenance_cli.setup.findings import Finding
from provenance_cli.setup.machine import look_at_clock, look_at_folder
from provenance_trainer.run.room import Room

SUFFIX = "-dataset"  # a dataset that `train` commits goes to OUTPUT_DIR-dataset
_OUTPUT = "output_dir"
_FULL = "No space left on device"


def dataset_beside(out: Path) -> Path:
    """Where `train` commits a dataset to.

    Beside the run, not in it: verifiers get the run's folder, but never records and salts.
    """
    named = out if out.name not in ("", "..") else out.resolve()
    return named.parent / (named.name + SUFFIX)


def try_run_folders(out: Path, dataset: Path | None, settings: Settings) -> None:
    """Check that a run can write what it will write.

    Args:
        dataset: the folder of a dataset that the run will commit; None if it commits none.

    Raises:
        OutputError: the first of them that takes no file.
    """
    try_folder(out, _OUTPUT)
    try_folder(dataset, f"dataset of {_OUTPUT}:")
    try_folder(settings.home, "PROVENANCE_HOME")
    try_folder(settings.cache, "PROVENANCE_CACHE")


def room_notes(out: Path, settings: Settings) -> Iterator[str]:
    """Folders with so little room that the work may end halfway, for people."""
    for name, folder in ((_OUTPUT, out), ("PROVENANCE_CACHE", settings.cache)):
        finding = look_at_folder(name, folder, "name another place")
        if not finding.ok:
            yield _told(finding)


def require_room(out: Path, room: Room) -> list[str]:
    """Check that the disk of a run holds what training writes; for people: what else it will not.

    Raises:
        OutputError: it does not.
    """
    disk = shutil.disk_usage(_nearest(out))
    free = disk.free
    if (
        disk.total == 0
    ):  # the kernel's own, such as /proc: it takes no file, which is said elsewhere
        return []
    if free < room.training:
        raise OutputError(
            "disk is too full for the run's checkpoints and adapter",
            where=f"{_OUTPUT} {out}",
            expected=f"{_size(room.training)} free at least",
            actual=_size(free),
            hint="make room, name another output_dir, raise save_steps and "
            "provenance.segment_steps, or set save_total_limit",
        )
    if free < room.training + room.merged:
        return [
            f"{_OUTPUT}: {_size(free)} free hold training ({_size(room.training)}) but not "
            f"`merge` after it ({_size(room.merged)})"
        ]
    return []


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Name the folder of a run where its disk takes no more: libraries do not say the file.

    Raises:
        OutputError: no space is left, whichever library found it.
    """
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:  # libraries have errors of their own for this
        full = isinstance(error, OSError) and error.errno in NO_ROOM
        if not full and _FULL not in str(error) and shutil.disk_usage(_nearest(folder)).free:
            raise
        named = error.filename if isinstance(error, OSError) else None
        raise OutputError(
            "output cannot be written",
            where=str(named or folder),
            actual=cause_of(error) if isinstance(error, OSError) else _FULL,
            hint="make room, then give the same command again: the run goes on",
        ) from error


def _nearest(folder: Path) -> Path:
    return next(p for p in (folder, *folder.absolute().parents) if p.is_dir())


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MiB"


def clock_notes(rpc: Rpc) -> Iterator[str]:
    """How far this machine's clock and the chain's are apart, if it is too far; for people."""
    for finding in look_at_clock(rpc, time.time):
        if not finding.ok:
            yield _told(finding)


def _told(finding: Finding) -> str:
    return f"{finding.name}: {finding.detail} ({finding.mend})"


def require_key(settings: Settings, name: str) -> Address:
    """The address of a named key; its password is not asked for.

    Raises:
        InputError: there is no such key, or it is no keystore.
    """
    return address_of(key_path(settings, name))


def require_means(settings: Settings, address: Address, gas: int) -> None:
    """Check that an account can pay, as far as the chain answers; none is started.

    Raises:
        UnavailableError: the account has not enough.
    """
    try:
        rpc = connect(settings, patience=BRISK)
        rpc.chain_id()
    except UnavailableError:
        return  # `plan` says that no chain answers, and a run starts its chain first
    require_balance(rpc, address, gas)
