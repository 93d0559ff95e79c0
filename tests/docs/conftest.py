"""The README's main job, done once for this folder with the tiny model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.main_job import (
    Job,
    environment,
    main_job_commands,
    shell,
    working_folder,
)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    folder = tmp_path_factory.mktemp("docs")
    env, work = environment(folder), working_folder(folder)
    commands, outputs = main_job_commands(), []
    try:
        for command in commands:
            done = shell(command, env, work)
            assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
            outputs.append(done.stdout)
        yield Job(env, work, folder, commands, outputs)
    finally:
        for home in (work / ".state", folder / "new-home"):  # the second is the tutorial's
            shell("provenance chain down", env | {"PROVENANCE_HOME": str(home)}, work)
