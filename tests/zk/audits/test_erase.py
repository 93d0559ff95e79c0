"""`dataset erase`: one record is gone from every file of the folder, its leaf stays, and what
cannot be reached is named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore, load_key
from provenance.dataset.tombstone import FILE_NAME, Tombstone, read_tombstones
from provenance.digest import tagged
from provenance.errors import AuthError, InputError, NotFound, VerificationError
from provenance_cli.dataset import erase as erase_commands
from provenance_zk.training import commitments
from tests.support.zk.command import Call
from tests.support.zk.erasing import TEXTS, leaf_of, make_run

Commit = Callable[..., Path]


def contents(folder: Path) -> bytes:
    return b"\0".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_nothing_of_the_record_is_left_in_any_file(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    with CommittedDataset.open(folder) as opened:
        text, digest = opened.canonical(6), opened.digest(6)
    assert text in contents(folder)
    assert bytes(digest) in contents(folder)
    leaf = leaf_of(folder, 6)
    done = call("dataset", "erase", folder, "--leaf", leaf, "--confirm", leaf[:10], "--json")
    assert (done.code, done.json["leaf_index"], done.json["leaf"]) == (0, 6, leaf)
    for needle in (text, bytes(digest), digest.hex().encode()):
        assert needle not in contents(folder)
    assert leaf_of(folder, 6) == leaf
    assert "never can be" in done.err  # `sorted` was not proven before
    assert digest.hex() not in done.out + done.err


def test_the_leaf_is_useless_without_its_salt(commit: Commit, call: Call, home: Path) -> None:
    """A dictionary attack: whoever has the text and every salt that is left finds no salt that
    opens the erased leaf.
    """
    folder = commit(TEXTS)
    with CommittedDataset.open(folder, load_key(home / "salts.key")) as opened:
        digest, salt, leaf = opened.digest(6), opened.salt(6), opened.leaf(6)
        assert commitments.leaf(digest, salt) == leaf  # before, the owner can open it
    assert call("dataset", "erase", folder, "--index", 6, "--confirm", leaf.hex()[:8]).code == 0
    with CommittedDataset.open(folder, load_key(home / "salts.key")) as opened:
        with pytest.raises(NotFound):
            opened.salt(6)
        left = [opened.salt(i) for i in range(20) if i != 6]
    assert all(
        commitments.leaf(digest, other) != leaf for other in [*left, bytes(31), b"\xff" * 31]
    )
    assert leaf != tagged("record", TEXTS[6].encode())
    assert salt not in contents(folder)


def test_salts_of_the_batches_that_used_it_go_too(
    commit: Commit, call: Call, home: Path, tmp_path: Path
) -> None:
    folder = commit(TEXTS)
    leaves = [leaf_of(folder, i) for i in range(20)]
    run = make_run(
        tmp_path / "run", home, [leaves[:4], leaves[4:8], leaves[8:12], [leaves[6], leaves[0]]]
    )
    done = call(
        "dataset",
        "erase",
        folder,
        "--index",
        6,
        "--confirm",
        leaves[6][:10],
        "--run",
        run.root,
        "--json",
    )
    assert done.json["batch_salts"] == [{"run": str(run.root), "batches": 2, "deleted": 2}]
    with SaltStore.open(
        run.secrets / "salts.sqlite", load_key(home / "salts.key"), create=False
    ) as salts:
        assert salts.ids(BATCH_SALTS) == [0, 2]
    again = call(
        "dataset",
        "erase",
        folder,
        "--index",
        6,
        "--confirm",
        leaves[6][:10],
        "--run",
        run.root,
        "--json",
    )
    assert again.json["batch_salts"][0]["deleted"] == 0
    assert again.json["tombstone"] == done.json["tombstone"]
    assert len(read_tombstones(folder)) == 1


def test_what_cannot_be_deleted_is_named(
    commit: Commit, call: Call, home: Path, tmp_path: Path
) -> None:
    folder = commit(TEXTS)
    run = make_run(tmp_path / "run", home, [[leaf_of(folder, 0)]])
    (run.root / "checkpoint-3").mkdir()
    done = call(
        "dataset",
        "erase",
        folder,
        "--index",
        0,
        "--confirm",
        leaf_of(folder, 0),
        "--run",
        run.root,
        "--json",
    )
    left = {(entry["what"], entry["path"]): entry["present"] for entry in done.json["left"]}
    assert left["source file", str(tmp_path / "data.jsonl")] is True
    assert left["weights trained with the record", str(run.root / "checkpoint-3")] is True
    assert (
        left[
            "cache of downloaded and prepared data sets", str(tmp_path / "huggingface" / "datasets")
        ]
        is False
    )
    assert any("backups" in what for what, _ in left)


def test_the_tombstone_is_signed_and_names_no_digest(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    with CommittedDataset.open(folder) as opened:
        digest = opened.digest(3)
    assert (
        call(
            "dataset", "erase", folder, "--digest", digest, "--confirm", leaf_of(folder, 3)[:10]
        ).code
        == 0
    )
    line = (folder / FILE_NAME).read_bytes()
    assert digest.hex().encode() not in line
    tombstone = Tombstone.parse(line)
    assert f"0x{tombstone.leaf.hex()}" == leaf_of(folder, 3)
    for altered in (
        line.replace(tombstone.leaf.hex().encode(), b"00" * 32),
        line.replace(tombstone.signer.encode(), b"0x" + b"11" * 20),
        line.replace(tombstone.signature.hex().encode()[:8], b"00000000"),
    ):
        assert altered != line
        with pytest.raises(VerificationError):
            Tombstone.parse(altered)
    for malformed in (
        b"{",
        b"[]",
        line.replace(b'"record"', b'"recor"'),
        line.replace(b"tombstone", b"curation"),
        line.replace(b'"signature":"0x', b'"signature":"0y'),
        b" " + line,
    ):
        with pytest.raises(InputError):
            Tombstone.parse(malformed)


@pytest.mark.parametrize(
    "confirm",
    [[], ["--confirm", ""], ["--confirm", "0x"], ["--confirm", "0x0000000"], ["--confirm", "yes"]],
)
def test_off_a_terminal_nothing_is_erased_without_the_leaf(
    commit: Commit, call: Call, confirm: list[str]
) -> None:
    folder = commit(TEXTS)
    before = contents(folder)
    done = call("dataset", "erase", folder, "--index", 2, *confirm)
    assert isinstance(done.error, InputError)
    assert done.error.hint == "nothing was erased"
    assert contents(folder) == before


@pytest.mark.parametrize(("typed", "code"), [("right", 0), ("00000000", 2), ("", 1)])
def test_at_a_terminal_the_leaf_is_typed(
    commit: Commit, call: Call, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    folder = commit(TEXTS)
    text = leaf_of(folder, 2)[:10] if typed == "right" else typed
    monkeypatch.setattr(
        erase_commands, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    )
    done = call("dataset", "erase", folder, "--index", 2, typed=f"{text}\n" if text else "")
    assert done.code == code
    with CommittedDataset.open(folder) as opened:
        assert opened.erased() == ([2] if code == 0 else [])


def test_a_run_under_another_salt_key_erases_nothing(
    commit: Commit, call: Call, home: Path, tmp_path: Path
) -> None:
    folder = commit(TEXTS)
    leaf = leaf_of(folder, 2)
    good = make_run(tmp_path / "good", home, [[leaf]])
    bad = make_run(tmp_path / "bad", home, [[leaf]])
    for file in bad.secrets.iterdir():
        file.unlink()
    SaltStore.open(bad.secrets / "salts.sqlite", b"\7" * 32).close()
    done = call(
        "dataset",
        "erase",
        folder,
        "--index",
        2,
        "--confirm",
        leaf,
        "--run",
        good.root,
        "--run",
        bad.root,
    )
    assert isinstance(done.error, AuthError)
    with (
        CommittedDataset.open(folder) as opened,
        SaltStore.open(good.secrets / "salts.sqlite", load_key(home / "salts.key")) as salts,
    ):
        assert opened.erased() == []
        assert salts.ids(BATCH_SALTS) == [0]


def test_a_wrong_password_erases_nothing(commit: Commit, call: Call, tmp_path: Path) -> None:
    folder = commit(TEXTS)
    (tmp_path / "password").write_text("another\n")
    done = call("dataset", "erase", folder, "--index", 2, "--confirm", leaf_of(folder, 2))
    assert isinstance(done.error, AuthError)
    with CommittedDataset.open(folder) as opened:
        assert opened.erased() == []


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ([], InputError),
        (["--index", "2", "--leaf", "0x" + "00" * 32], InputError),
        (["--index", "20"], InputError),
        (["--index", "-1"], InputError),
        (["--leaf", "0x12"], InputError),
        (["--leaf", "0x" + "00" * 32], NotFound),
        (["--digest", "sha256:12"], InputError),
        (["--digest", "sha256:" + "00" * 32], NotFound),
        (["--index", "2", "--file", "x"], InputError),
        (["--index", "2", "--run", "nowhere"], NotFound),
        (["--check", "--index", "2"], InputError),
        (["--check", "--confirm", "0x"], InputError),
        (["--check", "--file", "nowhere"], InputError),
        (["--check", "--run", "nowhere"], NotFound),
    ],
)
def test_bad_options_erase_nothing(
    commit: Commit, call: Call, args: list[str], error: type[Exception]
) -> None:
    folder = commit(TEXTS)
    before = contents(folder)
    assert isinstance(call("dataset", "erase", folder, *args).error, error)
    assert contents(folder) == before


def test_an_unknown_key_name_erases_nothing(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    done = call(
        "dataset", "erase", folder, "--index", 2, "--confirm", leaf_of(folder, 2), "--key", "nobody"
    )
    assert isinstance(done.error, InputError)
    with CommittedDataset.open(folder) as opened:
        assert opened.erased() == []
