"""What an operator may do to a run's evidence, and a stranger on chain: never `verified`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.calls import EpochPoints
from provenance.chain.contracts import Reader
from provenance.chain.rpc import Rpc
from provenance.digest import sha256
from provenance.errors import RejectedError
from provenance.ids import NO_ADDRESS
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Key, Publisher, Trust
from provenance.judgement.verdict import Status
from provenance.log.anchoring import SignedHead
from provenance.log.record import Record
from provenance.log.tree import Head, RunLog
from provenance.merkle import Tree
from provenance.signing import sign_head
from provenance_zk.checker import SlowEngine
from tests.support import plain
from tests.support.chain import Lab
from tests.support.spine import (
    TIME,
    Data,
    Plan,
    Run,
    build_run,
    failing,
    prove,
    register_rows,
    word,
)


@pytest.fixture
def run(honest: Run, tmp_path: Path) -> Run:
    """The honest run with evidence that may be altered."""
    return honest.copy(tmp_path / "run")


# Journal


def change_batch(records: list[Record]) -> list[Record]:
    i = next(i for i, r in enumerate(records) if r.type == "batch")
    return [
        *records[:i],
        replace(records[i], fields=dict(records[i].fields) | {"tensors": plain.D["a"]}),
        *records[i + 1 :],
    ]


def change_time(records: list[Record]) -> list[Record]:
    return [replace(records[0], time="2020-01-01T00:00:00Z"), *records[1:]]


def exchange(records: list[Record]) -> list[Record]:
    return [*records[:3], records[4], records[3], *records[5:]]


@pytest.mark.parametrize(
    "change",
    [
        change_batch,
        change_time,
        exchange,
        lambda records: change_time(records)[:2],
    ],
    ids=["batch changed", "backdated", "exchanged", "backdated and cut short"],
)
def test_a_journal_edited_after_anchoring_fails(
    run: Run, change: Callable[[list[Record]], list[Record]]
) -> None:
    run.rewrite(change)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


def test_records_appended_after_the_release_change_nothing(run: Run) -> None:
    run.log(Record.make("run.close", TIME, status="finished", step=5, summary={}))
    assert run.judge().status is Status.VERIFIED


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2] + b"\xff" + data[len(data) // 2 + 1 :],
        lambda data: b"",
        lambda data: b"PROVJNL1" + bytes(100),
    ],
    ids=["flipped", "empty", "header"],
)
def test_a_damaged_journal_fails(run: Run, damage: Callable[[bytes], bytes]) -> None:
    run.folder.journal.write_bytes(damage(run.folder.journal.read_bytes()))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


@pytest.mark.parametrize("left", [-1, 2, 0])
def test_a_journal_that_lacks_records_is_not_checked(run: Run, left: int) -> None:
    run.rewrite(lambda records: records[:left])
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "release.logged" in {c.id for c in verdict.not_checked}


@pytest.mark.parametrize(
    "cut", [lambda data: data[: len(data) // 2], lambda data: data[:-1]], ids=["half", "torn"]
)
def test_a_journal_that_is_cut_short_is_not_checked(
    run: Run, cut: Callable[[bytes], bytes]
) -> None:
    run.folder.journal.write_bytes(cut(run.folder.journal.read_bytes()))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "records" in verdict.reason


def test_evidence_that_is_a_fifo_fails_and_is_not_waited_for(run: Run) -> None:
    run.folder.journal.unlink()
    os.mkfifo(run.folder.journal)
    assert run.judge().status in (Status.FAILED, Status.INDETERMINATE)
    run.folder.info.unlink()
    os.mkfifo(run.folder.info)
    assert run.judge().status is Status.INDETERMINATE


def test_no_evidence_is_undetermined(honest: Run, tmp_path: Path) -> None:
    verdict = honest.lab.judge(honest.file, tmp_path)
    assert (verdict.status, verdict.exit_code) == (Status.INDETERMINATE, 3)
    assert "release.logged" in {c.id for c in verdict.not_checked}


# Heads


def forked_head(run: Run, size: int) -> bytes:
    """A head of another history, signed by the run's own key."""
    session = run.lab.session()
    head = Head(run.run_id, size, Tree([sha256(b"other")] * size).root())
    return SignedHead(head, 9, sign_head(session.account, head, session.domain)).to_line()


