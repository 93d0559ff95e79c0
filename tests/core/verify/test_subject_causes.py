"""What is asked about is a model file: what came in its place is named, and never judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance.verify.s01_artifact import identify


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<title>Sign in</title>", "web page"),
    ],
)
def test_what_came_in_the_place_of_a_model_is_named(
    tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "model.gguf").write_bytes(data)
    with pytest.raises(InputError, match=words):
        identify(str(tmp_path / "model.gguf"), None)


def test_a_misspelt_file_is_told_from_a_digest(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"did you mean model\.gguf"):
        identify(str(tmp_path / "modle.gguf"), None)
    with pytest.raises(InputError, match="no folder"):
        identify(str(tmp_path / "none" / "model.gguf"), None)


@pytest.mark.parametrize("subject", ["a\0b", "x" * 5000, "ab" * 31])
def test_what_can_be_no_file_is_refused_like_a_missing_one(subject: str) -> None:
    with pytest.raises(InputError, match="no such file, and not a digest"):
        identify(subject, None)


def test_any_other_file_may_be_asked_about(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"PK\x03\x04 whatever")
    assert identify(str(tmp_path / "file"), None).path == tmp_path / "file"
