"""Folders: which files are of which split, what lies beside data, and links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError, NotFound
from provenance_zk.training.sources import RowSource, open_source
from provenance_zk.training.sources.splits import WORDS, splits_of


def fill(folder: Path, *names: str) -> str:
    """Files of one row each, which says the file's name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text\n{name}\n" if ".csv" in name else f'{{"text": "{name}"}}\n')
    return str(folder)


def read(rows: RowSource) -> list[str]:
    return [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.jsonl", "test.jsonl"),
        ("train-00000-of-00001.jsonl", "test-00000-of-00001.jsonl"),
        ("data/train-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl"),
        ("train/part1.jsonl", "test/part1.jsonl"),
        ("pumps_train.jsonl", "pumps_eval.jsonl"),
        ("Train.jsonl", "Testing.jsonl"),
        ("my.train/a.jsonl", "my.evaluation/a.jsonl"),
    ],
)
def test_a_split_is_read_alone(tmp_path: Path, train: str, test: str) -> None:
    folder = fill(tmp_path, train, test)
    rows = open_source(folder)
    assert (read(rows), rows.split) == ([train], "train")
    assert rows.curation == [f"split train: {train}", f"files of other splits left out: {test}"]
    assert [entry["path"] for entry in rows.files] == [train]
    assert read(open_source(folder, split="test")) == [test]
    for unknown in ("validation", "tset"):
        with pytest.raises(InputError, match="no such split") as caught:
            open_source(folder, split=unknown)
        assert caught.value.expected == "train, test"


@pytest.mark.parametrize("word", [*WORDS["validation"], "VAL"])
def test_every_word_for_validation_means_it(tmp_path: Path, word: str) -> None:
    folder = fill(tmp_path, "train.jsonl", f"{word}.jsonl", "notes.jsonl")
    for asked in WORDS["validation"]:
        assert read(open_source(folder, split=asked)) == [f"{word}.jsonl"]
    left_out = ", ".join(sorted([f"{word}.jsonl", "notes.jsonl"]))
    assert open_source(folder).curation[1] == f"files of other splits left out: {left_out}"


def test_split_names_of_sharded_files_are_free(tmp_path: Path) -> None:
    folder = fill(tmp_path, "data/sft-00000-of-00002.jsonl", "data/sft-00001-of-00002.jsonl")
    fill(tmp_path, "data/dpo-00000-of-00001.jsonl")
    assert len(read(open_source(folder, split="sft"))) == 2
    with pytest.raises(InputError, match="no such split") as caught:
        open_source(folder)
    assert caught.value.expected == "dpo, sft"


def test_names_that_say_no_split_are_all_train(tmp_path: Path) -> None:
    folder = fill(tmp_path, "contest.jsonl", "trainings.jsonl", "interval.jsonl")
    assert len(read(open_source(folder))) == 3
    with pytest.raises(InputError, match="no such split"):
        open_source(folder, split="test")


def test_a_name_of_two_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several splits"):
        open_source(fill(tmp_path, "train_eval.jsonl", "train.jsonl"))


def test_a_single_file_has_the_split_that_its_name_says(tmp_path: Path) -> None:
    folder = Path(fill(tmp_path, "test.jsonl", "plain.jsonl"))
    for split in ("train", "test", None):
        assert read(open_source(str(folder / "test.jsonl"), split=split)) == ["test.jsonl"]
    with pytest.raises(InputError, match="a single file has no such split"):
        open_source(str(folder / "plain.jsonl"), split="test")


def test_the_only_split_may_be_asked_for(tmp_path: Path) -> None:
    assert read(open_source(fill(tmp_path / "a", "val.jsonl"), split=None)) == ["val.jsonl"]
    with pytest.raises(InputError, match="several splits"):
        open_source(fill(tmp_path / "b", "val.jsonl", "train.jsonl"), split=None)


def test_what_lies_beside_data_is_ignored_and_said(tmp_path: Path) -> None:
    folder = fill(tmp_path, "data/train-00000-of-00001.jsonl", "README.md", "LICENSE")
    fill(tmp_path, "LICENSE.txt", "dataset_infos.json", ".gitattributes", ".git/objects/x.jsonl")
    fill(tmp_path, "__pycache__/x.pyc", "load.py")
    rows = open_source(folder)
    assert len(read(rows)) == 1
    assert set(rows.ignored) == {
        *("README.md", "LICENSE", "LICENSE.txt", "dataset_infos.json", ".gitattributes"),
        *(".git", "__pycache__", "load.py"),
    }