def test_a_registry_refuses_a_forked_log(run: Run) -> None:
    session = run.lab.session()
    state = session.committed(run.run_id)
    fork = Tree([sha256(b"other")] * (state.size + 1))
    head = Head(run.run_id, state.size + 1, fork.root())
    with pytest.raises(RejectedError, match="refuses the call") as caught:
        session.commit(state.seq + 1, head, fork.consistency_proof(state.size))
    assert "NotConsistent" in str(caught.value.actual)


@pytest.mark.parametrize("size", [1, 5])
def test_two_signed_histories_fail(run: Run, size: int) -> None:
    run.folder.heads.write_bytes(run.folder.heads.read_bytes() + forked_head(run, size))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["head.signed"])
    assert "two histories" in verdict.reason


def test_a_head_signed_by_another_key_is_no_signature(run: Run) -> None:
    """Anybody can put one there: it verifies nothing, and accuses nobody."""
    stranger = run.lab.session("stranger")
    lines = run.folder.heads.read_bytes().splitlines()
    last = SignedHead.parse(lines[-1])
    forged = SignedHead(
        last.head, last.seq, sign_head(stranger.account, last.head, stranger.domain)
    )
    run.folder.heads.write_bytes(b"\n".join([*lines[:-1], forged.to_line()]))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "head.signed" in {c.id for c in verdict.not_checked}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"\n",
        b'{"run_id": "0x' + b"11" * 32 + b'", "seq": 1, "size": 1e999}\n',
        b"\xff\n",
    ],
    ids=["nested", "infinite", "bytes"],
)
def test_malformed_heads_are_no_signatures(run: Run, content: bytes) -> None:
    run.folder.heads.write_bytes(content)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "cannot be read" in verdict.reason


@pytest.mark.parametrize("what", ["link", "device", "pipe", "sparse"])
def test_heads_that_are_no_small_file_are_refused_by_name(
    run: Run, tmp_path: Path, what: str
) -> None:
    """A link to the honest heads, too: it could name any file of the verifier's."""
    heads = run.folder.heads
    (tmp_path / "heads").write_bytes(heads.read_bytes())
    heads.unlink()
    if what == "pipe":
        os.mkfifo(heads)
    elif what == "sparse":
        heads.touch()
        os.truncate(heads, 1 << 40)
    else:
        heads.symlink_to(tmp_path / "heads" if what == "link" else "/dev/zero")
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "one that is at hand cannot be read" in verdict.reason
    assert "provenance/heads.jsonl" in verdict.reason


@pytest.mark.parametrize("left", [0, None], ids=["empty", "no file"])
def test_missing_heads_are_not_checked(run: Run, left: int | None) -> None:
    run.folder.heads.unlink()
    if left is not None:
        run.folder.heads.touch()
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "head.signed" in {c.id for c in verdict.not_checked}


# Proofs


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def flip_word(words: list[Any], index: int) -> None:
    words[index] = f"0x{int(words[index], 16) ^ 1:064x}"


PROOF_EDITS: dict[str, Callable[[Any], None]] = {
    "a moved": lambda p: flip_word(p["a"], 0),
    "a at infinity": lambda p: p.update(a=["0x" + "00" * 32] * 2),
    "D changed": lambda p: p["commitments"].reverse(),
    "U at infinity": lambda p: p["commitments"].__setitem__(1, ["0x" + "00" * 32] * 2),
    "b product changed": lambda p: flip_word(p["public"], 4),
    "start shifted": lambda p: p["public"].__setitem__(2, f"0x{256:064x}"),
    "product plus r": lambda p: p["public"].__setitem__(3, plus_r(p["public"][3])),
    "pok changed": lambda p: p["poks"].reverse(),
    "another key": lambda p: p.update(vkId="0x" + "00" * 32),
    "another kind": lambda p: p.update(kind="tree"),
    "extra field": lambda p: p.update(extra=1),
    "not hex": lambda p: p.update(a=["x", "y"]),
}


def plus_r(text: str) -> str:
    from provenance_zk.field import R

    return f"0x{int(text, 16) + R:064x}"


@pytest.mark.parametrize("change", PROOF_EDITS.values(), ids=PROOF_EDITS.keys())
def test_a_mutated_epoch_proof_fails(run: Run, change: Callable[[Any], None]) -> None:
    edit(run.folder.epoch(0) / "proof-0.json", change)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


@pytest.mark.parametrize("name", ["a moved", "pok changed", "b product changed", "product plus r"])
def test_the_slow_engine_agrees_on_mutated_proofs(run: Run, name: str) -> None:
    edit(run.folder.epoch(0) / "proof-0.json", PROOF_EDITS[name])
    slow, fast = run.judge(engine=SlowEngine()), run.judge()
    assert (
        (slow.status, failing(slow))
        == (fast.status, failing(fast))
        == (Status.FAILED, ["epoch.proven"])
    )


