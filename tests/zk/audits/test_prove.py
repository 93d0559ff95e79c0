"""Real proofs from end to end: the owner's commands make them, a third party checks them.

The third party has neither data nor salts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.saltstore import load_or_create_key
from provenance.dataset.writer import ManifestFacts
from provenance.digest import Digest, sha256
from provenance.encoding import dataset_record_digest
from provenance.errors import InputError, OutputError, RejectedError
from provenance.ids import Address
from provenance.judgement.facts import ChainIdentity, Contract
from provenance.judgement.trust import Key
from provenance.judgement.trust_file import render
from provenance.progress import silent
from provenance_zk.audits.proving import prove_sorted_set
from provenance_zk.audits.sorted_proofs import FOLDER, chunk_file, is_complete
from provenance_zk.audits.statement_file import Statement
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.training.commitments import DatasetCommitter
from tests.support.chain import cache_folder
from tests.support.zk.command import Call, Outcome
from tests.support.zk.python_tree import PythonTree

TEXTS = [f"record number {i}" for i in range(40)]  # three chunks of 16, the last one short
Commit = Callable[..., Path]


@pytest.fixture(scope="session")
def audit_keys(prover: ZkProver) -> dict[str, KeyFolder]:
    shapes = {"sorted": 16, "member": 1, "absent": 1}
    return {
        kind: ensure_keys(prover, cache_folder() / "keys", kind, slots, 5)
        for kind, slots in shapes.items()
    }


@pytest.fixture
def trust(audit_keys: dict[str, KeyFolder], tmp_path: Path) -> Path:
    contract = Contract(Address("0x" + "11" * 20), "0x" + "22" * 32)
    chain = ChainIdentity(31337, "0x" + "33" * 32, {"registry": contract, "ledger": contract})
    keys = tuple(Key(f"0x{key.vk_id.hex()}", kind, "dev") for kind, key in audit_keys.items())
    (tmp_path / "trust.yaml").write_text(render("local", chain, keys, ()))
    return tmp_path / "trust.yaml"


@pytest.fixture(scope="session")
def template(
    prover: ZkProver, audit_keys: dict[str, KeyFolder], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a salt key and a dataset proven sorted, made once."""
    folder = tmp_path_factory.mktemp("template")
    key, facts = load_or_create_key(folder / "salts.key"), ManifestFacts("test", "CC0-1.0", "text")
    rows = [{"text": text} for text in TEXTS]
    DatasetCommitter(PythonTree(), key).commit(rows, folder / "data", facts)
    with CommittedDataset.open(folder / "data", key) as opened:
        out = folder / "data" / FOLDER
        prove_sorted_set(opened, out, audit_keys["sorted"], prover, silent)
    return folder


@pytest.fixture
def proven(template: Path, home: Path, trust: Path, tmp_path: Path) -> Path:
    shutil.copy(template / "salts.key", home / "salts.key")
    shutil.copytree(template / "data", tmp_path / "data")
    return tmp_path / "data"


def root_of(folder: Path) -> DatasetRoot:
    with CommittedDataset.open(folder) as opened:
        return opened.root


def check(call: Call, dataset: Path, *args: object) -> Outcome:
    """As a third party: the data set's public root and the proofs, nothing else."""
    root = root_of(dataset)
    return call(
        "proof",
        "verify",
        *args,
        "--root",
        root.hex0x,
        "--depth",
        root.depth,
        "--count",
        root.count,
        "--json",
    )


def publish(dataset: Path, target: Path) -> Path:
    """The public proofs alone, in a folder of the third party's."""
    shutil.copytree(dataset / FOLDER, target)
    return target


def ask(call: Call, folder: Path, digest: Digest, out: Path) -> Outcome:
    return call("dataset", "contains", folder, "--digest", digest, "--prove", out, "--json")


def test_presence_and_absence_are_shown_to_a_third_party(
    proven: Path, call: Call, tmp_path: Path
) -> None:
    proofs = publish(proven, tmp_path / "published")
    assert sorted(p.name for p in proofs.glob("*.json")) == [
        "sorted-0.json",
        "sorted-1.json",
        "sorted-2.json",
    ]
    there, missing = tmp_path / "m" / "member.json", tmp_path / "a" / "absent.json"
    assert ask(call, proven, dataset_record_digest(TEXTS[0].encode()), there).code == 0
    assert ask(call, proven, sha256(b"nobody"), missing).code == 4
    done = check(call, proven, there, missing, *proofs.glob("*.json"), "--sorted", proofs)
    assert (done.code, done.json["word"], len(done.json["verdicts"])) == (
        0,
        "Verified (development)",
        5,
    )
    assert check(call, proven, missing).code == 3  # without the sorted set absence means nothing
    for file in (*proofs.rglob("*.json"), there, missing):
        assert not any(text.encode() in file.read_bytes() for text in TEXTS)


