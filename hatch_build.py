"""Build hook: a wheel carries the prover of its platform; an editable install finds the one in the
working copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROVER = "zk/prover/bin/zkprover"
PLATFORM = "py3-none-manylinux2014_x86_64"  # the prover is linked statically, for x86-64 Linux


class CustomBuildHook(BuildHookInterface):
    """Adds `provenance_zk/bin/zkprover` to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the prover into a wheel; leave an editable install alone.

        Raises:
            FileNotFoundError: the prover is not built.
        """
        if version == "editable":
            return
        if not (Path(self.root) / PROVER).is_file():
            raise FileNotFoundError(f"{PROVER} is not built: run `make setup`, then `make wheel`")
        build_data["force_include"][PROVER] = "provenance_zk/bin/zkprover"
        build_data["pure_python"] = False
        build_data["tag"] = PLATFORM
