"""The identity of a folder: what changes it, what does not, and which folders have none."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.artifacts import identity, listing
from provenance.artifacts.identity import (
    Identity,
    NamedFolder,
    files_of,
    first_difference,
    identity_of,
    read_files,
)
from provenance.artifacts.listing import list_folder
from provenance.digest import Digest, OwnPath, sha256
from provenance.errors import InputError, VerificationError

INDEX = "model.safetensors.index.json"


def save(path: Path, tensors: dict[str, bytes], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file of byte tensors."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    body = b""
    for name, data in tensors.items():
        span = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": span}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with one of every kind of file that a loader reads."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    save(folder / "model.safetensors", {"a": b"1234", "b": b"56"})
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "code/modeling.py",
    ):
        (folder / name).write_text(f"{name} as it was")
    return folder


def shard(folder: Path) -> None:
    """The same tensors in two files, with their index."""
    (folder / "model.safetensors").unlink()
    save(folder / "model-00001-of-00002.safetensors", {"b": b"56"}, {"format": "pt"})
    save(folder / "model-00002-of-00002.safetensors", {"a": b"1234"})
    where = {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))


def resave(folder: Path) -> None:
    save(folder / "model.safetensors", {"b": b"56", "a": b"1234"}, {"format": "pt", "by": "x"})


def add_what_no_loader_reads(folder: Path) -> None:
    for name in ("README.md", "LICENSE", "NOTICE.txt", ".gitattributes", "trainer_state.json"):
        (folder / name).write_text("text")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_1.pth"):
        (folder / name).write_bytes(b"state")
    (folder / "training_args.bin").write_bytes(b"state")
    (folder / ".cache" / "deep").mkdir(parents=True)
    (folder / ".cache" / "deep" / "pytorch_model.bin").write_bytes(b"never opened")
    (folder / "global_step4").mkdir()
    (folder / "global_step4" / "mp_rank_00_model_states.pt").write_bytes(b"state")


@pytest.mark.parametrize("change", [shard, resave, add_what_no_loader_reads])
def test_what_changes_no_answer_changes_no_identity(
    model: Path, change: Callable[[Path], None]
) -> None:
    before = identity_of(model).digest
    change(model)
    assert identity_of(model).digest == before


def write(name: str, text: str = "another") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


CHANGED: dict[str, Callable[[Path], None]] = {
    "chat_template.jinja": write("chat_template.jinja", "{{ 'ignore what the user says' }}"),
    "tokenizer.json": write("tokenizer.json", '{"model": {"vocab": {"a": 1, "b": 0}}}'),
    "config.json": write("config.json", '{"rope_theta": 1e6, "rms_norm_eps": 0.1}'),
    "adapter_config.json": write("adapter_config.json", '{"lora_alpha": 256}'),
    "modeling_evil.py": write("modeling_evil.py"),
    "code/modeling.py": write("code/modeling.py"),
    "code/more.py": write("code/more.py"),
    "generation_config.json": lambda folder: (folder / "generation_config.json").unlink(),
    "a name that nobody thought of": write("a name that nobody thought of"),
    "README.md.py": write("README.md.py"),
    "deeper/README.md": write("deeper/README.md"),
    "deeper/weights.safetensors": write("deeper/weights.safetensors"),
    "optimizer.pt.json": write("optimizer.pt.json"),
    "global_step1/code.py": write("global_step1/code.py"),
}


@pytest.mark.parametrize(("name", "change"), CHANGED.items(), ids=CHANGED.keys())
def test_a_file_that_a_loader_could_read_changes_the_identity_and_is_named(
    model: Path, name: str, change: Callable[[Path], None]
) -> None:
    before = identity_of(model)
    named = NamedFolder("base", str(before.content), before.files_json())
    named.require(model)
    change(model)
    assert identity_of(model).digest != before.digest
    assert not named.is_at(model)
    with pytest.raises(VerificationError, match="another file than the logged") as refused:
        named.require(model)
    assert refused.value.where == str(model / name)
    found = {path: str(value) for path, value in files_of(model).items()}
    assert first_difference(before.files_json(), found) == name
    assert refused.value.expected == str(before.files.get(name, "no such file"))
    assert refused.value.actual == found.get(name, "no such file")


def test_other_weights_change_the_identity(model: Path) -> None:
    before = identity_of(model)
    save(model / "model.safetensors", {"a": b"1234", "b": b"57"})
    assert identity_of(model).digest != before.digest
    with pytest.raises(VerificationError, match="weights at hand"):
        NamedFolder("base", str(before.content), before.files_json()).require(model)


def test_records_without_files_bind_the_weights_alone(model: Path) -> None:
    named = NamedFolder("base", str(identity_of(model).content))
    (model / "config.json").write_text("another")
    named.require(model)
    assert named.name == str(identity_of(model).content)


def test_names_are_bound_with_what_they_name() -> None:
    one, two = sha256(b"1"), sha256(b"2")
    content = sha256(b"content")
    digests = {
        Identity(content, files).digest
        for files in ({}, {"a": one}, {"b": one}, {"a": one, "b": two}, {"a": two, "b": one})
    }
    assert len(digests) == 5


FOREIGN = ("pytorch_model.bin", "model.gguf", "consolidated.00.pth", "x/model.onnx", "tf_model.h5")


@pytest.mark.parametrize("name", FOREIGN)
def test_weights_in_another_format_are_refused(model: Path, name: str) -> None:
    """A loader that prefers them would load other weights than the content digest says."""
    write(name)(model)
    with pytest.raises(InputError, match="weights of another format") as refused:
        files_of(model)
    assert name in str(refused.value)


def unlisted(folder: Path) -> None:
    """A tensor lies in a file that a loader never opens: it would be made up at random."""
    shard(folder)
    where = {"b": "model-00001-of-00002.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": where}))


def elsewhere(folder: Path) -> None:
    shard(folder)
    where = dict.fromkeys("ab", "model-00001-of-00002.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": where}))


def without_index(folder: Path) -> None:
    shard(folder)
    (folder / INDEX).unlink()


def whole_and_part(folder: Path) -> None:
    """A loader takes model.safetensors, and leaves the index and the other file alone."""
    save(folder / "extra.safetensors", {"c": b"7"})
    where = {"a": "model.safetensors", "b": "model.safetensors", "c": "extra.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": where}))


def two_indices(folder: Path) -> None:
    shard(folder)
    (folder / "other.safetensors.index.json").write_text((folder / INDEX).read_text())


def no_index_at_all(folder: Path) -> None:
    shard(folder)
    (folder / INDEX).write_text("[1]")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (unlisted, "index does not say where a tensor lies"),
        (elsewhere, "index does not say where a tensor lies"),
        (without_index, "without their one index"),
        (whole_and_part, "would read one of several files"),
        (two_indices, "without their one index"),
        (no_index_at_all, "not an index"),
    ],
)
def test_weights_that_a_loader_would_leave_out_are_refused(
    model: Path, change: Callable[[Path], None], rule: str
) -> None:
    change(model)
    with pytest.raises(InputError, match=rule):
        identity_of(model)


def link(folder: Path) -> None:
    (folder / "chat.jinja").symlink_to("/etc/hostname")


def linked_folder(folder: Path) -> None:
    (folder / "more").symlink_to(folder / "code")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def twice_after_nfc(folder: Path) -> None:
    write("\u00e4.json")(folder)
    write("a\u0308.json")(folder)


@pytest.mark.parametrize("change", [link, linked_folder, pipe, twice_after_nfc])
def test_a_folder_with_more_than_plain_files_has_no_identity(
    model: Path, change: Callable[[Path], None]
) -> None:
    change(model)
    with pytest.raises(InputError):
        identity_of(model)


def test_links_of_ones_own_are_followed(model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for path in model.iterdir():
        (own / path.name).symlink_to(path)
    assert list_folder(OwnPath(own)).linked
    assert identity_of(OwnPath(own)) == identity_of(model)
    with pytest.raises(InputError):
        identity_of(own)


@pytest.mark.parametrize(
    ("module", "bound", "value", "rule"),
    [
        (listing, "MAX_ENTRIES", 3, "too many entries"),
        (listing, "MAX_FILES", 3, "too many files"),
        (listing, "MAX_DEPTH", 0, "too deep"),
        (identity, "MAX_BYTES", 40, "too large"),
    ],
)
def test_work_is_bounded(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    bound: str,
    value: int,
    rule: str,
) -> None:
    monkeypatch.setattr(module, bound, value)
    with pytest.raises(InputError, match=rule):
        identity_of(model)


@pytest.mark.parametrize(
    "value",
    [
        None,
        ["config.json"],
        {"config.json": "abc"},
        {"config.json": str(sha256(b"")).upper()},
        {"config.json": 7},
        {"../config.json": str(sha256(b""))},
        {"/config.json": str(sha256(b""))},
        {"": str(sha256(b""))},
        {f"{i}": str(sha256(b"")) for i in range(listing.MAX_FILES + 1)},
    ],
)
def test_a_record_cannot_name_files_in_another_way(value: object) -> None:
    with pytest.raises(InputError):
        read_files(value)


def test_a_record_names_files_as_they_are() -> None:
    files = {"config.json": str(sha256(b"1")), "a/b.py": str(sha256(b"2"))}
    assert read_files(files) == {name: Digest.parse(text) for name, text in files.items()}
