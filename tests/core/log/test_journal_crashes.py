"""What a crash, a bad disk or a second writer does to a journal.

Every frame whose barrier returned stays, and damage is never cut off.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.errors import Conflict, InputError, UnavailableError, VerificationError
from provenance.log.frames import JournalTail, read_frames, read_header
from provenance.log.journal import Journal
from tests.support.chain import REPO
from tests.support.journals import HEADER, payloads_of, write

PAYLOADS = [b"first", b"", b"third " * 40, b"the last one"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def reopened(path: Path) -> list[bytes]:
    """The payloads that a writer finds after a crash; fails unless it can append another."""
    with Journal.open(path) as journal:
        found = len(journal)
        assert journal.append(b"next") == found
    payloads = payloads_of(path)
    assert payloads[-1] == b"next"
    return payloads[:-1]


# Torn tails


def test_every_prefix_of_the_last_frame_recovers_the_frames_before(path: Path) -> None:
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    for length in range(ends[-2], ends[-1]):
        path.write_bytes(whole[:length])
        assert payloads_of(path) == PAYLOADS[:-1]
        assert reopened(path) == PAYLOADS[:-1]


def test_a_torn_write_of_several_frames_keeps_the_whole_ones(path: Path) -> None:
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    for length in range(ends[0], ends[-1]):
        path.write_bytes(whole[:length])
        expected = PAYLOADS[: sum(end <= length for end in ends)]
        assert payloads_of(path) == expected


@pytest.mark.parametrize("zeros", [1, 31, 32, 76, 4096])
def test_zeros_after_the_last_frame_are_cut_off(path: Path, zeros: int) -> None:
    write(path, PAYLOADS)
    path.write_bytes(path.read_bytes() + bytes(zeros))
    assert reopened(path) == PAYLOADS


@pytest.mark.parametrize("kept", [1, 3, 4, 20, 44, 50])
def test_a_last_frame_that_ends_in_zeros_is_cut_off(path: Path, kept: int) -> None:
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    for zeros in (ends[-1] - ends[-2] - kept, ends[-1] - ends[-2] - kept + 600):
        path.write_bytes(whole[: ends[-2] + kept] + bytes(zeros))
        assert reopened(path) == PAYLOADS[:-1]


@pytest.mark.parametrize("inside", [1, 8, 31])
def test_a_tear_inside_the_hash_at_a_sector_boundary_is_cut_off(path: Path, inside: int) -> None:
    """The first `inside` bytes of the hash reached the disk with their sector, the next sector did
    not.
    """
    start = write(path, [])
    size = path.stat().st_size
    payload = b"x" * (4096 - size - 44 - inside)
    write_over(path, [payload])
    whole = path.read_bytes()
    assert (start, len(whole)) == ([], 4096 + 32 - inside)
    path.write_bytes(whole[:4096] + bytes(32 - inside))
    assert reopened(path) == []


def write_over(path: Path, payloads: list[bytes]) -> None:
    path.unlink()
    write(path, payloads)


# Damage


def test_any_flipped_byte_before_the_last_frame_is_refused(path: Path) -> None:
    """A flipped length must not make the rest of the file pass for one unfinished frame."""
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    for position in range(12, ends[-2]):
        for mask in (0x01, 0x80, 0xFF):
            path.write_bytes(flipped(whole, position, mask))
            with pytest.raises((VerificationError, InputError)):
                list(read_frames(path))
            with pytest.raises((VerificationError, InputError)):
                Journal.open(path)
            assert path.read_bytes() == flipped(whole, position, mask), "damage must not be cut off"


def test_any_flipped_byte_of_a_whole_last_frame_is_refused(path: Path) -> None:
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    for position in range(ends[-2], ends[-1]):
        for mask in (0x01, 0x80, 0xFF):
            path.write_bytes(flipped(whole, position, mask))
            with pytest.raises(VerificationError, match="damaged before its end"):
                Journal.open(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda whole, ends: whole[: ends[0]] + whole[ends[1] :],
        lambda whole, ends: (
            whole[: ends[0]]
            + whole[ends[1] : ends[2]]
            + whole[ends[0] : ends[1]]
            + whole[ends[2] :]
        ),
        lambda whole, ends: whole[: ends[1]] + whole[ends[0] :],
        lambda whole, ends: whole[: ends[1]] + bytes(ends[2] - ends[1]) + whole[ends[2] :],
    ],
    ids=["removed", "exchanged", "repeated", "zeroed"],
)
def test_frames_can_be_neither_moved_nor_removed(
    path: Path, change: Callable[[bytes, list[int]], bytes]
) -> None:
    ends = write(path, PAYLOADS)
    path.write_bytes(change(path.read_bytes(), ends))
    with pytest.raises(VerificationError, match="damaged before its end"):
        list(read_frames(path))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PROVJNL1",
        b"PROVJNL2" + bytes(100),
        b"PROVJNL1\xff\xff\xff\xff{}",
        b"PROVJNL1\0\0\0\2[]",
        b"PROVJNL1\0\0\0\1{",
        b"PROVJNL1\0\1\0\0" + b"[" * 65536,
    ],
)
def test_what_is_no_journal_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for read in (lambda p: list(read_frames(p)), read_header, Journal.open, JournalTail):
        with pytest.raises(InputError):
            read(path)


def test_a_fifo_in_the_place_of_a_journal_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    for read in (lambda p: list(read_frames(p)), read_header):
        with pytest.raises(InputError, match="not a regular file"):
            read(path)


def test_a_missing_journal_is_refused(path: Path) -> None:
    for read in (lambda p: list(read_frames(p)), read_header, Journal.open):
        with pytest.raises(InputError):
            read(path)


def test_bytes_after_the_last_frame_that_could_be_a_tear_are_cut_off(path: Path) -> None:
    write(path, PAYLOADS)
    path.write_bytes(
        path.read_bytes()
        + b"whose first four bytes name a length beyond the end of the file, as those of a tear do"
    )
    assert reopened(path) == PAYLOADS


def test_an_unfinished_frame_is_reported_when_asked_for(path: Path) -> None:
    write(path, PAYLOADS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VerificationError, match="unfinished frame"):
        list(read_frames(path, allow_torn=False))


# Writers


def test_a_second_process_is_refused(path: Path) -> None:
    with Journal.create(path, HEADER):
        with pytest.raises(Conflict, match=r"another process.*wait until it ends"):
            Journal.open(path)
        code = (
            "from provenance.log.journal import Journal\nfrom pathlib import "
            f"Path\nJournal.open(Path({str(path)!r}))"
        )
        child = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO
        )
        assert "Conflict" in child.stderr
    Journal.open(path).close()


def test_a_journal_is_never_overwritten(path: Path) -> None:
    write(path, PAYLOADS)
    with pytest.raises(Conflict, match="exists already"):
        Journal.create(path, HEADER)
    assert payloads_of(path) == PAYLOADS


def test_closing_twice_does_nothing(path: Path) -> None:
    journal = Journal.create(path, HEADER)
    journal.close()
    journal.close()
    with pytest.raises(InputError, match="closed"):
        journal.append(b"late")


def test_a_frame_that_no_reader_would_accept_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.log.journal.MAX_PAYLOAD_BYTES", 10)
    with Journal.create(path, HEADER) as journal:
        with pytest.raises(InputError, match="too long"):
            journal.append(b"x" * 11)
        journal.append(b"x" * 10)
    assert payloads_of(path) == [b"x" * 10]


def test_many_threads_lose_and_mix_nothing(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:

        def work(name: int) -> None:
            for i in range(50):
                journal.append(b"%d:%d" % (name, i))
                if i % 10 == 0:
                    journal.barrier()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = payloads_of(path)
    assert len(found) == 200
    for name in range(4):
        assert [p for p in found if p.startswith(b"%d:" % name)] == [
            b"%d:%d" % (name, i) for i in range(50)
        ]


class Disk:
    """A sync that fails while `full`."""

    def __init__(self, error: int = errno.ENOSPC) -> None:
        self.full, self.error, self.calls = False, error, 0

    def __call__(self, fd: int) -> None:
        self.calls += 1
        if self.full:
            raise OSError(self.error, os.strerror(self.error))
        os.fdatasync(fd)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_frames_stay_queued_while_the_disk_refuses_and_drain_later(path: Path, error: int) -> None:
    disk = Disk(error)
    journal = Journal.create(path, HEADER, sync=disk)
    journal.append(b"before")
    journal.barrier()
    disk.full = True
    for i in range(3):
        journal.append(b"queued %d" % i)
        with pytest.raises(UnavailableError, match="cannot write journal"):
            journal.barrier()
    assert (journal.durable, payloads_of(path)) == (1, [b"before"])
    assert journal.failure is not None
    disk.full = False
    journal.barrier()
    assert (journal.durable, journal.failure) == (4, None)
    journal.close()
    assert payloads_of(path) == [b"before", b"queued 0", b"queued 1", b"queued 2"]


def test_a_journal_that_cannot_be_flushed_stays_open(path: Path) -> None:
    disk = Disk()
    journal = Journal.create(path, HEADER, sync=disk)
    disk.full = True
    journal.append(b"x")
    with pytest.raises(UnavailableError):
        journal.close()
    disk.full = False
    journal.close()
    assert payloads_of(path) == [b"x"]


def test_a_crash_while_the_disk_is_full_keeps_what_was_durable(path: Path, tmp_path: Path) -> None:
    disk = Disk()
    journal = Journal.create(path, HEADER, sync=disk)
    journal.append(b"durable")
    journal.barrier()
    disk.full = True
    journal.append(b"lost")
    with pytest.raises(UnavailableError):
        journal.barrier()
    crashed = tmp_path / "crashed"
    shutil.copy(path, crashed)
    assert reopened(crashed) == [b"durable"]
    disk.full = False
    journal.close()


def test_a_header_that_cannot_be_written_leaves_no_file(path: Path) -> None:
    disk = Disk()
    disk.full = True
    with pytest.raises(UnavailableError, match="cannot write journal"):
        Journal.create(path, HEADER, sync=disk)
    assert not path.exists()
    Journal.create(path, HEADER).close()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from provenance.errors import UnavailableError
from provenance.log.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
journal = Journal.create(path, {"format": "provenance-journal/1"})
journal.append(b"small")
journal.barrier()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
journal.append(b"x" * 8000)
try:
    journal.barrier()
    sys.exit("wrote past the limit")
except UnavailableError:
    pass
assert journal.durable == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(b"after")
journal.close()
"""