@pytest.mark.parametrize(
    ("path", "claim"),
    [
        ("dataset/registration.json", "dataset.registered"),
        ("dataset/tree-0.json", "dataset.registered"),
        ("dataset/link-0.json", "dataset.registered"),
        ("epochs/0/proof-0.json", "epoch.proven"),
    ],
)
@pytest.mark.parametrize(
    "content",
    [None, b"", b"{}", b"[" * 100_000, b"\xff"],
    ids=["missing", "empty", "object", "nested", "bytes"],
)
def test_malformed_proofs_fail_and_missing_ones_are_not_checked(
    run: Run, path: str, claim: str, content: bytes | None
) -> None:
    file = run.folder.evidence / path
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    verdict = run.judge()
    if content is None:
        assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
        assert claim in {c.id for c in verdict.not_checked}
    else:
        assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


def test_a_proof_that_a_registration_needs_in_another_place_fails(run: Run) -> None:
    shutil.copy(run.folder.dataset / "link-0.json", run.folder.epoch(0) / "proof-0.json")
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


@pytest.fixture(scope="module")
def other(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A second honest run on the same dataset."""
    return build_run(lab, data, tmp_path_factory.mktemp("other"), Plan(model=b"other"))


def test_proofs_of_another_run_fail(run: Run, other: Run) -> None:
    shutil.copy(other.folder.epoch(0) / "proof-0.json", run.folder.epoch(0) / "proof-0.json")
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


def test_the_journal_of_another_run_fails(run: Run, other: Run) -> None:
    shutil.copy(other.folder.journal, run.folder.journal)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


def test_proofs_of_another_anchoring_fail(lab: Lab, data: Data, tmp_path: Path) -> None:
    """One epoch is anchored twice: the log names the second, the folder holds the proofs of the
    first.
    """
    run = build_run(lab, data, tmp_path, Plan(model=b"twice", release=False))
    shutil.copy(run.folder.epoch(0) / "proof-0.json", tmp_path / "first.json")
    (run.folder.secrets / "blindings.sqlite").unlink()
    prove(run, run.records(), 0, Plan())
    run.claim(run.log(run.release_record()))
    assert (verdict := run.judge()).status is Status.VERIFIED, verdict.reason
    assert "2 anchorings" in next(c.text for c in verdict.claims if c.id == "epoch.proven")
    shutil.copy(tmp_path / "first.json", run.folder.epoch(0) / "proof-0.json")
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


def test_the_registration_of_another_dataset_fails(lab: Lab, run: Run, tmp_path: Path) -> None:
    elsewhere = register_rows(lab, tmp_path, 24, seed=99)
    shutil.rmtree(run.folder.dataset)
    shutil.copytree(elsewhere.registered.folder, run.folder.dataset)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


@pytest.mark.parametrize("kind", ["epoch", "tree"])
def test_other_key_words_beside_the_log_fail(run: Run, kind: str) -> None:
    """The folder is named after the pinned key and holds another key's words."""
    keys = {"epoch": run.lab.keys.epoch, "tree": run.lab.keys.tree}
    wrong = keys["tree" if kind == "epoch" else "epoch"].words
    (run.folder.key(word(keys[kind].vk_id)) / "vk.words").write_bytes(wrong)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_altered_bases_of_the_order_fail(run: Run) -> None:
    file = run.folder.key(word(run.lab.keys.epoch.vk_id)) / "p_bases.bin"
    data = file.read_bytes()
    file.write_bytes(data[64:128] + data[:64] + data[128:])
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])
    assert run.judge(engine=SlowEngine()).status is Status.FAILED


# run.json and file metadata


def test_a_run_file_of_another_run_only_hides_the_evidence(run: Run) -> None:
    run.folder.info.write_text('{"run_id": "0x' + "22" * 32 + '"}')
    assert run.judge().status is Status.INDETERMINATE


@pytest.mark.parametrize("text", ["{}", "", "[1]", '{"run_id": 5}', '{"run_id": "0xzz"}', None])
def test_without_a_run_file_the_journal_says_which_run_it_is(run: Run, text: str | None) -> None:
    """What it says is compared with the chain, as all of it is."""
    if text is None:
        run.folder.info.unlink()
    else:
        run.folder.info.write_text(text)
    assert run.judge().status is Status.VERIFIED


