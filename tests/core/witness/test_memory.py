"""What a witness remembers: durable before it signs, one step at a time, and never guessed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    OutputError,
    ProvenanceError,
    VerificationError,
)
from provenance.log.witness.cosignature import Cosignature
from provenance.merkle import EMPTY_ROOT, Tree
from provenance.witness.key import create_witness_key, load_witness_key
from provenance.witness.memory import Forgotten, Memory, Stale, Step
from tests.support.core.witnesses import MadeWitness

A = MadeWitness.make("witness.example/a")
TREE = Tree(bytes([i]) * 32 for i in range(9))
FORK = Tree(bytes([200 - i]) * 32 for i in range(9))
LOG = "log.example/1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Memory.prepare(tmp_path / "witness")
    return tmp_path / "witness"


@pytest.fixture
def memory(folder: Path) -> Iterator[Memory]:
    memory = Memory(folder)
    yield memory
    memory.close()


def step(old: int, size: int, tree: Tree = TREE, origin: str = LOG) -> Step:
    return Step(origin, old, size, tree.root(size), tuple(tree.consistency_proof(old, size)))


def sign() -> Cosignature:
    return Cosignature(A.key, 7, bytes(64))


def never() -> Cosignature:
    raise AssertionError("it signed")


def stored(folder: Path) -> list[int]:
    return [json.loads(p.read_text())["size"] for p in (folder / "heads").glob("*.json")]


def test_it_goes_on_from_where_it_signed_last_also_in_another_process(folder: Path) -> None:
    for old, size in ((0, 3), (3, 3), (3, 8)):
        memory = Memory(folder)
        memory.advance(step(old, size), sign)
        memory.close()
        assert stored(folder) == [size]


def test_logs_are_kept_apart(memory: Memory, folder: Path) -> None:
    memory.advance(step(0, 3), sign)
    memory.advance(step(0, 5, FORK, "log.example/2"), sign)
    memory.advance(step(3, 4), sign)
    assert sorted(stored(folder)) == [4, 5]


def test_a_step_from_elsewhere_is_told_where_it_stands(memory: Memory) -> None:
    with pytest.raises(Stale) as first:
        memory.advance(step(2, 3), never)
    memory.advance(step(0, 5), sign)
    for old, size in ((0, 5), (0, 3), (3, 5), (3, 8)):  # replays of older heads too
        with pytest.raises(Stale) as later:
            memory.advance(step(old, size), never)
        assert (first.value.size, later.value.size) == (0, 5)


@pytest.mark.parametrize(
    "fork",
    [
        Step(LOG, 5, 5, FORK.root(5), ()),
        Step(LOG, 5, 8, FORK.root(8), tuple(FORK.consistency_proof(5, 8))),
        Step(LOG, 5, 8, TREE.root(8), tuple(TREE.consistency_proof(5, 8)[1:])),
        Step(LOG, 5, 8, TREE.root(8), ()),
        Step(LOG, 5, 4, TREE.root(4), ()),
        Step(LOG, 5, 5, TREE.root(5), (bytes(32),)),
    ],
)
def test_a_fork_is_not_signed_and_not_remembered(memory: Memory, folder: Path, fork: Step) -> None:
    memory.advance(step(0, 5), sign)
    before = next((folder / "heads").glob("*.json")).read_bytes()
    with pytest.raises(VerificationError):
        memory.advance(fork, never)
    assert next((folder / "heads").glob("*.json")).read_bytes() == before


def test_a_proof_from_nothing_and_an_empty_log_with_a_root_are_refused(memory: Memory) -> None:
    for bad in (Step(LOG, 0, 5, TREE.root(5), (bytes(32),)), Step(LOG, 0, 0, bytes(32), ())):
        with pytest.raises(VerificationError):
            memory.advance(bad, never)
    memory.advance(Step(LOG, 0, 0, EMPTY_ROOT, ()), sign)


def test_two_who_ask_at_once_get_one_of_two_forks_signed(memory: Memory) -> None:
    """Both begin from the same head, many times; each goes on until both were refused or signed."""
    for number in range(30):
        origin, both = f"log.example/{number}", threading.Barrier(2)
        signed: list[bytes] = []

        def ask(
            tree: Tree,
            origin: str = origin,
            both: threading.Barrier = both,
            signed: list[bytes] = signed,
        ) -> None:
            def note() -> Cosignature:
                signed.append(tree.root(5))
                return sign()

            both.wait()
            for old in (0, 5):
                with suppress(Stale, VerificationError):
                    memory.advance(
                        Step(origin, old, 5, tree.root(5), ()),
                        note,
                    )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ask, (TREE, FORK)))
        assert len(set(signed)) == 1


def test_while_one_step_is_taken_no_other_is(memory: Memory) -> None:
    """The second one is checked only after the first was signed, so it is refused."""
    entered, free = threading.Event(), threading.Event()
    refused: list[ProvenanceError] = []

    def slow() -> Cosignature:
        entered.set()
        assert free.wait(20)
        return sign()

    def second() -> None:
        assert entered.wait(20)
        try:
            memory.advance(step(0, 5, FORK), never)
        except ProvenanceError as error:
            refused.append(error)

    threads = [
        threading.Thread(target=memory.advance, args=(step(0, 5), slow)),
        threading.Thread(target=second),
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(20)
    threads[1].join(0.2)
    assert threads[1].is_alive()  # it waits
    assert refused == []
    free.set()
    for thread in threads:
        thread.join(20)
    assert [type(error) for error in refused] == [Stale]


def test_another_process_is_kept_out(memory: Memory, folder: Path) -> None:
    with pytest.raises(Conflict, match="another process"):
        Memory(folder)
    memory.close()
    memory._fd = Memory(folder)._fd  # free again, and closed by the fixture


def test_it_is_on_disk_before_it_is_signed(memory: Memory, folder: Path) -> None:
    def look() -> Cosignature:
        assert stored(folder) == [5]
        return sign()

    memory.advance(step(0, 5), look)


def broken_heads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "heads").rmdir()
    (folder / "heads").write_text("no folder")


def full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)


def no_rename(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(path: Path, target: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("harm", [broken_heads, full_disk, no_rename])
def test_whoever_cannot_remember_does_not_sign(
    memory: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch, harm: object
) -> None:
    harm(folder, monkeypatch)  # type: ignore[operator]
    with pytest.raises((OutputError, Forgotten)):
        memory.advance(step(0, 5), never)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: text.replace('"size": 5', '"size": -5'),
        lambda text: text.replace('"size": 5', '"size": true'),
        lambda text: text.replace('"size"', '"sise"'),
        lambda text: text.replace("0x", "1x"),
        lambda text: text.replace(LOG, "log.example/2"),
        lambda text: text.replace("head/1", "head/2"),
    ],
)
def test_a_damaged_memory_signs_nothing(memory: Memory, folder: Path, damage: object) -> None:
    memory.advance(step(0, 5), sign)
    (path,) = (folder / "heads").glob("*.json")
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    for old in (0, 5):
        with pytest.raises(Forgotten, match="nothing is signed"):
            memory.advance(step(old, 8), never)
    path.unlink()
    path.symlink_to(folder / "nowhere")
    with pytest.raises(Forgotten):
        memory.advance(step(0, 8), never)


def test_a_folder_that_is_no_witnesss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--init"):
        Memory(tmp_path)


# The key.


def test_a_key_is_made_once_in_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = create_witness_key(path, "witness.example/w1")
    assert path.stat().st_mode & 0o777 == 0o600
    signer = load_witness_key(path)
    assert signer.key == key
    assert signer.sign("text\n", 9).is_of("text\n")
    before = path.read_bytes()
    with pytest.raises(Conflict):
        create_witness_key(path, "witness.example/w1")
    assert path.read_bytes() == before
    seed = before.decode().strip().split("+", 4)[4]
    assert seed not in repr(signer)
    with pytest.raises(InputError):
        create_witness_key(tmp_path / "other", "a name with blanks")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    create_witness_key(tmp_path / "key", "w")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(AuthError, match="chmod 600"):
        load_witness_key(tmp_path / "key")


def test_a_damaged_key_is_refused_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_witness_key(path, "w")
    text = path.read_text()
    *named, _, seed = text.strip().split("+", 4)
    for bad in (
        "",
        text[:-6],
        text.replace("+w+", "+v+"),
        text.removeprefix("PRIVATE+KEY+"),
        "+".join([*named, "00000000", seed]),
        text.replace(seed, seed[:-4]),
    ):
        path.write_text(bad)
        path.chmod(0o600)
        with pytest.raises(InputError, match="not a witness's key") as caught:
            load_witness_key(path)
        assert seed[:20] not in str(caught.value)
        assert caught.value.__cause__ is None