def test_a_real_limit_on_the_file_size_loses_nothing(path: Path) -> None:
    """The kernel cuts a write half-way, at the process's limit on file sizes."""
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, cwd=REPO
    )
    assert child.returncode == 0, child.stderr
    assert payloads_of(path) == [b"small", b"x" * 8000, b"after"]


@pytest.mark.parametrize("size", [10, 5000])
def test_kill_9_keeps_every_frame_whose_barrier_returned(path: Path, size: int) -> None:
    draw = random.Random(size)
    for _ in range(6):
        known = kill_after(path, size, draw.randrange(1, 30))
        assert [int(p.split(b":")[0]) for p in payloads_of(path)][:known] == list(range(known))
        Journal.open(path).close()
    assert len(payloads_of(path)) >= known


def kill_after(path: Path, size: int, lines: int) -> int:
    """Run the writer and kill it after `lines` lines of output.

    Returns the last number of durable frames that it printed.
    """
    command = [sys.executable, "-m", "tests.support.journals", str(path), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPO, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            known = int(child.stdout.readline())
        child.kill()
        rest = child.stdout.read().splitlines()
    return int(rest[-1]) if rest and rest[-1] else known


STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("when", [2, 3, 4])
def test_a_failing_fdatasync_of_the_kernel_is_not_taken_for_success(path: Path, when: int) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom provenance.errors import "
        "UnavailableError\nfrom provenance.log.journal import Journal\n"
        "journal = Journal.create(Path(sys.argv[1]), {'format': "
        "'provenance-journal/1'})\nfailed = 0\n"
        "for i in range(4):\n    journal.append(b'%d' % i)\n    try:\n        journal.barrier()\n"
        "    except UnavailableError:\n        failed += 1\n        assert journal.durable <= i\n"
        "journal.close()\nassert failed == 1, failed\n"
    )
    inject = f"inject=fdatasync:error=EIO:when={when}"
    child = subprocess.run(
        [
            str(STRACE),
            "-f",
            "-qq",
            "-e",
            "trace=fdatasync",
            "-e",
            inject,
            sys.executable,
            "-c",
            code,
            str(path),
        ],
        capture_output=True,
        text=True,
        cwd=REPO,
    )
    if "Operation not permitted" in child.stderr:
        pytest.skip("strace may not trace here")
    assert child.returncode == 0, child.stderr
    assert payloads_of(path) == [b"0", b"1", b"2", b"3"]


# A second reader


def test_a_reader_sees_whole_frames_only_and_each_once(path: Path) -> None:
    ends = write(path, PAYLOADS)
    whole = path.read_bytes()
    path.write_bytes(whole[: ends[0] + 50])
    tail = JournalTail(path)
    assert [f.payload for f in tail.read()] == PAYLOADS[:1]
    path.write_bytes(whole[: ends[2] + 3])
    assert [f.payload for f in tail.read(until=2)] == PAYLOADS[1:2]
    path.write_bytes(whole)
    assert [f.payload for f in tail.read()] == PAYLOADS[2:]
    assert list(tail.read()) == []


def flipped(data: bytes, position: int, mask: int) -> bytes:
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