def test_a_run_file_that_names_another_run_gives_no_verified(run: Run, other: Run) -> None:
    shutil.copy(other.folder.info, run.folder.info)
    verdict = run.lab.judge(other.file, run.folder.root)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


def test_a_file_whose_metadata_names_another_run_fails(honest: Run, other: Run) -> None:
    verdict = honest.judge(metadata={"provenance.run_id": word(other.run_id)})
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.named"])


def test_a_file_whose_metadata_names_its_run_is_verified(honest: Run) -> None:
    assert (
        honest.judge(metadata={"provenance.run_id": word(honest.run_id)}).status is Status.VERIFIED
    )


@pytest.mark.parametrize("claim", ["", "0x12", "sha256:" + "11" * 32, "x" * 64])
def test_metadata_that_is_no_run_id_claims_nothing(honest: Run, claim: str) -> None:
    assert honest.judge(metadata={"provenance.run_id": claim}).status is Status.VERIFIED


def test_a_changed_file_that_names_its_run_fails_and_says_what_was_released(
    honest: Run, tmp_path: Path
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"edited")
    verdict = honest.lab.judge(
        tmp_path / "model.gguf",
        honest.folder.root,
        metadata={"provenance.run_id": word(honest.run_id)},
    )
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.named"])
    assert str(honest.model) in verdict.reason


def test_a_changed_file_that_names_nothing_is_not_found(honest: Run, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"edited")
    verdict = honest.lab.judge(tmp_path / "model.gguf", honest.folder.root)
    assert (verdict.status, verdict.exit_code) == (Status.NOT_FOUND, 4)


def test_a_caller_who_names_another_run_fails(honest: Run, other: Run) -> None:
    verdict = honest.judge(release=other.run_id)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.named"])


# Strangers


def test_a_strangers_commit_to_a_run_is_refused(run: Run) -> None:
    stranger = run.lab.session("stranger")
    log = RunLog(run.folder.journal)
    size = log.refresh()
    state = stranger.committed(run.run_id)
    log.tree.append(sha256(b"squatting"))
    with pytest.raises(RejectedError) as caught:
        stranger.commit(state.seq + 1, log.head(run.run_id), log.tree.consistency_proof(size))
    assert "NotWriter" in str(caught.value.actual)


def test_a_strangers_release_of_a_run_is_refused(run: Run) -> None:
    stranger, records = run.lab.session("stranger"), run.records()
    record = records[run.release_index]
    tree = Tree(r.entry for r in records)
    path = tree.inclusion_proof(run.release_index)
    with pytest.raises(RejectedError) as caught:
        stranger.release(record, run.release_index, run.release_seq, path)
    assert "NotOwner" in str(caught.value.actual)


def test_a_strangers_anchoring_is_refused(run: Run, data: Data) -> None:
    with pytest.raises(RejectedError) as caught:
        run.lab.session("stranger").anchor_epoch(
            run.run_id, 0, EpochPoints(data.registered.dataset_id, 40, [(1, 2)], [(1, 2)])
        )
    assert "NotRunWriter" in str(caught.value.actual)


