"""The processes that train again: several at a time, here and on Ray; what one loses is named, and
nothing is left behind, however they are ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray

from provenance.errors import ConfigError, InputError, NotFound, UnavailableError
from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import joined, segments_of
from provenance.progress import silent
from provenance.settings import Settings
from provenance_trainer.model.base import BaseModel
from provenance_trainer.replay import again, on_ray, process
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.crew import replay_each
from provenance_trainer.replay.on_ray import replay_on_ray
from provenance_trainer.replay.process import Material, Task
from provenance_trainer.replay.run import Replay, Training, replay_run
from provenance_zk.workers.names import RAY_HERE
from tests.support import training as support
from tests.support.places import REPO
from tests.trainer.replay.test_replay_again import Trained

# Ray leaves sockets and processes to the garbage collector, which warns of them.
pytestmark = pytest.mark.filterwarnings("default")
PATHS = os.pathsep.join(str(REPO / part) for part in (".", "cli", "trainer", "zk"))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    return Trained(tmp_path_factory.mktemp("honest"), tiny)


def settings_of(run: Trained) -> Settings:
    home, cache = str(run.folder / "home"), str(run.folder / "cache")
    return Settings.load({"PROVENANCE_HOME": home, "PROVENANCE_CACHE": cache})


def material_of(run: Trained, executor: str) -> Material:
    return Material(run.folder / "data", str(run.base.dir), settings_of(run), executor)


def tasks_of(run: Trained) -> list[Task]:
    history, folders = run.history, [run.folder / "run"]
    assert history.seed is not None
    seed = bytes.fromhex(history.seed.fields["seed"][2:])
    return [Task(history.opening, seed, each, folders) for each in segments_of(history)]


def replayed(run: Trained, executor: str, say: Callable[[str], None] = silent) -> Replay:
    config = support.make_config(run.folder / "data", run.folder / "run")
    records = support.records_of(config)
    return replay_run(records, [run.folder / "run"], [0, 2], material_of(run, executor), say)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes make their folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_segments_by_themselves_come_out_as_those_in_a_row(honest: Trained, scratch: Path) -> None:
    said: list[str] = []
    found = replayed(honest, "local:2", said.append)
    assert [one.number for one in found.outcomes] == [0, 2]
    assert found.agreement is Agreement.EXACT
    assert found.to_json()["trainings"] == [
        {"first": 1, "last": 2, "loaded": None, "gone": [], "machine": None},
        {
            "first": 5,
            "last": 6,
            "loaded": {
                "record": segments_of(honest.history)[1].ends[-1].index,
                "name": "checkpoint-4",
            },
            "gone": [],
            "machine": None,
        },
    ]
    assert [str(each) for each in found.trainings] == [
        "steps 1 to 2: from the seed",
        "steps 5 to 6: from the publisher's checkpoint-4",
    ]
    assert "others" not in found.stack
    assert list(scratch.iterdir()) == []


def test_what_goes_wrong_with_one_names_it_and_ends_all(honest: Trained, scratch: Path) -> None:
    tasks = tasks_of(honest)
    tasks[1] = replace(tasks[1], folders=[honest.folder / "nowhere"])
    with pytest.raises(InputError, match=r"^segment 1: .*nowhere.*checkpoint-2"):
        replay_each(tasks, material_of(honest, "local:3"), silent)
    assert list(scratch.iterdir()) == []
    with pytest.raises(ConfigError, match="no such executor"):
        replay_each(tasks, material_of(honest, "moon"), silent)


def test_a_process_that_dies_is_no_missing_segment(
    honest: Trained, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_work", killed_at_once)
    with pytest.raises(NotFound, match=r"^segment \d: steps \d to \d: the process .*exit code -9"):
        replayed(honest, "local:2")
    assert list(scratch.iterdir()) == []


def killed_at_once(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_stacks_of_several_machines_are_all_told(honest: Trained) -> None:
    one, two, three = (
        Training(segment, (), None, Replayed((), {"threads": threads}, 0.5, 6))
        for segment, threads in zip(segments_of(honest.history), (1, 9, 9), strict=True)
    )
    assert Replay(3, (), (one, two, three)).stack == {"threads": 1, "others": [{"threads": 9}]}
    assert Replay(3, (), (two, three)).stack == {"threads": 9}
    assert Replay(3, (), (one, two)).seconds == 1.0


def test_a_replay_keeps_no_checkpoint_of_its_own(
    honest: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the one that it began with."""
    seen: list[list[str]] = []
    original = again.Follow.on_step_end

    def spy(self: again.Follow, args: Any, state: Any, control: Any, **more: Any) -> None:
        original(self, args, state, control, **more)
        seen.append([path.name for path in tmp_path.rglob("checkpoint-*")])

    monkeypatch.setattr(again.Follow, "on_step_end", spy)
    found = honest.replay(joined(segments_of(honest.history)[1:]), tmp_path)
    assert [c.agreement for c in found.comparisons] == [Agreement.EXACT] * 3
    assert seen == [[]] * 4
    assert [path.name for path in tmp_path.rglob("checkpoint-*")] == []


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


