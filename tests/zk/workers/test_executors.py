"""Where a command's proofs are made: its own server, a running one, a process per request, or a
refusal.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provenance.errors import ConfigError, UnavailableError
from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.server import ChildServer, RunningServer
from provenance_zk.workers.executors import Workshop
from provenance_zk.workers.local import LocalExecutor
from provenance_zk.workers.names import RAY_HERE


def settings(prover: ZkProver, tmp_path: Path, address: str | None = None) -> Settings:
    return Settings(home=tmp_path, cache=tmp_path, zkprover=prover.binary, prover=address)


def test_a_command_starts_a_server_and_ends_it(
    prover: ZkProver, key: KeyFolder, tmp_path: Path
) -> None:
    with Workshop(settings(prover, tmp_path), "local:2") as workshop:
        mine = workshop.prover
        with workshop.workers() as executor:
            assert executor.workers == 2
        assert isinstance(mine.server, ChildServer)
        assert mine.server.process is None, "no server before the first request"
        mine.commit_order(key.dir, list(range(10)))
        process = mine.server.process
        assert process is not None
        assert process.poll() is None
        socket = Path(mine.server.endpoint().where)
        assert socket.stat().st_mode & 0o777 == 0o600
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert process.returncode is not None
    assert not socket.parent.exists()


def test_a_running_server_is_used_and_left_running(
    prover: ZkProver, key: KeyFolder, child: ChildServer, tmp_path: Path
) -> None:
    address = child.endpoint()
    with Workshop(settings(prover, tmp_path, str(address))) as workshop:
        mine = workshop.prover
        assert mine.server == RunningServer(address)
        assert workshop.judging_prover.server is None, "it is not believed to check proofs"
        assert mine.commit_order(key.dir, list(range(10))) == prover.commit_order(
            key.dir, list(range(10))
        )
    assert child.process is not None
    assert child.process.poll() is None


def process_of(prover: ZkProver) -> subprocess.Popen[bytes]:
    """The server that this prover asks; it runs."""
    assert isinstance(prover.server, ChildServer)
    assert prover.server.process is not None
    return prover.server.process


def test_all_parts_of_a_command_ask_one_server(
    prover: ZkProver, key: KeyFolder, tmp_path: Path
) -> None:
    with Workshop(settings(prover, tmp_path)) as workshop:
        workshop.prover.commit_order(key.dir, [0, 1])
        process = process_of(workshop.prover)
        for _ in range(2):
            with workshop.workers() as executor:
                assert isinstance(executor, LocalExecutor)
        workshop.judging_prover.commit_order(key.dir, [1, 0])
        assert process_of(workshop.judging_prover) is process
        assert process.poll() is None


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, UnavailableError])
def test_the_server_ends_however_the_command_ends(
    prover: ZkProver, key: KeyFolder, tmp_path: Path, end: type[BaseException]
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def command() -> None:
        with Workshop(settings(prover, tmp_path)) as workshop, workshop.workers():
            workshop.prover.commit_order(key.dir, [0, 1])
            started.append(process_of(workshop.prover))
            raise end("ends here")

    with pytest.raises(end):
        command()
    assert [process.returncode is None for process in started] == [False]


def test_a_workshop_that_was_closed_opens_again(
    prover: ZkProver, key: KeyFolder, tmp_path: Path
) -> None:
    with Workshop(settings(prover, tmp_path)) as workshop:
        workshop.prover.commit_order(key.dir, [0, 1])
        first = process_of(workshop.prover)
        workshop.close()
        assert first.returncode is not None
        workshop.prover.commit_order(key.dir, [0, 1])
        second = process_of(workshop.prover)
        assert second.poll() is None
    assert second.returncode is not None


def test_one_shot_uses_no_server(prover: ZkProver, tmp_path: Path) -> None:
    with Workshop(settings(prover, tmp_path, "one-shot")) as workshop:
        assert workshop.prover.server is None


@pytest.mark.parametrize(
    ("address", "executor"),
    [
        ("nothing", "local"),
        ("unix:", "local"),
        ("tcp:127.0.0.1:1", "local"),
        (None, "local:0"),
        (None, "remote"),
        (None, ""),
        (None, "ray:localhost"),
        (None, "ray://host"),
        (None, "ray://host:1/x"),
    ],
)
def test_settings_that_make_no_sense_are_config_errors(
    prover: ZkProver, tmp_path: Path, address: str | None, executor: str
) -> None:
    with pytest.raises(ConfigError):
        Workshop(settings(prover, tmp_path, address), executor).prover  # noqa: B018


def test_a_missing_ray_is_a_config_error(
    prover: ZkProver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "provenance_zk.workers.ray_executor", None)
    with (
        pytest.raises(ConfigError, match=r"Ray is not installed.*model-provenance\[ray\]"),
        Workshop(settings(prover, tmp_path), RAY_HERE) as workshop,
        workshop.workers(),
    ):
        pass


def test_a_server_that_is_not_there_is_unavailable(
    prover: ZkProver, key: KeyFolder, tmp_path: Path
) -> None:
    with (
        Workshop(settings(prover, tmp_path, f"unix:{tmp_path}/nothing")) as workshop,
        pytest.raises(UnavailableError, match="cannot reach"),
    ):
        workshop.prover.commit_order(key.dir, [0, 1])