@pytest.fixture(scope="module")
def stolen(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole honest run by somebody nobody trusts, who releases a file of his own."""
    return build_run(
        lab, data, tmp_path_factory.mktemp("stolen"), Plan(session="thief", model=b"stolen")
    )


def test_a_release_by_an_untrusted_publisher_is_not_found(stolen: Run) -> None:
    verdict = stolen.judge()
    assert (verdict.status, verdict.exit_code) == (Status.NOT_FOUND, 4)


def test_a_release_of_somebody_elses_digest_does_not_shadow_the_owners(
    lab: Lab, data: Data, honest: Run, tmp_path: Path
) -> None:
    """A thief releases the honest model's digest: only the owner's claim counts."""
    build_run(lab, data, tmp_path, Plan(session="thief", model=b"model", prove=False))
    verdict = honest.judge()
    assert (verdict.status, verdict.release["owner"]) == (Status.VERIFIED, lab.session().address)


def test_the_same_release_is_verified_by_those_who_trust_its_publisher(stolen: Run) -> None:
    trust = replace(
        stolen.lab.trust, publishers=(Publisher(stolen.lab.session("thief").address, "thief"),)
    )
    assert stolen.judge(trust=trust).status is Status.VERIFIED


def test_a_stranger_releasing_somebody_elses_digest_is_not_found(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(
        lab,
        data,
        tmp_path,
        Plan(session="thief", model=b"never released by the owner", prove=False),
    )
    assert run.judge().status is Status.NOT_FOUND


# Trust


def altered(trust: Trust, **changes: Any) -> Trust:
    return replace(trust, **changes)


def repinned(trust: Trust, name: str, **changes: Any) -> Trust:
    """The trust file with one contract changed."""
    changed = {name: replace(trust.contracts[name], **changes)}
    return replace(trust, contracts={**trust.contracts, **changed})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: altered(t, chain_id=1),
        lambda t: altered(t, genesis="0x" + "00" * 32),
        lambda t: repinned(t, "registry", code_hash="0x" + "00" * 32),
        lambda t: repinned(t, "ledger", code_hash="0x" + "00" * 32),
        lambda t: repinned(t, "registry", address=NO_ADDRESS),
    ],
    ids=["chain id", "genesis", "registry code", "ledger code", "registry address"],
)
def test_another_chain_or_other_code_than_pinned_fails(
    honest: Run, change: Callable[[Trust], Trust]
) -> None:
    verdict = honest.judge(trust=change(honest.lab.trust))
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])


def test_contracts_pinned_in_each_others_place_are_undetermined(honest: Run) -> None:
    """Both contracts are pinned, but at the registry's address no registry answers."""
    trust = honest.lab.trust
    exchanged = {"registry": trust.contracts["ledger"], "ledger": trust.contracts["registry"]}
    crossed = altered(trust, contracts={**trust.contracts, **exchanged})
    assert honest.judge(trust=crossed).status is Status.INDETERMINATE


def test_a_reader_with_another_address_for_the_ledger_fails(honest: Run) -> None:
    """The reader takes the registry for the ledger."""
    lab = honest.lab
    registry = lab.deployment.registry
    reader = Reader(lab.chain.rpc(), {"registry": registry, "ledger": registry})
    verdict = honest.judge(reader=reader)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])


@pytest.mark.parametrize("kind", ["epoch", "tree"])
def test_an_untrusted_key_fails(honest: Run, kind: str) -> None:
    trust = honest.lab.trust
    kept = tuple(k for k in trust.keys if k.kind != kind)
    verdict = honest.judge(trust=altered(trust, keys=kept))
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_a_key_pinned_as_another_kind_fails(honest: Run) -> None:
    trust = honest.lab.trust
    wrong = tuple(
        Key(k.vk_id, "tree" if k.kind == "epoch" else "epoch", k.klass) for k in trust.keys
    )
    verdict = honest.judge(trust=altered(trust, keys=wrong))
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


@pytest.mark.parametrize("publishers", [(), (Publisher("0x" + "00" * 20, "nobody"),)])
def test_no_trusted_publisher_means_not_found(
    honest: Run, publishers: tuple[Publisher, ...]
) -> None:
    assert (
        honest.judge(trust=altered(honest.lab.trust, publishers=publishers)).status
        is Status.NOT_FOUND
    )


def test_a_publisher_trusted_until_before_the_release_does_not_count(honest: Run) -> None:
    publisher = replace(honest.lab.trust.publishers[0], to_block=1)
    assert (
        honest.judge(trust=altered(honest.lab.trust, publishers=(publisher,))).status
        is Status.NOT_FOUND
    )


@pytest.mark.parametrize(
    ("environment", "policy"),
    [("test", None), ("production", None), ("local", Policy(environment="production"))],
)
def test_development_keys_outside_local_are_denied(
    honest: Run, environment: str, policy: Policy | None
) -> None:
    verdict = honest.judge(trust=altered(honest.lab.trust, environment=environment), policy=policy)
    assert (verdict.status, verdict.exit_code, failing(verdict)) == (
        Status.POLICY_DENIED,
        6,
        ["policy.satisfied"],
    )


def test_a_policy_that_only_warns_says_so_and_lets_pass(honest: Run) -> None:
    verdict = honest.judge(policy=Policy(mode="warn", environment="production"))
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, ["policy.satisfied"])


def test_a_policy_that_requires_what_was_not_checked_is_undetermined(honest: Run) -> None:
    verdict = honest.judge(policy=Policy(require=frozenset({"merge.recomputed"})))
    assert (verdict.status, verdict.exit_code) == (Status.INDETERMINATE, 3)


# Chain


def test_a_chain_that_is_down_is_undetermined(honest: Run) -> None:
    trust = honest.lab.trust
    reader = Reader(Rpc("http://127.0.0.1:9", timeout_s=2), trust.addresses)
    verdict = honest.judge(reader=reader)
    assert (verdict.status, verdict.exit_code) == (Status.INDETERMINATE, 3)


