"""`proof verify` against forgeries: every file here satisfies some Groth16 equation, only the right
one is believed.

The secrets of the keys are known, so false statements have proofs too. What refuses them is
everything around the equation.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import Digest, sha256
from provenance_zk.audits.sorted_proofs import is_complete, words_of
from provenance_zk.audits.statement_file import Statement
from provenance_zk.field import R
from provenance_zk.prover.keys import vk_id
from tests.docs.documents import ROOT
from tests.support.trapdoor import TrapdoorKey
from tests.support.zk.desk import (
    ABSENT,
    DATASET,
    DIGEST,
    MEMBER,
    SORTED,
    TREE,
    Desk,
    absent,
    member,
    sorted_statement,
)


def test_a_member_is_verified_and_says_what_is_shown(desk: Desk) -> None:
    done = desk.verify(desk.write(member()))
    (verdict,) = done.json["verdicts"]
    assert (done.code, verdict["word"]) == (0, "Verified (development)")
    assert (
        verdict["reason"]
        == f"{DIGEST} is the digest of one of the 40 records under root {DATASET.hex0x}"
    )
    assert [c["id"] for c in verdict["claims"]] == [
        "key.pinned",
        "proof.valid",
        "statement.inputs",
        "dataset.named",
    ]
    assert (
        "that the dataset was used to train any model (provenance verify shows that)"
        in verdict["limits"]
    )
    assert "development key" in verdict["development"][0]


def test_the_slow_engine_agrees(desk: Desk) -> None:
    path = desk.write(member())
    slow = desk.verify(path, "--slow")
    assert slow.json == desk.verify(path).json
    assert "1 proofs in pure Python: about 1 s" in slow.err
    forged = desk.write(
        replace(member(), proof=replace(member().proof, c=MEMBER.prove(1, 2, 3, 4).c))
    )
    assert desk.failing(forged, "--slow") == desk.failing(forged) == ["proof.valid"]


def test_absence_needs_the_whole_sorted_set(desk: Desk) -> None:
    path = desk.write(absent())
    done = desk.verify(path)
    assert (done.code, done.json["verdicts"][0]["not_checked"]) == (3, ["dataset.sorted"])
    folder = desk.write_set(*map(sorted_statement, range(3)))
    assert desk.status(path, "--sorted", folder) == (0, "verified")
    assert desk.status(*folder.glob("*.json"), path, "--sorted", folder) == (0, "verified")
    assert desk.status(path, "--sorted", desk.folder / "nothing") == (3, "indeterminate")


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ([sorted_statement(0), sorted_statement(1)], "not complete"),
        ([sorted_statement(0), sorted_statement(2)], "not complete"),
        (
            [sorted_statement(0), sorted_statement(1), sorted_statement(1), sorted_statement(2)],
            "there twice",
        ),
        (
            [
                sorted_statement(0),
                sorted_statement(1),
                sorted_statement(2, DatasetRoot(0x1235, 5, 40)),
            ],
            "of this dataset",
        ),
        (
            [sorted_statement(0), sorted_statement(1), sorted_statement(2, first=999)],
            "followed by its neighbour",
        ),
        (
            [sorted_statement(0, next=999), sorted_statement(1), sorted_statement(2)],
            "followed by its neighbour",
        ),
        (
            [sorted_statement(0), sorted_statement(1), sorted_statement(2, root=0x1235)],
            "something else",
        ),
        ([sorted_statement(0), sorted_statement(1), sorted_statement(2, used=7)], "something else"),
        ([sorted_statement(0), sorted_statement(1), sorted_statement(2, more=1)], "something else"),
        ([sorted_statement(0), sorted_statement(1), sorted_statement(2, next=5)], "something else"),
        ([sorted_statement(0), sorted_statement(1, more=0), sorted_statement(2)], "something else"),
        (
            [
                sorted_statement(0),
                sorted_statement(1),
                sorted_statement(2),
                sorted_statement(0, k=3),
            ],
            "no such chunk",
        ),
        ([member(), sorted_statement(1), sorted_statement(2)], "several keys"),
        (
            [
                sorted_statement(0),
                sorted_statement(1),
                replace(sorted_statement(2), proof=replace(sorted_statement(2).proof, c=(1, 2))),
            ],
            "verify",
        ),
    ],
)
def test_a_sorted_set_with_a_wrong_chunk_fails(
    desk: Desk, statements: list[Statement], what: str
) -> None:
    done = desk.verify(desk.write(absent()), "--sorted", desk.write_set(*statements))
    assert done.code == 1
    claim = next(c for c in done.json["verdicts"][0]["claims"] if c["status"] == "fails")
    assert claim["id"] == "dataset.sorted"
    assert what in claim["text"]
    assert not is_complete(desk.folder / "set", DATASET) or what == "verify"


def test_a_chunk_under_another_key_is_refused(desk: Desk) -> None:
    """Even where that key is pinned: chunks of different sizes would leave holes."""
    other = TrapdoorKey("sorted", 16, 5, seed=2)
    desk.trust(SORTED, ABSENT, other)
    foreign = replace(sorted_statement(2), proof=other.prove(*sorted_statement(2).proof.public))
    folder = desk.write_set(sorted_statement(0), sorted_statement(1), foreign)
    assert desk.failing(desk.write(absent()), "--sorted", folder) == ["dataset.sorted"]


def test_a_sorted_set_under_an_unpinned_key_is_refused(desk: Desk) -> None:
    desk.trust(ABSENT)
    folder = desk.write_set(*map(sorted_statement, range(3)))
    assert desk.failing(desk.write(absent()), "--sorted", folder) == ["dataset.sorted"]


@pytest.mark.parametrize(
    "forged",
    [
        # a proof about one record in a file about another
        replace(member(), digest=sha256(b"another")),
        replace(member(), digest=Digest(DIGEST[:16] + bytes(16))),
        replace(absent(), digest=Digest(bytes(16) + DIGEST[16:])),
        replace(member(), dataset=replace(DATASET, root=0x1235)),
        replace(member(), dataset=replace(DATASET, count=41)),
        replace(member(), dataset=replace(DATASET, depth=6)),
        replace(absent(), dataset=replace(DATASET, count=39)),
        replace(sorted_statement(2), dataset=replace(DATASET, count=48)),
        sorted_statement(0, k=3),
        sorted_statement(0, k=R - 1),
        sorted_statement(1, used=15),
        sorted_statement(2, more=1),
    ],
)
def test_a_file_that_says_more_than_its_proof_fails(desk: Desk, forged: Statement) -> None:
    assert "statement.inputs" in desk.failing(desk.write(forged), named=forged.dataset)


@pytest.mark.parametrize(
    "other", [replace(DATASET, root=0x1235), replace(DATASET, count=39), replace(DATASET, count=41)]
)
@pytest.mark.parametrize("make", [member, absent])
def test_a_true_statement_about_another_dataset_fails(
    desk: Desk, make: Any, other: DatasetRoot
) -> None:
    """An understated count hides the records behind it.

    The file alone is consistent; only the dataset that the caller names shows the lie.
    """
    assert desk.failing(desk.write(make(other))) == ["dataset.named"]


def test_without_a_named_dataset_nothing_is_verified(desk: Desk) -> None:
    done = desk.verify(desk.write(member()), named=None)
    assert (done.code, done.json["verdicts"][0]["not_checked"]) == (3, ["dataset.named"])


def test_an_unpinned_key_shows_nothing(desk: Desk) -> None:
    desk.trust(SORTED, ABSENT)
    assert desk.failing(desk.write(member())) == ["key.pinned"]


def test_a_key_pinned_for_another_kind_shows_nothing(desk: Desk) -> None:
    text = (desk.folder / "trust.yaml").read_text()
    (desk.folder / "trust.yaml").write_text(text.replace("kind: member", "kind: absent"))
    assert desk.failing(desk.write(member())) == ["key.pinned"]


def test_another_keys_bytes_under_the_pinned_id_are_refused(desk: Desk) -> None:
    words_of(desk.folder, MEMBER.vk_id).write_bytes(TrapdoorKey("member", 1, 5, seed=2).words)
    assert desk.failing(desk.write(member())) == ["key.pinned"]


def test_missing_key_bytes_are_undetermined(desk: Desk) -> None:
    path = words_of(desk.folder, MEMBER.vk_id)
    elsewhere = desk.folder / "elsewhere" / path.parent.name / path.name
    elsewhere.parent.mkdir(parents=True)
    path.rename(elsewhere)
    assert desk.status(desk.write(member())) == (3, "indeterminate")
    assert desk.status(desk.write(member()), "--keys", desk.folder / "elsewhere") == (0, "verified")


@pytest.mark.parametrize(
    ("klass", "environment", "expected"),
    [
        ("dev", "local", (0, "Verified (development)")),
        ("dev", "test", (6, "Denied by policy")),
        ("dev", "production", (6, "Denied by policy")),
        ("ceremony", "local", (0, "Verified (development)")),
        ("ceremony", "production", (0, "Verified")),
    ],
)
def test_development_keys_count_only_in_a_local_environment(
    desk: Desk, klass: str, environment: str, expected: tuple[int, str]
) -> None:
    desk.trust(MEMBER, klass=klass, environment=environment)
    done = desk.verify(desk.write(member()))
    assert (done.code, done.json["word"]) == expected


def test_a_development_key_of_the_sorted_set_counts_too(desk: Desk) -> None:
    path, folder = desk.write(absent()), desk.write_set(*map(sorted_statement, range(3)))
    desk.trust(SORTED, ABSENT, klass="ceremony", environment="production")
    assert desk.status(path, "--sorted", folder) == (0, "verified")
    desk.trust(SORTED, ABSENT, klass="ceremony", environment="production", dev=SORTED)
    assert desk.status(path, "--sorted", folder) == (6, "policy_denied")


@pytest.mark.parametrize("key", [MEMBER, TREE])
def test_a_bare_proof_is_not_enough(desk: Desk, key: TrapdoorKey) -> None:
    """Its equation holds, but the file does not say what its inputs mean."""
    proof = member().proof if key is MEMBER else TREE.prove(1, 2, 3, 4, 5, 6, 7, 8)
    done = desk.verify(desk.write(proof.to_json()))
    assert (done.code, done.json["verdicts"][0]["not_checked"]) == (3, ["statement.inputs"])


@pytest.mark.parametrize(
    ("name", "code", "claim"),
    [
        ("epoch chunk 0", 3, "statement.inputs"),
        ("link chunk 0", 3, "statement.inputs"),
        ("epoch: D and P + X and - X", 1, "proof.valid"),
        ("forgery by D, unchecked", 1, "proof.valid"),
        ("forgery by U, unchecked", 1, "proof.valid"),
    ],
)
def test_bare_proofs_of_epochs_and_links_show_the_equation_at_most(
    desk: Desk, name: str, code: int, claim: str
) -> None:
    """Frozen proofs and attacks.

    An epoch must show the knowledge of all its commitments, a link that of D alone.
    """
    vectors = json.loads((ROOT / "tests" / "vectors" / "zk" / "groth16_epoch256.json").read_bytes())
    words, case = (
        bytes.fromhex(vectors["words"].removeprefix("0x")),
        next(c for c in vectors["cases"] if c["name"] == name),
    )
    path = words_of(desk.folder, vk_id(words))
    path.parent.mkdir(parents=True)
    path.write_bytes(words)
    text = (desk.folder / "trust.yaml").read_text()
    pinned = text.replace("kind: tree", "kind: epoch").replace(TREE.vk_id.hex(), vk_id(words).hex())
    (desk.folder / "trust.yaml").write_text(pinned)
    done = desk.verify(desk.write(case["proof"]))
    assert done.code == code
    assert [c["id"] for c in done.json["verdicts"][0]["claims"] if c["status"] != "holds"] == [
        claim
    ]
