"""What the class of the pinned keys does to a verdict.

Development keys mark it, and are denied in every environment but `local`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.judgement.policy import Policy
from provenance.judgement.trust import Key
from provenance.judgement.verdict import Status, Verdict
from tests.support.memory_run import EPOCH_KEY, TREE_KEY, MemoryRun

TRANSCRIPT = "sha256:" + "5e" * 32


def judged(environment: str, epoch: str, tree: str, policy: Policy | None = None) -> Verdict:
    run = MemoryRun()
    keys = tuple(
        Key("0x" + name.hex(), kind, klass, TRANSCRIPT if klass == "ceremony" else None)
        for name, kind, klass in ((EPOCH_KEY, "epoch", epoch), (TREE_KEY, "tree", tree))
    )
    run.trust = replace(run.trust, environment=environment, keys=keys)
    return run.judge(policy)


def marks(verdict: Verdict) -> list[str]:
    return [line.split()[0] for line in verdict.development if "development key" in line]


@pytest.mark.parametrize("environment", ["test", "production"])
def test_ceremony_keys_verify_anywhere_without_a_mark(environment: str) -> None:
    verdict = judged(environment, "ceremony", "ceremony")
    assert (verdict.status, verdict.development, verdict.word) == (Status.VERIFIED, (), "Verified")


def test_ceremony_keys_are_not_marked_on_a_local_chain_either() -> None:
    assert sorted(marks(judged("local", "dev", "dev"))) == ["epoch", "tree"]
    verdict = judged("local", "ceremony", "ceremony")
    assert (verdict.status, marks(verdict)) == (Status.VERIFIED, [])
    assert len(verdict.development) == 1  # the chain's own


@pytest.mark.parametrize(
    ("epoch", "tree", "marked"),
    [
        ("dev", "dev", {"epoch", "tree"}),
        ("ceremony", "dev", {"tree"}),
        ("dev", "ceremony", {"epoch"}),
    ],
)
@pytest.mark.parametrize(
    ("environment", "policy"),
    [("test", None), ("production", None), ("local", Policy(environment="test"))],
)
def test_one_development_key_is_enough_to_be_denied_outside_local(
    environment: str, policy: Policy | None, epoch: str, tree: str, marked: set[str]
) -> None:
    verdict = judged(environment, epoch, tree, policy)
    assert (verdict.status, verdict.exit_code, set(marks(verdict))) == (
        Status.POLICY_DENIED,
        6,
        marked,
    )