def test_a_release_that_is_not_final_is_pending_and_then_verified(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"pending", final=False))
    verdict = run.judge()
    assert (verdict.status, verdict.exit_code) == (Status.PENDING, 3)
    lab.mine()
    assert run.judge().status is Status.VERIFIED


# Revocation


@pytest.mark.parametrize("type_", ["run.open", "checkpoint", "merge", "quantize", "release"])
def test_a_revoked_ancestor_revokes(lab: Lab, data: Data, tmp_path: Path, type_: str) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=f"revoked {type_}".encode(), prove=False))
    index = next(i for i, r in enumerate(run.records()) if r.type == type_)
    lab.session().final(lab.session().revoke(run.run_id, index, "poisoned"))
    verdict = run.judge()
    assert (verdict.status, verdict.exit_code, failing(verdict)) == (
        Status.REVOKED,
        7,
        ["not.revoked"],
    )
    assert "poisoned" in verdict.reason


def test_a_revoked_release_is_revoked_without_any_evidence(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"revoked bare", prove=False))
    lab.session().final(lab.session().revoke(run.run_id, run.release_index, "leak"))
    assert lab.judge(run.file).status is Status.REVOKED


def test_releasing_a_revoked_digest_again_does_not_bring_it_back(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"again"))
    lab.session().final(lab.session().revoke(run.run_id, run.release_index, "backdoor"))
    run.claim(run.log(run.release_record("again")))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])


def test_a_revoked_dataset_revokes_and_a_strangers_revocation_does_not(
    lab: Lab, tmp_path: Path
) -> None:
    own = register_rows(lab, tmp_path, 16, seed=5)
    run = build_run(lab, own, tmp_path, Plan(model=b"dataset"))
    stranger = lab.session("stranger")
    stranger.final(stranger.revoke_dataset(own.registered.dataset_id, "spite"))
    assert run.judge().status is Status.VERIFIED
    lab.session().final(
        lab.session().revoke_dataset(own.registered.dataset_id, "licence withdrawn")
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])


def test_whoever_registered_the_dataset_can_revoke_it(lab: Lab, tmp_path: Path) -> None:
    """The data belongs to somebody who is no publisher."""
    theirs = register_rows(lab, tmp_path, 16, session="dataowner", seed=6)
    run = build_run(lab, theirs, tmp_path, Plan(model=b"their data"))
    assert run.judge().status is Status.VERIFIED
    owner = lab.session("dataowner")
    owner.final(owner.revoke_dataset(theirs.registered.dataset_id, "consent withdrawn"))
    assert run.judge().status is Status.REVOKED


def test_a_stranger_cannot_revoke_a_record(honest: Run) -> None:
    with pytest.raises(RejectedError):
        honest.lab.session("stranger").revoke(honest.run_id, 0, "spite")


def test_a_key_of_the_attackers_own_making_is_not_taken_for_the_pinned_one(
    lab: Lab, honest: Run, tmp_path: Path
) -> None:
    """Whoever makes a key can forge its proofs.

    So its words must hash to the pinned id, whatever their folder is called.
    """
    run = honest.copy(tmp_path / "copy")
    pinned = run.folder.key("0x" + lab.keys.epoch.vk_id.hex()) / "vk.words"
    words = bytearray(pinned.read_bytes())
    words[-1] ^= 1
    pinned.write_bytes(bytes(words))
    verdict = run.judge()
    assert verdict.status is Status.FAILED
    failed = next(c for c in verdict.claims if c.holds is False)
    assert (failed.id, failed.text) == ("dataset.registered", "key id differs")


def test_a_damaged_copy_found_first_does_not_hide_the_honest_evidence(
    lab: Lab, honest: Run, tmp_path: Path
) -> None:
    """Evidence is untrusted: a folder added beside it must not make an honest model fail."""
    broken = honest.copy(tmp_path / "a-broken")
    broken.rewrite(lambda records: records[:-2])
    honest.copy(tmp_path / "b-honest")
    assert lab.judge(honest.file, tmp_path).status is Status.VERIFIED


def test_damaged_copies_alone_fail(lab: Lab, honest: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        honest.copy(tmp_path / name).rewrite(exchange)
    verdict = lab.judge(honest.file, tmp_path)
    assert verdict.status is Status.FAILED
    assert failing(verdict) == ["release.logged"]