AUDIT = ("audit", "replay", "RUN", "--with-data", "DATA", "--segments", "all")


@pytest.mark.parametrize(
    ("executor", "number", "code"),
    [
        ("local:2", signal.SIGTERM, 143),
        ("local", signal.SIGKILL, -9),
        (RAY_HERE, signal.SIGTERM, 143),
    ],
)
def test_whatever_ends_a_replay_leaves_nothing_behind(
    honest: Trained, tmp_path: Path, executor: str, number: int, code: int
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    places = {"RUN": str(honest.folder / "run"), "DATA": str(honest.folder / "data")}
    command = [sys.executable, "-c", "from provenance_cli.main import main; main()"]
    command += [places.get(word, word) for word in AUDIT] + ["--executor", executor]
    command += ["--base", str(honest.base.dir)]
    settings = {
        "PROVENANCE_HOME": str(honest.folder / "home"),
        "PROVENANCE_CACHE": str(honest.folder / "cache"),
        "TMPDIR": str(scratch),
        "RAY_TMPDIR": "/tmp",
        "PYTHONPATH": PATHS,
    }
    with subprocess.Popen(
        command, env={**os.environ, **settings}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as running:
        try:
            # The prover has the salts, in files.
            until(lambda: bool(list(scratch.rglob("salts"))), 300)
            started = children_of(running.pid)
            assert started
            running.send_signal(number)
            assert running.wait(60) == code
        finally:
            running.kill()
    until(lambda: not any(is_alive(pid) for pid in started))
    until(lambda: list(scratch.iterdir()) == [])


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    """Of a Ray of two cores on loopback."""
    yield {
        "num_cpus": 2,
        "object_store_memory": 100 << 20,
        "runtime_env": {"env_vars": {"PYTHONPATH": PATHS}},
    }
    assert not ray.is_initialized()


def test_ray_finds_what_this_machine_finds(
    honest: Trained, options: dict[str, Any], spawned: None
) -> None:
    said: list[str] = []
    tasks = tasks_of(honest)
    found = replay_on_ray(tasks[1:], material_of(honest, RAY_HERE), said.append, **options)
    here = replay_each(tasks[1:], material_of(honest, "local:1"), silent)
    assert [each.made.comparisons for each in found] == [each.made.comparisons for each in here]
    assert [each.made.stack for each in found] == [each.made.stack for each in here]
    (machine,) = {each.machine for each in found}
    assert machine is not None
    assert machine.startswith(socket.gethostname())
    assert f"segment 1: done on {machine}" in said


def test_what_a_machine_of_ray_lacks_is_named(
    honest: Trained, options: dict[str, Any], tmp_path: Path
) -> None:
    tasks, material = tasks_of(honest)[1:2], material_of(honest, RAY_HERE)
    lacking = [replace(tasks[0], folders=[tmp_path / "nowhere"])]
    on = r"^segment 1 on \S+ \([0-9.]+\): "
    with pytest.raises(NotFound, match=on + r".*nowhere: this machine lacks a folder"):
        replay_on_ray(lacking, material, silent, **options)
    (tmp_path / "empty").mkdir()
    empty = [replace(tasks[0], folders=[tmp_path / "empty"])]
    with pytest.raises(NotFound, match=on + r".*has not the checkpoint .*checkpoint-2 is gone"):
        replay_on_ray(empty, material, silent, **options)


def test_a_machine_of_ray_that_is_lost_is_named(
    honest: Trained, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = on_ray._Crew._start

    def start(self: Any, number: int) -> None:
        original(self, number)
        ray.get(self._running[-1].name)
        ray.kill(self._running[-1].actor)

    monkeypatch.setattr(on_ray._Crew, "_start", start)
    with pytest.raises(UnavailableError, match=r"^segment 0 on \S+ \([0-9.]+\): the machine was"):
        replay_on_ray(tasks_of(honest)[:1], material_of(honest, RAY_HERE), silent, **options)


def test_without_ray_it_is_said_how_to_install_it(
    honest: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "provenance_trainer.replay.on_ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"Ray is not installed.*model-provenance\[ray\]"):
        replay_each(tasks_of(honest), material_of(honest, "ray://there:10001"), silent)
