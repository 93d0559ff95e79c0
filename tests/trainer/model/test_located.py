"""Bases behind links and hub names: followed, found in the cache, or refused with the cause."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from provenance.artifacts.identity import identity_of
from provenance.artifacts.manifest import manifest_of
from provenance.errors import AuthError, InputError, ProvenanceError, UnavailableError
from provenance_trainer.model.base import BaseModel, load_base


def snapshot(model: Path, cache: Path) -> Path:
    """A model as the hub's cache holds it: `port/crane`, files that are links."""
    root = cache / "models--port--crane"
    revision = "0" * 39 + "1"
    folder = root / "snapshots" / revision
    folder.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(revision)
    (root / "blobs").mkdir()
    for number, file in enumerate(sorted(model.iterdir())):
        blob = root / "blobs" / f"{number:040x}"
        blob.write_bytes(file.read_bytes())
        (folder / file.name).symlink_to(Path("../../blobs") / blob.name)
    return folder


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty, and no network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def plain(folder: Path) -> bool:
    return not any(path.is_symlink() for path in folder.rglob("*"))


def test_files_that_are_links_are_taken_without_them(tiny: BaseModel, tmp_path: Path) -> None:
    folder = snapshot(tiny.dir, tmp_path / "hub")
    found = load_base(str(folder), tmp_path / "cache")
    assert plain(found.dir)
    assert found.identity == tiny.identity
    assert load_base(str(folder), tmp_path / "cache").dir == found.dir
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_same_weights_in_other_formats_are_left_behind(tiny: BaseModel, tmp_path: Path) -> None:
    """A loader could prefer them, and a merge leaves them as they are."""
    folder = tmp_path / "folder"
    shutil.copytree(tiny.dir, folder)
    for name in ("pytorch_model.bin", "original/consolidated.00.pth", "code/modeling.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    found = load_base(str(folder), tmp_path / "cache")
    names = {path.relative_to(found.dir).as_posix() for path in found.dir.rglob("*.*")}
    assert names == {path.name for path in tiny.dir.iterdir()} | {"code/modeling.py"}
    assert found.identity == identity_of(found.dir)
    assert set(found.identity.files) == {*tiny.identity.files, "code/modeling.py"}
    assert load_base(str(folder), tmp_path / "cache").dir == found.dir


def test_a_folder_that_is_a_link_is_followed(tiny: BaseModel, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tiny.dir)
    found = load_base(str(tmp_path / "link"), tmp_path / "cache")
    assert (found.dir, found.content) == (tiny.dir.resolve(), tiny.content)


def test_a_link_to_nothing_is_named(tiny: BaseModel, tmp_path: Path) -> None:
    folder = snapshot(tiny.dir, tmp_path / "hub")
    (folder / "model.safetensors").resolve().unlink()
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_base(str(folder), tmp_path / "cache")


def test_a_manifest_of_evidence_refuses_links_still(tiny: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        manifest_of(snapshot(tiny.dir, tmp_path / "hub"))


def test_the_hubs_own_cache_serves_offline(tiny: BaseModel, offline: Path, tmp_path: Path) -> None:
    snapshot(tiny.dir, offline)
    found = load_base("port/crane", tmp_path / "cache")
    assert (found.content, found.name, plain(found.dir)) == (tiny.content, "port/crane", True)


def test_offline_and_not_in_the_cache(offline: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="offline, and not in the cache"):
        load_base("port/crane", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_mistyped_folder_is_no_hub_model(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bases" / "harbour").mkdir(parents=True)
    with pytest.raises(InputError, match="no such folder or hub model") as caught:
        load_base("bases/habour", tmp_path / "cache")
    assert caught.value.hint == "did you mean bases/harbour?"


def test_a_file_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="base model is a file"):
        load_base(str(tmp_path / "model.gguf"), tmp_path / "cache")


def response(status: int) -> Any:
    return httpx2.Response(status, request=httpx2.Request("GET", "http://127.0.0.1/api"))


FAILURES: dict[str, tuple[Callable[[], Exception], type[ProvenanceError], str]] = {
    "gated": (
        lambda: errors.GatedRepoError("no", response=response(403)),
        AuthError,
        "port/crane is gated",
    ),
    "missing or private": (
        lambda: errors.RepositoryNotFoundError("no", response=response(401)),
        InputError,
        "no such folder or hub model",
    ),
    "revision": (
        lambda: errors.RevisionNotFoundError("no", response=response(404)),
        InputError,
        "no such revision",
    ),
    "token": (
        lambda: errors.HfHubHTTPError("no", response=response(403)),
        AuthError,
        "HTTP 403",
    ),
    "busy": (
        lambda: errors.HfHubHTTPError("no", response=response(503)),
        UnavailableError,
        "HTTP 503",
    ),
    "no network": (lambda: httpx2.ConnectError("no route"), UnavailableError, "no route"),
    "no answer": (lambda: httpx2.ReadTimeout("late"), UnavailableError, "does not answer"),
    "disk": (lambda: OSError(28, "No space left on device"), UnavailableError, "No space left"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_download_tells_its_cause_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    failure, kind, words = FAILURES[name]

    def download(*args: Any, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not cached")
        (Path(options["local_dir"]) / "config.json").write_text("{}")
        raise failure()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(kind) as caught:
        load_base("port/crane", tmp_path / "cache")
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_network_the_hubs_cache_serves(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = snapshot(tiny.dir, tmp_path / "hub")

    def download(*args: Any, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            return str(folder)
        raise httpx2.ConnectError("no route")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_base("port/crane", tmp_path / "cache").content == tiny.content
