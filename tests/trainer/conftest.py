"""Shared pieces: the tiny model, made once, and one thread."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from provenance_trainer.model.base import BaseModel, load_base


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny(cache_dir: Path) -> BaseModel:
    return load_base("tiny", cache_dir)
