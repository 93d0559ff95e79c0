"""Messages name what stands in the way: found by looking, told in words a user can act on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import yaml

from provenance.artifacts.content import content_digest
from provenance.causes import cause_of, content_cause, near, near_file, yaml_cause
from provenance.digest import open_regular
from provenance.errors import InputError, NotFound, OutputError
from provenance.judgement.policy import load_policy
from provenance.judgement.trust_file import load_trust
from provenance.layout import read_json, write_atomically
from provenance.verify.s01_artifact import identify


def cause(path: Path) -> str:
    with pytest.raises(OSError) as caught:
        path.read_bytes()
    return cause_of(caught.value)


def test_a_missing_file_is_told_from_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "trust.yaml").touch()
    assert cause(tmp_path / "trsut.yaml") == "there is no such file; did you mean trust.yaml?"
    assert cause(tmp_path / "password") == "there is no such file"
    assert cause(tmp_path / "a" / "b" / "c") == f"there is no folder {tmp_path / 'a'}"


def test_a_file_where_a_folder_is_expected_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    expected = f"{tmp_path / 'home'} is a file, not a folder"
    assert cause(tmp_path / "home" / "keystore" / "default.json") == expected
    with pytest.raises(FileExistsError) as made:
        (tmp_path / "home").mkdir(exist_ok=True)
    assert cause_of(made.value) == expected
    assert cause(tmp_path) == "it is a folder, not a file"


def test_links_are_named_with_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "file").touch()
    assert cause(tmp_path / "gone") == "it is a link to nothing (nowhere)"
    assert "symbolic link (to round)" in cause(tmp_path / "round")
    with pytest.raises(InputError) as caught:
        open_regular(tmp_path / "link")
    assert f"symbolic link (to {tmp_path / 'file'})" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may pass everywhere")
def test_a_forbidden_folder_is_named_with_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o000)
    found = cause(tmp_path / "shut" / "file")
    (tmp_path / "shut").chmod(0o700)
    assert found == f"no permission: {tmp_path / 'shut'} has mode 0000 and belongs to you"


def test_a_full_disk_is_told() -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert cause_of(caught.value) == "no space is left on its disk"


def test_other_numbers_keep_the_words_of_the_system(tmp_path: Path) -> None:
    assert cause_of(OSError(errno.ESRCH, "No such process")) == "No such process"
    assert cause_of(OSError("odd")) == "OSError"
    assert cause_of(OSError(errno.ENOENT, "No such file", 7)) == "No such file"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "nothing but blanks"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"<HTML lang=en>", "web page"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04", "zip"),
        ("{}".encode("utf-16"), "UTF-16"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{\0\0", "binary"),
    ],
)
def test_contents_tell_what_was_put_in_the_place_of_the_file(
    tmp_path: Path, data: bytes, words: str
) -> None:
    assert words in str(content_cause(data))
    (tmp_path / "value.json").write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_json(tmp_path / "value.json")


@pytest.mark.parametrize("data", [b"{}", b"a: b", b"version 1", b"text"])
def test_ordinary_texts_are_called_nothing_else(data: bytes) -> None:
    assert content_cause(data) is None


def test_a_pointer_in_the_place_of_weights_is_named(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 269060552\n"
    (tmp_path / "model.safetensors").write_bytes(pointer)
    with pytest.raises(InputError, match="git lfs pull"):
        content_digest(tmp_path)


def test_only_near_names_are_offered() -> None:
    assert near("q_porj", ["q_proj", "k_proj", "down_proj"]) == "q_proj"
    assert near("nothing", ["q_proj", "k_proj"]) is None
    assert near("x", []) is None


def test_an_ending_in_common_is_no_likeness() -> None:
    assert near_file("nothere.jsonl", ["str.jsonl", "there.jsonl"]) == "there.jsonl"
    assert near_file("nothere.jsonl", ["str.jsonl", "records.jsonl"]) is None
    assert near_file("data.json", ["data.jsonl", "x.json"]) == "data.jsonl"


def test_a_missing_json_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        read_json(tmp_path / "a" / "b.json")
    with pytest.raises(InputError, match="it is a folder"):
        read_json(tmp_path)


def test_what_cannot_be_written_is_an_output_error_and_leaves_what_was_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("kept")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="it is a folder"):
        write_atomically(tmp_path / "folder", b"new")
    with pytest.raises(OutputError, match="file is a file, not a folder"):
        write_atomically(tmp_path / "file" / "below", b"new")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder", "kept"]


def test_a_fault_of_yaml_is_one_line_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load("a: [1\nb: {")
    assert yaml_cause(caught.value) == "expected ',' or ']', but got ':', line 2, column 2"
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load("a: \x01")
    assert "special characters" in yaml_cause(caught.value)
    assert len(yaml_cause(ValueError("x" * 900))) == 200
    path = tmp_path / "file.yaml"
    path.write_text("a: [1\nb: {")
    for load in (load_trust, load_policy):
        with pytest.raises(InputError, match="line 2, column 2"):
            load(path)


def test_a_folder_in_the_place_of_a_model_file_leads_to_the_file(tmp_path: Path) -> None:
    for expected in (tmp_path, tmp_path / "release"):
        with pytest.raises(InputError, match="it is a folder") as caught:
            identify(str(tmp_path), None)
        assert caught.value.hint == f"name the model file in {expected}"
        (tmp_path / "release").mkdir(exist_ok=True)