def test_the_ends_of_the_order_are_provable(proven: Path, call: Call, tmp_path: Path) -> None:
    for i, digest in enumerate((Digest(bytes(31) + b"\1"), Digest(b"\xff" * 32))):
        assert ask(call, proven, digest, tmp_path / f"{i}.json").code == 4
    assert (
        check(call, proven, tmp_path / "0.json", tmp_path / "1.json", "--sorted", proven).code == 0
    )


def test_the_slow_engine_agrees(proven: Path, call: Call, tmp_path: Path) -> None:
    ask(call, proven, sha256(b"nobody"), tmp_path / "absent.json")
    fast = check(call, proven, tmp_path / "absent.json", "--sorted", proven)
    assert (
        check(call, proven, tmp_path / "absent.json", "--sorted", proven, "--slow").json
        == fast.json
    )


def altered(path: Path, **changes: Any) -> Path:
    value = json.loads(path.read_text())
    value |= changes
    (path.with_name("altered.json")).write_text(json.dumps(value))
    return path.with_name("altered.json")


def test_forged_statement_files_fail(proven: Path, call: Call, tmp_path: Path) -> None:
    """A true proof dressed as another statement: another digest, root, count, or the other kind's
    claim.
    """
    path = tmp_path / "absent.json"
    ask(call, proven, sha256(b"nobody"), path)
    dataset = root_of(proven).to_json()
    for changes in (
        {"digest": str(dataset_record_digest(TEXTS[0].encode()))},
        {"dataset": dataset | {"root": f"0x{7:064x}"}},
        {"dataset": dataset | {"count": 39}},
    ):
        done = check(call, proven, altered(path, **changes), "--sorted", proven)
        assert (done.code, done.json["status"]) == (1, "failed")
    value = json.loads(path.read_text())
    value["proof"]["public"][2] = f"0x{dataset_record_digest(TEXTS[0].encode()).limbs[0]:064x}"
    forged = altered(
        path, digest=str(dataset_record_digest(TEXTS[0].encode())), proof=value["proof"]
    )
    done = check(call, proven, forged, "--sorted", proven)
    assert done.code == 1
    assert done.json["verdicts"][0]["claims"][1]["id"] == "proof.valid"
    assert done.json["verdicts"][0]["claims"][1]["status"] == "fails"


def test_proofs_of_another_dataset_fail(
    proven: Path, commit: Commit, call: Call, tmp_path: Path
) -> None:
    """A second dataset lacks the record: its absence proof and its chunks do not count for the
    first.
    """
    other = commit(TEXTS[1:], "other")
    assert call("dataset", "prove", other, "--slots", 16).code == 0
    asked = dataset_record_digest(TEXTS[0].encode())
    assert ask(call, other, asked, tmp_path / "absent.json").code == 4
    assert check(call, other, tmp_path / "absent.json", "--sorted", other).code == 0
    assert check(call, proven, tmp_path / "absent.json", "--sorted", proven).code == 1
    assert check(call, other, tmp_path / "absent.json", "--sorted", proven).code == 1
    mixed = publish(other, tmp_path / "mixed")
    shutil.copy(chunk_file(proven / FOLDER, 1), chunk_file(mixed, 1))
    assert check(call, other, tmp_path / "absent.json", "--sorted", mixed).code == 1
    chunk_file(mixed, 2).unlink()
    shutil.copy(chunk_file(other / FOLDER, 1), chunk_file(mixed, 1))
    assert check(call, other, tmp_path / "absent.json", "--sorted", mixed).code == 1


def test_a_proof_under_an_unpinned_key_fails(
    proven: Path, call: Call, tmp_path: Path, trust: Path, audit_keys: dict[str, KeyFolder]
) -> None:
    ask(call, proven, dataset_record_digest(TEXTS[0].encode()), tmp_path / "member.json")
    assert check(call, proven, tmp_path / "member.json").code == 0
    trust.write_text(trust.read_text().replace(audit_keys["member"].vk_id.hex(), "00" * 32))
    assert check(call, proven, tmp_path / "member.json").code == 1


# resuming


def test_valid_chunks_are_kept_and_others_made_anew(
    proven: Path, home: Path, prover: ZkProver, audit_keys: dict[str, KeyFolder]
) -> None:
    def prove_again() -> tuple[int, list[str]]:
        """(chunks of the set, what was said)."""
        said: list[str] = []
        with CommittedDataset.open(proven, load_or_create_key(home / "salts.key")) as opened:
            made = prove_sorted_set(opened, folder, audit_keys["sorted"], prover, said.append)
        return len(made), said

    folder = proven / FOLDER
    before = {k: chunk_file(folder, k).read_bytes() for k in range(3)}
    chunk_file(folder, 0).unlink()
    value = json.loads(before[1])
    value["proof"]["c"] = json.loads(before[2])["proof"]["c"]
    chunk_file(folder, 1).write_text(json.dumps(value))
    assert prove_again() == (3, ["chunk 1 of 2, 1 kept"])
    assert chunk_file(folder, 2).read_bytes() == before[2]
    assert is_complete(folder, root_of(proven))
    chunk_file(folder, 2).write_bytes(before[0])  # another chunk's proof
    assert prove_again() == (3, ["chunk 1 of 1, 2 kept"])
    assert prove_again() == (3, [])


