"""Key folders in the cache: what is refused, and which one a deployment takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import Conflict, InputError, NotFound, VerificationError
from provenance.ids import KeyId
from provenance_zk.groth16.key import parse_key
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import (
    INFO_FILE,
    WORDS_FILE,
    KeyFolder,
    ceremony_key,
    ensure_keys,
    find_key,
    load_key,
    load_words,
    vk_id,
)

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
def test_a_development_key_never_replaces_a_missing_ceremony_key(
    toy: Any, tmp_path: Path, shape: tuple[str, int, int]
) -> None:
    folder(tmp_path, "dev", toy.words, dict(zip(("kind", "slots", "depth"), shape, strict=True)))
    with pytest.raises(NotFound, match="no ceremony key"):
        ceremony_key(tmp_path, *shape)


def test_two_ceremony_keys_of_one_shape_are_a_conflict(toy: Any, tmp_path: Path) -> None:
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


def inspect(prover: ZkProver, words: Path) -> dict[str, Any]:
    """Header of a verifying key, after the prover checked it."""
    return prover.request("inspect", {"words": str(words)})


def test_keys_are_made_once(prover: ZkProver, tmp_path: Path) -> None:
    made, again = (ensure_keys(prover, tmp_path, "member", 1, 1) for _ in range(2))
    assert (made.klass, made.kind, made.slots, made.depth) == ("dev", "member", 1, 1)
    assert again == made
    assert find_key(tmp_path, made.vk_id) == made
    assert parse_key(made.words).vk_id == made.vk_id
    assert inspect(prover, made.words_file)["vkId"] == str(made.vk_id)
    with pytest.raises(NotFound):
        find_key(tmp_path, KeyId(bytes(32)))
    with pytest.raises(NotFound):
        find_key(tmp_path / "nowhere", KeyId(bytes(32)))


def test_altered_words_are_refused(epoch_key: KeyFolder, tmp_path: Path, prover: ZkProver) -> None:
    for name in ("key.json", "vk.words"):
        (tmp_path / name).write_bytes((epoch_key.dir / name).read_bytes())
    assert load_key(tmp_path).vk_id == epoch_key.vk_id
    words = bytearray(epoch_key.words)
    words[-1] ^= 1
    (tmp_path / "vk.words").write_bytes(words)
    with pytest.raises(VerificationError):
        load_key(tmp_path)
    with pytest.raises(InputError):
        inspect(prover, tmp_path / "vk.words")


def test_files_that_are_no_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_key(tmp_path)
    with pytest.raises(NotFound):
        load_words(tmp_path / "vk.words")
    for text in (b"{", b"[]", b'{"format": "provenance-key/2"}'):
        (tmp_path / "key.json").write_bytes(text)
        with pytest.raises(InputError):
            load_key(tmp_path)
    for data in (b"", bytes(33), bytes(1 << 17)):
        (tmp_path / "vk.words").write_bytes(data)
        with pytest.raises(InputError):
            load_words(tmp_path / "vk.words")
