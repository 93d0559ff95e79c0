"""Child processes that a server forks: torch and transformers are imported once for all of them.

The server imports them and computes nothing, so that no thread is lost in a fork. A child is a
process of its own all the same: it may kill itself, and shares nothing with the test but files.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.support.places import REPO

_PRELOADED = "tests.support.training"
_TIMEOUT_S = 300


class Child:
    """A running child. What it prints goes to the file `log`."""

    def __init__(
        self, log: Path, environment: Mapping[str, str], target: Callable[..., None], *args: Any
    ) -> None:
        start_server()
        self.log = log
        context = multiprocessing.get_context("forkserver")
        call = (str(log), dict(environment), target, args)
        self._process: ForkServerProcess = context.Process(target=_call, args=call)
        self._process.start()

    def wait(self) -> int:
        """Exit code of the child, the negative signal if one ended it."""
        self._process.join(_TIMEOUT_S)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
            raise TimeoutError(f"child still runs after {_TIMEOUT_S} s\n{self.output()}")
        self._process.close()
        return code

    def output(self) -> str:
        return self.log.read_text()


def run(folder: Path, target: Callable[..., None], *args: Any) -> tuple[int, str]:
    """Call `target` in a child; its exit code, and what it printed."""
    child = Child(folder / "child.log", {}, target, *args)
    return child.wait(), child.output()


def run_together(
    folder: Path, calls: Sequence[Mapping[str, str]], target: Callable[..., None], *args: Any
) -> list[tuple[int, str]]:
    """Call `target` in one child for each environment, all at once."""
    children = [
        Child(folder / f"child-{i}.log", environment, target, *args)
        for i, environment in enumerate(calls)
    ]
    return [(child.wait(), child.output()) for child in children]


def start_server() -> None:
    """Start the server with `sys.path` in PYTHONPATH, where it looks for what it imports."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([_PRELOADED])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPO), *sys.path])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _call(
    log: str, environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]
) -> None:
    """In the child: standard output and error go to a file, whatever writes there."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(environment)
    try:
        target(*args)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
