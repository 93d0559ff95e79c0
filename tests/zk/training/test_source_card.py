"""The card of a cloned repository: which files its configuration puts in which split."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance_zk.training.sources import open_source
from provenance_zk.training.sources.card import read_card


def repository(folder: Path, configs: str, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'{{"text": "{name}"}}\n')
    (folder / "README.md").write_text(f"---\nlicense: mit\n{configs}---\n# About\n")
    return str(folder)


ONE = """configs:
- config_name: default
  data_files:
  - split: train
    path: "main/*.jsonl"
  - split: test
    path:
    - held.jsonl
    - more/**
"""


def test_the_card_decides_which_files_are_of_a_split(tmp_path: Path) -> None:
    names = ("main/a.jsonl", "main/b.jsonl", "main/deep/c.jsonl", "held.jsonl", "more/x/y.jsonl")
    folder = repository(tmp_path, ONE, *names)
    rows = open_source(folder)
    assert [row["text"] for row in rows] == ["main/a.jsonl", "main/b.jsonl"]
    assert rows.curation == [
        "split train: main/a.jsonl, main/b.jsonl",
        "configuration default of the repository's README.md",
        "files of other splits left out: held.jsonl, main/deep/c.jsonl, more/x/y.jsonl",
    ]
    held = open_source(folder, split="eval")
    assert [row["text"] for row in held] == ["held.jsonl", "more/x/y.jsonl"]


def test_one_of_several_configurations_must_be_the_default(tmp_path: Path) -> None:
    two = "configs:\n- config_name: en\n  data_dir: en\n- config_name: fr\n  data_files: fr/*\n"
    folder = repository(tmp_path, two, "en/train.jsonl", "en/test.jsonl", "fr/train.jsonl")
    with pytest.raises(InputError, match=r"several configurations.*en, fr.*name the file or fold"):
        open_source(folder)
    repository(tmp_path, two.replace("data_dir: en", "data_dir: en\n  default: true"))
    rows = open_source(folder)
    assert [row["text"] for row in rows] == ["en/train.jsonl"]
    assert rows.curation[1] == "configuration en of the repository's README.md"


@pytest.mark.parametrize(
    "text", ["", "# About\n", "---\nlicense: mit\n---\n", "---\nconfigs: []\n---\n", "--- no end"]
)
def test_a_card_may_say_nothing_of_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert read_card(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "configs: 1\n",
        "configs: [1]\n",
        "configs: [\n",
        "configs:\n- data_files: {a: 1}\n",
        "configs:\n- data_files: [[a]]\n",
        f"configs:\n- data_files: {['x'] * 1001}\n",
        f"configs:\n- data_files: {'x' * 1001}\n",
        "configs: " + "[" * 5000 + "\n",
    ],
    ids=lambda text: text[:30],
)
def test_a_card_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="card of the repository") as caught:
        open_source(repository(tmp_path, text, "a.jsonl"))
    assert "README.md" in str(caught.value.where)


def test_patterns_cannot_be_made_slow(tmp_path: Path) -> None:
    pattern = "**/" * 200 + "*a" * 190 + "b"
    folder = repository(
        tmp_path, f"configs:\n- data_files: '{pattern}'\n", "a" * 100 + "/" + "a" * 100 + ".jsonl"
    )
    card = read_card(Path(folder))
    assert card is not None
    assert card.splits_of("a/" * 60 + "a" * 100) == frozenset()