@pytest.mark.parametrize("args", [["--slots", "17"], ["--slots", "0"], ["--slots", "4096"]])
def test_unknown_chunk_sizes_are_refused(commit: Commit, call: Call, args: list[str]) -> None:
    assert isinstance(call("dataset", "prove", commit(TEXTS), *args).error, InputError)


def test_a_folder_that_is_no_dataset_is_refused(call: Call, tmp_path: Path, commit: Commit) -> None:
    commit(TEXTS)
    assert isinstance(call("dataset", "prove", tmp_path).error, InputError)
    assert isinstance(
        call(
            "dataset", "contains", tmp_path, "--digest", sha256(b"x"), "--prove", tmp_path / "x"
        ).error,
        InputError,
    )


def test_places_that_cannot_be_written_are_told_first(
    proven: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "list").write_text(f"{sha256(b'nobody')}\n")
    for out in (tmp_path, tmp_path / "file" / "x"):
        assert isinstance(ask(call, proven, sha256(b"nobody"), out).error, OutputError)
    done = call(
        "dataset",
        "contains",
        proven,
        "--blocklist",
        tmp_path / "list",
        "--prove",
        tmp_path / "file",
    )
    assert isinstance(done.error, OutputError)
    assert isinstance(
        call("dataset", "prove", proven, "--slots", 16, "--out", tmp_path / "file").error,
        OutputError,
    )


def test_proofs_may_go_elsewhere(proven: Path, call: Call, tmp_path: Path) -> None:
    assert call("dataset", "prove", proven, "--slots", 16, "--out", tmp_path / "there").code == 0
    assert is_complete(tmp_path / "there", root_of(proven))


# erasure


def erase(call: Call, folder: Path, index: int) -> Outcome:
    with CommittedDataset.open(folder) as opened:
        leaf = opened.leaf(index).hex()
    return call("dataset", "erase", folder, "--index", index, "--confirm", leaf)


def test_after_an_erasure_older_proofs_stay_and_the_gap_is_undetermined(
    proven: Path, commit: Commit, call: Call, tmp_path: Path
) -> None:
    with CommittedDataset.open(proven) as opened:
        erased, neighbour, text = opened.digest(6), opened.digest(7), opened.canonical(6).decode()
    member, absent = tmp_path / "member.json", tmp_path / "absent.json"
    ask(call, proven, erased, member)
    ask(call, proven, sha256(b"nobody"), absent)
    done = erase(call, proven, 6)
    assert done.code == 0
    assert "warning" not in done.err  # the sorted set was there
    # proofs made before stay valid
    assert check(call, proven, member, absent, "--sorted", proven).code == 0
    assert ask(call, proven, erased, tmp_path / "gone.json").code == 3
    assert not (tmp_path / "gone.json").exists()
    assert ask(call, proven, neighbour, tmp_path / "neighbour.json").code == 0
    assert check(call, proven, tmp_path / "neighbour.json").code == 0
    # The set is whole, so nothing has to be made; with one chunk lost it never can be again.
    assert call("dataset", "prove", proven, "--slots", 16).code == 0
    chunk_file(proven / FOLDER, 0).unlink()
    refused = call("dataset", "prove", proven, "--slots", 16)
    assert isinstance(refused.error, RejectedError)
    assert "new version" in str(refused.error)
    # The next version proves the absence.
    following = commit([t for t in TEXTS if t != text], "next")
    assert call("dataset", "prove", following, "--slots", 16).code == 0
    assert ask(call, following, erased, tmp_path / "next.json").code == 4
    assert check(call, following, tmp_path / "next.json", "--sorted", following).code == 0


# blocklists


def test_a_blocklist_is_proven_absent_in_one_command(
    proven: Path, call: Call, tmp_path: Path
) -> None:
    digests = [sha256(bytes([i])) for i in range(3)]
    (tmp_path / "list").write_text("".join(f"{d}\n" for d in digests))
    done = call(
        "dataset",
        "contains",
        proven,
        "--blocklist",
        tmp_path / "list",
        "--prove",
        tmp_path / "out",
        "--json",
    )
    assert (done.code, done.json["counts"]["absent"]) == (0, 3)
    files = [Path(entry["proof"]) for entry in done.json["entries"]]
    assert [Statement.load(path).digest for path in files] == digests
    assert check(call, proven, *files, "--sorted", proven).code == 0


def test_absence_without_a_sorted_set_warns(
    commit: Commit, call: Call, trust: Path, tmp_path: Path
) -> None:
    done = ask(call, commit(TEXTS), sha256(b"nobody"), tmp_path / "a.json")
    assert "a proof of absence shows nothing without the dataset's sorted proofs" in done.err
