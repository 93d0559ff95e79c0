"""Logs as C2SP tiles and checkpoints, read by an implementation that others wrote."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from eth_account import Account

from provenance.errors import Conflict, InputError, OutputError, VerificationError
from provenance.ids import Address, RunId
from provenance.layout import RunFolder
from provenance.log.c2sp import (
    SIGNATURE_TYPE,
    checkpoint,
    parse_checkpoint,
    signed_checkpoint,
    tiles,
)
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.signing import Domain, sign_head
from provenance_cli.judge.log_export import export, read_signed_log
from tests.support.core.witnesses import MadeWitness, text_of
from tests.support.frozen import RUN_1
from tests.support.processes.golang import GO_ENVIRONMENT

CHECKER = Path(__file__).parent / "tlog"
KEY = Account.from_key(b"\x01" * 32)
SIGNER = KEY.address.lower()
DOMAIN = Domain(31337, Address("0x" + "ab" * 20))
RUN = RunId(b"\x07" * 32)


def entry(index: int) -> bytes:
    return hashlib.sha256(f"entry {index}".encode()).digest()


def write(folder: Path, sizes: list[int]) -> list[bytes]:
    """A log of the last size, with a checkpoint at each size."""
    entries = [entry(i) for i in range(sizes[-1])]
    for name, data in tiles(entries):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    tree = Tree(entries)
    (folder / "checkpoints").mkdir(parents=True)
    for size in sizes:
        head = Head(RUN, size, tree.root(size))
        text = signed_checkpoint(head, DOMAIN, SIGNER, sign_head(KEY, head, DOMAIN))
        (folder / "checkpoints" / str(size)).write_text(text)
        (folder / "checkpoint").write_text(text)
    return entries


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("tlog") / "tlog"
    subprocess.run(["go", "build", "-o", program, "."], cwd=CHECKER, check=True, env=GO_ENVIRONMENT)
    return program


def checked(checker: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([checker, folder], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "sizes", [[1], [1, 2, 255], [3, 256], [256, 257], [700, 1024], [255, 65_536, 65_800]], ids=str
)
def test_another_implementation_finds_inclusion_and_consistency(
    checker: Path, tmp_path: Path, sizes: list[int]
) -> None:
    write(tmp_path, sizes)
    done = checked(checker, tmp_path)
    assert done.returncode == 0, done.stderr
    trees, included, consistent = map(int, done.stdout.split())
    assert (trees, consistent) == (len(sizes), len(sizes) * (len(sizes) + 1) // 2)
    assert included >= len(sizes)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/1/000.p/2", "tile/entries/001"])
def test_another_implementation_sees_a_changed_tile(
    checker: Path, tmp_path: Path, name: str
) -> None:
    write(tmp_path, [300, 600])
    flip(tmp_path / name)
    assert checked(checker, tmp_path).returncode != 0


def test_another_implementation_sees_a_forked_checkpoint(checker: Path, tmp_path: Path) -> None:
    write(tmp_path, [300, 600])
    lines = (tmp_path / "checkpoints" / "300").read_text().split("\n")
    lines[2] = base64.b64encode(entry(0)).decode()
    (tmp_path / "checkpoints" / "300").write_text("\n".join(lines))
    assert checked(checker, tmp_path).returncode != 0


def test_paths_are_those_of_tlog_tiles() -> None:
    names = [name for name, _ in tiles([entry(0)] * 257)]
    assert names == [
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]
    far = [name for name, _ in tiles([b"x"] * (256 * 1001 + 5))]
    assert "tile/0/x001/000" in far
    assert "tile/entries/x001/001.p/5" in far


def test_an_empty_log_has_no_tiles() -> None:
    with pytest.raises(InputError, match="empty"):
        next(tiles([]))


def test_a_checkpoint_is_a_signed_note_of_three_lines() -> None:
    head = Head(RUN, 5, entry(5))
    signature = sign_head(KEY, head, DOMAIN)
    text, line = signed_checkpoint(head, DOMAIN, SIGNER, signature).split("\n\n")
    name, size, root = text.split("\n")
    assert (int(size), base64.b64decode(root)) == (5, entry(5))
    assert not set(name) & set(" +\n")
    mark, signed_as, packed = line.rstrip("\n").split(" ")
    assert (mark, signed_as) == ("—", name)
    data = base64.b64decode(packed)
    key = bytes.fromhex(SIGNER[2:])
    hashed = hashlib.sha256(name.encode() + b"\n" + SIGNATURE_TYPE + key).digest()
    assert (data[:4], data[4:]) == (hashed[:4], signature)


def test_a_real_runs_log_is_exported_and_read(checker: Path, tmp_path: Path) -> None:
    for _ in range(2):  # given again, it changes nothing
        export(RUN_1 / "run", tmp_path / "out")
        done = checked(checker, tmp_path / "out")
        assert (done.returncode, done.stdout.split()[0]) == (0, "8"), done.stderr


def test_cosignatures_stand_under_the_checkpoint_that_they_are_of(
    checker: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(RUN_1 / "run", run.root)
    log = read_signed_log(run.root)
    first, last = log.heads[0].head, log.heads[-1].head
    a, b = MadeWitness.make("witness.example/a"), MadeWitness.make("witness.example/b")
    run.cosignatures.write_bytes(
        b"damaged\n"
        + a.cosigned(last, log.domain, 7)
        + a.cosigned(last, log.domain, 9)
        + a.cosigned(last, log.domain, 8)
        + b.cosigned(first, log.domain, 9)
        + b.cosigned(first, log.domain, 9, last)  # of another head than it says
    )
    export(run.root, tmp_path / "out")
    text = (tmp_path / "out" / "checkpoint").read_text()
    assert text.count("— witness") == 1
    assert text.endswith(a.line(text_of(last, log.domain), 9) + "\n")
    text = (tmp_path / "out" / "checkpoints" / str(first.size)).read_text()
    assert text.endswith(b.line(text_of(first, log.domain), 9) + "\n")
    assert checked(checker, tmp_path / "out").returncode == 0


def test_an_origin_and_a_checkpoint_have_one_form() -> None:
    head = Head(RUN, 5, entry(5))
    text = checkpoint(head, DOMAIN)
    assert parse_checkpoint(text) == (DOMAIN, head)
    name, size, root = text.split("\n")[:3]
    for other in (
        name.replace("model", "modem"),
        name.replace(":31337", ":031337"),
        name.replace(":31337", ":-1"),
        name.replace(":31337", ":1_000"),
        name.replace("0xab", "0xAB"),
        name + "/",
        name[:-1],
        name + " ",
        "",
    ):
        with pytest.raises(InputError):
            parse_checkpoint(text.replace(name, other))
    for old, new in (
        (f"\n{size}\n", "\n05\n"),
        (f"\n{size}\n", "\n-5\n"),
        (f"\n{size}\n", "\n٥\n"),
        (f"\n{size}\n", f"\n{2**63}\n"),
        (root, root[:-4] + "===="),
        (root, "AAAA"),
        (root + "\n", root),
        (root + "\n", root + "\nextension\n"),
    ):
        with pytest.raises(InputError):
            parse_checkpoint(text.replace(old, new))


def test_a_head_of_another_log_is_not_exported(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN_1 / "run", run)
    heads = run / "provenance" / "heads.jsonl"
    first, *rest = heads.read_text().splitlines()
    heads.write_text("\n".join([first.replace('"size": ', '"size": 1'), *rest]) + "\n")
    with pytest.raises((VerificationError, InputError)):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_run_without_heads_and_an_output_that_is_a_file_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN_1 / "run", run)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError):
        export(run, tmp_path / "out")
    (run / "provenance" / "heads.jsonl").unlink()
    with pytest.raises(Conflict, match="no signed head"):
        export(run, tmp_path / "other")
