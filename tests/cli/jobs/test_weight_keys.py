"""Whoever plans a run hears which keys its weights lack, and the one command that makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.chain.deploy import DeployedKey, Deployment
from provenance.settings import Settings
from provenance_cli.jobs import weight_keys
from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import load_base
from tests.support.chain import cache_folder


def told(folder: Path, patch: pytest.MonkeyPatch, keys: tuple[DeployedKey, ...] = ()) -> list[str]:
    deployment = Deployment(31337, "0x" + "11" * 32, {}, 1, "sources", keys)
    patch.setattr(Deployment, "ledger", "0x" + "22" * 20)
    patch.setattr(Deployment, "models", "0x" + "33" * 20)
    patch.setattr(weight_keys, "load_deployment", lambda _: deployment)
    settings = Settings.load({"PROVENANCE_HOME": str(folder), "PROVENANCE_CACHE": str(folder)})
    config = parse_config({"dataset_name": "d", "output_dir": "o", "lora_r": 4})
    base = load_base("tiny", cache_folder() / "models").dir
    return weight_keys.missing_weight_keys(settings, config, base)


def test_only_the_keys_that_lack_are_named_with_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = told(tmp_path, monkeypatch)
    keys = line.partition("no key ")[2].partition(" is")[0]
    assert {key.partition(":")[0] for key in keys.split(",")} == {"merge", "q8_0"}
    assert line.endswith(f"is deployed (provenance init --model-keys {keys})")
    assert "0x" not in line


def test_keys_that_the_cache_lacks_are_named_without_their_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = told(tmp_path, monkeypatch)
    keys = tuple(
        DeployedKey("0x" + f"{number}1" * 32, "", kind, slots, depth)
        for number, (kind, slots, depth) in enumerate(weight_keys_of(monkeypatch, tmp_path))
    )
    (line,) = told(tmp_path, monkeypatch, keys)
    assert "the cache lacks merge:" in line
    assert "0x" not in line


def weight_keys_of(patch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, int, int]]:
    """The shapes of the keys that the run needs."""
    seen: list[tuple[str, int, int]] = []
    with patch.context() as inner:
        inner.setattr(weight_keys, "require_keys", lambda _, __, wanted: seen.extend(wanted))
        told(folder, inner)
    return seen
