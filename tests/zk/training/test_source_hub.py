"""Names of the hub: what is said online, offline, and where a folder was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.errors import InputError, NotFound, UnavailableError
from provenance_zk.training.sources import open_source

datasets = pytest.importorskip("datasets")
hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    monkeypatch.setattr(hub, "snapshot_download", nothing_cached)


def nothing_cached(*args: object, **options: object) -> str:
    raise hub.errors.LocalEntryNotFoundError("not cached")


def answer(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    def load(name: str, split: str | None) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(datasets, "load_dataset", load)


def test_a_split_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, datasets.Dataset.from_dict({"text": ["one"]}))
    rows = open_source("org/name-1.0", split="test")
    assert (rows.source, rows.split, list(rows)) == (
        "hub:org/name-1.0:test",
        "test",
        [{"text": "one"}],
    )


def test_the_only_split_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = datasets.Dataset.from_dict({"text": ["one"]}, split="validation")
    answer(monkeypatch, datasets.DatasetDict({"validation": rows}))
    assert open_source("name", split=None).source == "hub:name:validation"
    answer(monkeypatch, datasets.DatasetDict({"validation": rows, "train": rows}))
    with pytest.raises(InputError, match="several splits"):
        open_source("name", split=None)


def test_a_dataset_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, datasets.exceptions.DatasetNotFoundError("no"))
    with pytest.raises(NotFound, match="neither a file nor a folder here, nor a dataset"):
        open_source("org/name")


@pytest.mark.parametrize("offline", [True, False])
def test_out_of_reach(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", offline)
    answer(monkeypatch, ConnectionError("Couldn't reach\n'org/name'"))
    what = "offline" if offline else "the hub is out of reach"
    with pytest.raises(
        UnavailableError,
        match=f"no such file or folder here, and {what}: no dataset of this name in the cache",
    ) as caught:
        open_source("org/name")
    assert "local path" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_folder_is_asked_about(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for error in (ConnectionError("no"), datasets.exceptions.DatasetNotFoundError("no")):
        answer(monkeypatch, error)
        with pytest.raises((NotFound, UnavailableError), match=r"here.*did you mean data\?"):
            open_source("datas/train")


def test_the_hubs_cache_is_used_when_it_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = tmp_path / "hub" / "datasets--org--name"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs" / "aa").write_text('{"text": "one"}\n')
    snapshot = repository / "snapshots" / "c0ffee"
    (snapshot / "data").mkdir(parents=True)
    (snapshot / "data" / "train-00000-of-00001.jsonl").symlink_to("../../../blobs/aa")
    answer(monkeypatch, ConnectionError("no"))
    monkeypatch.setattr(hub, "snapshot_download", lambda *args, **options: str(snapshot))
    rows = open_source("org/name")
    assert (rows.source, list(rows)) == ("hub:org/name:train", [{"text": "one"}])
    assert "read from the hub's cache, revision c0ffee" in rows.curation


def test_faults_of_a_dataset_are_no_matter_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ValueError("Unknown split"), RuntimeError("scripts are\nno longer supported")):
        answer(monkeypatch, error)
        with pytest.raises(InputError, match="cannot be read"):
            open_source("org/name")


def test_a_value_that_no_record_holds_is_refused_by_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Picture:
        pass

    class Rows(list[Any]):
        column_names = ("text", "image")
        info = datasets.DatasetInfo()
        split = None

        def select_columns(self, names: list[str]) -> Rows:
            return Rows({name: row[name] for name in names} for row in self)

    answer(monkeypatch, Rows([{"text": "a", "image": Picture()}]))
    with pytest.raises(InputError, match="Picture") as caught:
        open_source("org/name")
    assert caught.value.where == "row 1 image"
    assert list(open_source("org/name", text_column="text")) == [{"text": "a"}]


def test_splits_of_a_saved_folder(tmp_path: Path) -> None:
    made = datasets.Dataset.from_dict({"text": ["one", "two"]})
    splits = {"train": made, "validation": made.select([1])}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    rows = open_source("saved", split="val")
    assert (rows.split, list(rows)) == ("validation", [{"text": "two"}])
    assert rows.curation == ["split validation", "splits left out: train"]
    assert {str(entry["path"]).split("/")[0] for entry in rows.files} == {"validation"}
    with pytest.raises(InputError, match="no such split") as caught:
        open_source("saved", split="test")
    assert caught.value.expected == "train, validation"
    made.save_to_disk(str(tmp_path / "one"))
    with pytest.raises(InputError, match="no such split"):
        open_source("one", split="test")
