"""Key folders in the cache: which class they are, and which one a deployment takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import Conflict, InputError, NotFound
from provenance_zk.prover.keys import INFO_FILE, WORDS_FILE, ceremony_key, find_key, load_key, vk_id

CEREMONY = {
    "class": "ceremony",
    "transcript": "sha256:" + "7a" * 32,
    "beacon": {"value": "1f" * 32, "source": "block 9"},
}


def folder(cache: Path, name: str, words: bytes, facts: dict[str, Any]) -> Path:
    path = cache / name
    path.mkdir(parents=True)
    (path / WORDS_FILE).write_bytes(words)
    info = {
        "format": "provenance-key/1",
        "kind": "epoch",
        "slots": 256,
        "depth": 0,
        "vkId": f"0x{vk_id(words).hex()}",
        "circuitDigest": "sha256:" + "00" * 32,
        "constraints": 774,
        "class": "dev",
    } | facts
    (path / INFO_FILE).write_text(json.dumps(info))
    return path


def test_a_ceremony_key_is_chosen_by_its_shape(toy: Any, tmp_path: Path) -> None:
    folder(tmp_path, "dev", toy.words, {})
    made = folder(tmp_path, "made", toy.words + bytes(32), CEREMONY)
    key = ceremony_key(tmp_path, "epoch", 256)
    assert (key.dir, key.klass, key.transcript, key.beacon) == (
        made,
        "ceremony",
        CEREMONY["transcript"],
        f"{'1f' * 32} (block 9)",
    )
    assert find_key(tmp_path, vk_id(toy.words)).klass == "dev"


@pytest.mark.parametrize("shape", [("epoch", 4096, 0), ("tree", 256, 5)])
def test_a_development_key_never_takes_a_missing_ones_place(
    toy: Any, tmp_path: Path, shape: tuple[str, int, int]
) -> None:
    folder(tmp_path, "dev", toy.words, dict(zip(("kind", "slots", "depth"), shape, strict=True)))
    with pytest.raises(NotFound, match="no ceremony key"):
        ceremony_key(tmp_path, *shape)


def test_two_ceremony_keys_of_one_shape_are_for_a_person_to_choose_from(
    toy: Any, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        folder(tmp_path, name, toy.words, CEREMONY)
    with pytest.raises(Conflict, match="several"):
        ceremony_key(tmp_path, "epoch", 256)


@pytest.mark.parametrize(
    "facts",
    [
        {"class": "ceremony"},
        CEREMONY | {"beacon": None},
        CEREMONY | {"transcript": None},
        CEREMONY | {"class": "dev"},
        CEREMONY | {"class": "official"},
        CEREMONY | {"beacon": {"value": "1f"}},
        CEREMONY | {"beacon": "1f"},
    ],
)
def test_a_class_without_its_facts_is_refused(
    toy: Any, tmp_path: Path, facts: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        load_key(folder(tmp_path, "key", toy.words, facts))