def test_other_files_beside_data_are_refused_by_name(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a.jsonl", "b.xlsx")
    with pytest.raises(InputError, match=r"kind that is not read.*b\.xlsx.*move it away"):
        open_source(folder)
    with pytest.raises(InputError, match="two forms"):
        open_source(fill(tmp_path / "two", "a.jsonl", "a.ndjson"))
    with pytest.raises(InputError, match=r"no files with data.*README\.md"):
        open_source(fill(tmp_path / "none", "README.md"))
    with pytest.raises(InputError, match="committed dataset already"):
        open_source(fill(tmp_path / "done", "dataset.json", "leaves.bin"))


def test_an_empty_file_among_others_is_said(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a.jsonl", "b.jsonl")
    (tmp_path / "b.jsonl").write_text("")
    assert open_source(folder).curation == ["files without records: b.jsonl"]


# links


def test_links_of_the_caller_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "blobs", "3f2a.jsonl")
    fill(tmp_path / "elsewhere", "more.jsonl")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "a.jsonl").symlink_to("../blobs/3f2a.jsonl")
    (folder / "deep").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(folder)
    rows = open_source(str(tmp_path / "link"))
    assert read(rows) == ["3f2a.jsonl", "more.jsonl"]
    assert [entry["path"] for entry in rows.files] == ["a.jsonl", "deep/more.jsonl"]
    assert read(open_source(str(folder / "a.jsonl"))) == ["3f2a.jsonl"]


def test_a_link_to_nowhere_and_a_round_are_named(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").symlink_to("gone.jsonl")
    for name in (tmp_path, tmp_path / "d.jsonl"):
        with pytest.raises(InputError, match=r"link leads nowhere.*dvc pull"):
            open_source(str(name))
    (tmp_path / "d.jsonl").unlink()
    (tmp_path / "round").symlink_to(".")
    with pytest.raises(InputError, match="link leads back"):
        open_source(str(tmp_path))


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "d.jsonl")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        open_source(str(tmp_path / "d.jsonl"))
    with pytest.raises(InputError, match="neither a file nor a folder"):
        open_source(str(tmp_path))


def test_what_is_not_there_names_what_is_like_it(tmp_path: Path) -> None:
    fill(tmp_path / "data", "train.jsonl")
    for wrong in ("data/trian.jsonl", "datas/train.jsonl"):
        with pytest.raises(NotFound, match=r"did you mean .*data"):
            open_source(str(tmp_path / wrong))


def test_a_common_ending_makes_no_name_like_another(tmp_path: Path) -> None:
    fill(tmp_path, "str.jsonl", "d.jsonl")
    with pytest.raises(NotFound) as caught:
        open_source(str(tmp_path / "nothere.jsonl"))
    assert caught.value.hint == "check the spelling"


PART = st.sampled_from(
    [*(word for words in WORDS.values() for word in words), "part", "contest", "x"]
)
NAME = st.lists(st.tuples(PART, st.sampled_from(["-", "_", ".", "0", ""])), min_size=1, max_size=3)


@given(folder=NAME, name=NAME)
def test_split_names_are_those_of_datasets(
    tmp_path_factory: pytest.TempPathFactory,
    folder: list[tuple[str, str]],
    name: list[tuple[str, str]],
) -> None:
    """The library's patterns, for a file's own name and for the name of its folder."""
    data_files = pytest.importorskip("datasets.data_files")
    from fnmatch import fnmatchcase

    def said(text: str) -> set[str]:
        return {
            str(split)
            for split, words in data_files.SPLIT_KEYWORDS.items()
            for word in words
            for before in ("", "*[-._ 0-9]")
            for after in ("", "[-._ 0-9]*")
            if fnmatchcase(text, f"{before}{word}{after}")
        }

    own = "".join(map("".join, name)) + ".jsonl"
    outer = "".join(map("".join, folder))
    assert splits_of(own) == said(own)
    assert splits_of(f"{outer}/{own}") == (said(own) or said(outer))


def test_text_files_named_after_splits_hold_a_record_a_line(tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    assert read(open_source(str(tmp_path))) == ["one", "two"]
    (tmp_path / "more" / "train").mkdir(parents=True)
    (tmp_path / "more" / "train" / "a.txt").write_text("one\ntwo\n")
    assert read(open_source(str(tmp_path / "more"))) == ["one\ntwo\n"]


def test_columns_in_names_of_folders_are_said_to_be_none(tmp_path: Path) -> None:
    folder = fill(tmp_path, "year=2025/a.jsonl", "year=2026/a.jsonl")
    assert open_source(folder).curation == ["names of folders are no columns: year=2025, year=2026"]


def test_a_committed_dataset_below_is_no_data(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a.jsonl", "out/dataset.json", "out/leaves.bin", "out/private/x.sqlite")
    rows = open_source(folder)
    assert (read(rows), rows.ignored) == (["a.jsonl"], ["out"])
