"""Committing a dataset: leaves hide records, and the order of rows does not matter.

Duplicates and malformed rows are named, and nothing is left half-written.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.writer import ManifestFacts
from provenance.digest import Digest
from provenance.encoding import dataset_record_bytes, dataset_record_digest
from provenance.errors import AuthError, Conflict, InputError, UnavailableError, VerificationError
from provenance_zk.field import parse_element
from provenance_zk.poseidon import poseidon
from provenance_zk.prover.client import ZkProver
from provenance_zk.training import spool
from provenance_zk.training.commitments import (
    CommitReport,
    DatasetCommitter,
    fast_leaves,
    leaf,
    leaves_of,
    root_of,
    tree_root,
)
from tests.support.zk.python_tree import PythonTree

KEY = b"k" * 32
FACTS = ManifestFacts("test", "CC0-1.0", "text")


def fixed_salts(size: int) -> bytes:
    return hashlib.shake_256(b"salts").digest(size)


def commit(rows: Any, out: Path, **options: Any) -> CommitReport:
    facts, tree = options.pop("facts", FACTS), options.pop("prover", PythonTree())
    return DatasetCommitter(tree, KEY, **options).commit(rows, out, facts)


def texts(*values: str) -> list[dict[str, str]]:
    return [{"text": value} for value in values]


def test_a_committed_dataset_passes_its_check(tmp_path: Path) -> None:
    report = commit(texts(*(f"record {i}" for i in range(20))), tmp_path / "d")
    with CommittedDataset.open(tmp_path / "d", KEY) as dataset:
        assert dataset.root == report.root
        assert (report.count, report.duplicates, report.removed) == (20, (), 0)
        checked = dataset.check(leaves_of, root_of)
        assert (checked.records, checked.leaves, checked.root) == (20, True, True)
        assert dataset.manifest["counts"] == {
            "records": 20,
            "bytes": sum(len(f"record {i}") for i in range(20)),
        }
        salts = {dataset.salt(i) for i in range(20)}
        assert len(salts) == 20
        for i in range(20):
            assert int(dataset.row(i)["text"].split()[1]) == dataset.source_row(i)


def test_the_prover_makes_the_same_leaves_and_root(tmp_path: Path, prover: ZkProver) -> None:
    rows = texts(*(f"record {i}" for i in range(40)))
    slow = commit(rows, tmp_path / "slow", random_bytes=fixed_salts)
    fast = commit(rows, tmp_path / "fast", random_bytes=fixed_salts, prover=prover)
    assert slow.root == fast.root
    assert (tmp_path / "slow" / "leaves.bin").read_bytes() == (
        tmp_path / "fast" / "leaves.bin"
    ).read_bytes()
    with CommittedDataset.open(tmp_path / "slow", KEY) as dataset:
        assert dataset.check(fast_leaves(prover), prover.leaf_root).root


def test_leaves_and_roots_are_those_of_the_vectors(vectors: Path) -> None:
    for case in json.loads((vectors / "tree.json").read_bytes())["cases"]:
        if case["count"] > 40:
            continue
        digests, salts = bytes.fromhex(case["digests"][2:]), bytes.fromhex(case["salts"][2:])
        leaves = [
            leaf(Digest(digests[32 * i : 32 * i + 32]), salts[31 * i : 31 * i + 31])
            for i in range(case["count"])
        ]
        assert [f"0x{x.hex()}" for x in leaves] == case["leaves"], case["name"]
        assert tree_root(
            [int.from_bytes(x, "big") for x in leaves], case["depth"]
        ) == parse_element(case["root"]), case["name"]


def test_roots_of_full_and_almost_empty_trees_follow_the_definition() -> None:
    empty = 0
    for _ in range(3):
        empty = poseidon([empty] * 16)
    assert tree_root([0], 3) == empty
    assert tree_root([5], 1) == poseidon([5] + [0] * 15)
    assert tree_root(list(range(16)), 1) == poseidon(list(range(16)))
    assert tree_root(list(range(17)), 2) == poseidon(
        [poseidon(list(range(16))), poseidon([16] + [0] * 15)] + [poseidon([0] * 16)] * 14
    )


@settings(max_examples=10, deadline=None)
@given(
    values=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda s: s.strip()),
        unique_by=lambda s: unicodedata.normalize("NFC", s),
        min_size=1,
        max_size=6,
    ),
    random=st.randoms(),
)
def test_the_root_does_not_depend_on_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("order")
    first = commit(texts(*values), folder / "a", random_bytes=fixed_salts)
    random.shuffle(values)
    assert commit(texts(*values), folder / "b", random_bytes=fixed_salts).root == first.root


def test_the_root_depends_on_every_record_and_salt(tmp_path: Path) -> None:
    roots = {
        commit(texts("a", "b"), tmp_path / "1", random_bytes=fixed_salts).root,
        commit(texts("a", "c"), tmp_path / "2", random_bytes=fixed_salts).root,
        commit(texts("a"), tmp_path / "3", random_bytes=fixed_salts).root,
        commit(texts("a", "b"), tmp_path / "4").root,  # fresh salts
        commit(texts("a", "b"), tmp_path / "5").root,
    }
    assert len(roots) == 5


# what leaves reveal


def test_a_dictionary_attack_on_the_leaves_fails_without_the_salts(tmp_path: Path) -> None:
    """An attacker who knows every possible record (a vote) and holds all public files cannot tell
    which are there.
    """
    dictionary = [f"I vote {word}" for word in ("yes", "no", "maybe", "never", "always")]
    commit(texts(*dictionary[:3]), tmp_path / "d")
    with CommittedDataset.open(tmp_path / "d", KEY) as dataset:
        public = {dataset.leaf(i) for i in range(3)}
        salts = [dataset.salt(i) for i in range(3)]
    digests = [dataset_record_digest(dataset_record_bytes({"text": text})) for text in dictionary]
    guesses = [
        bytes(31),
        b"\xff" * 31,
        *(digest[:31] for digest in digests),
        *(hashlib.sha256(d).digest()[:31] for d in digests),
    ]
    assert not public & {leaf(digest, salt) for digest in digests for salt in guesses}
    assert not public & {bytes(digest) for digest in digests}
    public_files = b"".join(
        path.read_bytes() for path in (tmp_path / "d").iterdir() if path.is_file()
    )
    assert not any(
        bytes(digest) in public_files or digest.hex().encode() in public_files for digest in digests
    )
    # With the salts the same attack succeeds: only they hide the records.
    assert public == {leaf(digest, salt) for digest in digests for salt in salts} & public


def test_equal_records_of_two_commitments_share_no_leaf(tmp_path: Path) -> None:
    commit(texts("same"), tmp_path / "a")
    commit(texts("same"), tmp_path / "b")
    assert (tmp_path / "a" / "leaves.bin").read_bytes() != (
        tmp_path / "b" / "leaves.bin"
    ).read_bytes()


@pytest.mark.parametrize("size", [0, 30, 32])
def test_a_salt_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InputError):
        leaf(Digest(bytes(32)), bytes(size))


# duplicates


def test_exact_duplicates_are_refused_with_a_list(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        commit(texts("a", "b", "a", "c", "b", "a"), tmp_path / "d")
    assert caught.value.what.startswith("dataset holds 3 exact duplicates")
    assert caught.value.actual == "row 2 repeats row 0; row 4 repeats row 1; row 5 repeats row 0"
    assert caught.value.hint is not None
    assert "--dedupe" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_long_list_of_duplicates_is_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        commit(texts(*["a"] * 50), tmp_path / "d")
    assert caught.value.actual is not None
    assert caught.value.actual.count("repeats") == 20
    assert caught.value.actual.endswith("and 29 more")


def test_dedupe_drops_and_records_them(tmp_path: Path) -> None:
    report = commit(
        texts("a", "b", "a", "c", "b"), tmp_path / "d", dedupe=True, random_bytes=fixed_salts
    )
    assert (report.count, report.removed, report.duplicates) == (3, 2, ((2, 0), (4, 1)))
    assert (
        report.root == commit(texts("a", "b", "c"), tmp_path / "e", random_bytes=fixed_salts).root
    )
    with CommittedDataset.open(tmp_path / "d") as dataset:
        assert dataset.manifest["duplicates_removed"] == 2
        assert sorted(dataset.source_row(i) for i in range(3)) == [0, 1, 3]


def test_texts_equal_after_nfc_are_one_record(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert composed != decomposed
    with pytest.raises(InputError, match="row 1 repeats row 0"):
        commit(texts(composed, decomposed), tmp_path / "d")
    commit(texts(decomposed), tmp_path / "d")
    with CommittedDataset.open(tmp_path / "d") as dataset:
        assert dataset.row(0) == {"text": composed}


def test_equal_first_halves_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        spool,
        "dataset_record_digest",
        lambda data: Digest(bytes(16) + hashlib.sha256(data).digest()[:16]),
    )
    with pytest.raises(InputError, match="first half"):
        commit(texts("a", "b"), tmp_path / "d")
    assert commit(texts("a"), tmp_path / "d").count == 1


# malformed rows and folders


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"a": float("nan"), "b": 1},
        {"a": 2**60, "b": 1},
        {"text": "\ud800"},
        {"a": object(), "b": 1},
    ],
)
def test_a_row_without_canonical_bytes_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="row 1"):
        commit([{"text": "good"}, row], tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_source_names_its_own_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 7"):
        commit([{}], tmp_path / "d", locate=lambda i: "line 7")


def test_a_source_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no records"):
        commit([], tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_a_conflict_before_any_row_is_read(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, str]]:
        raise AssertionError("read")
        yield {}

    (tmp_path / "d").mkdir()
    with pytest.raises(Conflict):
        commit(rows(), tmp_path / "d")


def test_whole_rows_can_be_committed(tmp_path: Path) -> None:
    rows = [{"q": f"why {i}", "blob": b"\x00\xff", "x": 0.25} for i in range(3)]
    commit(rows, tmp_path / "d", facts=ManifestFacts("test", "", None, ("q", "blob", "x")))
    with CommittedDataset.open(tmp_path / "d", KEY) as dataset:
        assert dataset.check(leaves_of, root_of).records == 3
        assert {dataset.row(i)["blob"] for i in range(3)} == {"AP8="}


def test_a_wrong_key_and_tampered_leaves_are_told_apart(tmp_path: Path) -> None:
    commit(texts("a", "b", "c"), tmp_path / "d")
    with pytest.raises(AuthError):
        CommittedDataset.open(tmp_path / "d", b"x" * 32)
    path = tmp_path / "d" / "leaves.bin"
    data = bytearray(path.read_bytes())
    data[33] ^= 1
    path.write_bytes(data)
    with CommittedDataset.open(tmp_path / "d", KEY) as dataset:
        with pytest.raises(VerificationError, match="record 1"):
            dataset.check(leaves_of)
        with pytest.raises(VerificationError, match="committed root"):
            dataset.check(root_function=root_of)


class Lying:
    """A prover that returns too few leaves."""

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        return bytes(32), 1


def test_a_prover_that_returns_too_few_leaves_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        commit(texts("a", "b"), tmp_path / "d", prover=Lying())
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int | None]] = {}
    commit(
        texts("a", "b", "a"),
        tmp_path / "d",
        dedupe=True,
        progress=lambda stage, done, total: seen.update({stage: (done, total)}),
    )
    assert seen == {"read": (3, 3), "tree": (2, 2), "write": (2, 2)}


def test_leaves_lie_in_the_order_of_digests(tmp_path: Path) -> None:
    commit(texts(*(str(i) for i in range(30))), tmp_path / "d")
    with CommittedDataset.open(tmp_path / "d", KEY) as dataset:
        digests = [dataset.digest(i) for i in range(30)]
        assert digests == sorted(digests)
        assert [leaf(dataset.digest(i), dataset.salt(i)) for i in range(30)] == [
            bytes(x) for x in np.asarray(dataset.leaves)
        ]
