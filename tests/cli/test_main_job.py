"""What a finished main job looks like from outside, and what the commands say about tampered copies
of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance_trainer.formats.gguf_file import read_header
from tests.cli.conftest import Job, run_cli


def claims(verdict: dict) -> dict[str, str]:
    return {c["id"]: c["status"] for c in verdict["claims"]}


def test_released_file_is_verified_and_says_what_was_not_checked(job: Job) -> None:
    done = job("verify", job.file, "--evidence", job.run, "--json")
    assert done.code == 0
    assert done.json["word"] == "Verified (development)"
    assert done.json["not_checked"] == [
        "merge.recomputed",
        "base.recomputed",
        "batches.recomputed",
        "data.fed",
        "training.replayed",
    ]


def test_with_base_and_data_everything_but_the_gradients_is_recomputed(job: Job) -> None:
    done = job(
        "verify",
        job.file,
        "--evidence",
        job.run,
        "--base",
        "tiny",
        "--with-data",
        job.dataset,
        "--json",
    )
    assert done.code == 0
    assert done.json["not_checked"] == ["training.replayed"]
    assert {e["kind"]: e["grade"] for e in done.json["edges"]} == {
        "trained_on": "proven",
        "adapter_from": "anchored",
        "finetuned_from": "anchored",
        "merged_from": "recomputed",
        "quantized_from": "recomputed",
        "committed_as": "recomputed",
    }


def test_the_slow_verifier_agrees(job: Job) -> None:
    assert job("verify", job.file, "--evidence", job.run, "--slow").code == 0


def test_digest_alone_is_verified_without_the_file(job: Job) -> None:
    digest = job("find", _digest(job.file), "--evidence", job.run, "--json").json["digest"]
    done = job("verify", digest, "--evidence", job.run, "--json")
    assert done.code == 0
    assert claims(done.json)["file.recomputed"] == "not_checked"


def test_gate_passes_and_writes_the_verdict(job: Job, tmp_path: Path) -> None:
    assert (
        job(
            "gate",
            job.file,
            "--evidence",
            job.run,
            "--json-out",
            tmp_path / "verdict.json",
            "--sarif-out",
            tmp_path / "verdict.sarif",
        ).code
        == 0
    )
    (run,) = json.loads((tmp_path / "verdict.sarif").read_text())["runs"]
    assert run["properties"]["status"] == "verified"
    assert all(result["level"] == "none" for result in run["results"])
    assert json.loads((tmp_path / "verdict.json").read_text())["status"] == "verified"


def test_gate_denies_a_development_chain_outside_local(job: Job, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("format: provenance-policy/1\nenvironment: production\n")
    done = job("gate", job.file, "--evidence", job.run, "--policy", policy)
    assert done.code == 6
    assert "DENIED" in done.out


def test_gate_does_not_pass_what_the_policy_requires_but_nobody_checked(
    job: Job, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "format: provenance-policy/1\nrequire: [artifact.identified, batches.recomputed]\n"
    )
    assert job("gate", job.file, "--evidence", job.run, "--policy", policy).code == 3


def test_one_flipped_bit_names_tensor_block_and_code(job: Job, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(job.file, copy)
    tensor = next(t for t in read_header(copy).tensors.values() if t.name == "blk.1.attn_q.weight")
    with copy.open("r+b") as stream:
        stream.seek(tensor.start + 34 * 3 + 2 + 5)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    done = job("verify", copy, "--evidence", job.run, "--json")
    failure = next(c for c in done.json["claims"] if c["id"] == "file.recomputed")
    assert done.code == 1
    assert failure["where"].startswith("blk.1.attn_q.weight block 3 ")
    assert abs(int(failure["expected"]) - int(failure["actual"])) == 1


def test_truncated_file_names_expected_and_actual_size(job: Job, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(job.file.read_bytes()[:-100])
    done = job("verify", copy, "--evidence", job.run)
    assert done.code == 2
    assert "expected" in done.err
    assert "actual" in done.err


def test_a_file_that_nobody_released_is_not_found(job: Job, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"nobody released this")
    assert job("verify", other, "--evidence", job.run).code == 4


def test_records_transactions_and_proofs_are_found_by_their_digests(job: Job) -> None:
    release = job("release", job.run, "--json").json  # repeated: nothing new is released
    for handle, kind in (
        (release["model"], "release"),
        (release["tx"], "transaction"),
        (release["run_id"], "run"),
        (_digest(job.run / "provenance/epochs/0/proof-0.json"), "file"),
    ):
        done = job("find", handle, "--evidence", job.run, "--json")
        assert done.code == 0
        assert kind in {m["kind"] for m in done.json["matches"]}


def test_a_name_is_found_only_where_a_trusted_publisher_claimed_it(
    job: Job, tmp_path: Path
) -> None:
    name = job("release", job.run, "--json").json["name"]
    planted = RunFolder(tmp_path / "planted")
    shutil.copytree(job.run, planted.root)
    release = next(r for r in read_records(planted.journal) if r.type == "release")
    with Journal.open(planted.journal) as journal:
        for change in ({"model": "sha256:" + 64 * "5"}, {"name": "other"}):
            journal.append(Record.make("release", **release.fields | change).to_bytes())
    done = job("find", name, "--evidence", planted.root, "--json")
    assert done.code == 0, done.err
    (match,) = done.json["matches"]
    assert match["model"] == release.fields["model"]
    for unclaimed in ("other", "nobody"):
        done = job("find", unclaimed, "--evidence", planted.root)
        assert done.code == 4
        assert "no trusted publisher claimed" in done.err
    assert job("find", name, "--evidence", planted.root, "--offline").code == 2


def test_fsck_agrees_and_finds_an_altered_run_json(job: Job, tmp_path: Path) -> None:
    assert (
        job("fsck", job.run, "--database", f"sqlite:///{tmp_path / 'p.db'}", "--rebuild").code == 0
    )
    copy = tmp_path / "run"
    shutil.copytree(job.run, copy)
    info = copy / "provenance" / "run.json"
    info.write_text(
        info.read_text().replace('"run_id": "0x', '"run_id": "0xff', 1).replace("0xff", "0x", 0)
    )
    value = json.loads(info.read_text())
    info.write_text(json.dumps(value | {"run_id": "0x" + "11" * 32}))
    assert job("fsck", copy).code == 1
    assert job("fsck", copy, "--rebuild").code == 0
    assert job("fsck", copy).code == 0


def test_fsck_names_the_rule_that_a_journal_breaks(job: Job, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(job.run, copy)
    journal = copy / "provenance" / "journal"
    records = read_records(journal)
    at = next(i for i, record in enumerate(records) if record.type == "batch")
    records[at : at + 2] = [records[at + 1], records[at]]
    journal.unlink()
    with Journal.create(journal, {"format": "provenance-journal/1"}) as rewritten:
        for record in records:
            rewritten.append(record.to_bytes())
    done = job("fsck", copy, "--offline")
    assert done.code == 1
    assert f"history: record {at} step, micro: steps and micro batches come in turn" in done.out
    refused = job("release", copy)
    assert refused.code == 1
    assert "come in turn" in refused.err


def test_contracts_on_chain_are_what_the_sources_compile_to(job: Job) -> None:
    done = job("contracts", "verify", "--json")
    assert done.code == 0
    assert list(done.json["contracts"].values()) == ["exact_match"] * 7


@pytest.mark.parametrize("command", ["prove", "merge", "release"])
def test_repeating_a_finished_command_changes_nothing(job: Job, command: str) -> None:
    before = (job.run / "provenance" / "journal").read_bytes()
    assert job(command, job.run).code == 0
    assert (job.run / "provenance" / "journal").read_bytes() == before


def test_keys_missing_for_the_ledger_are_named(job: Job, tmp_path: Path) -> None:
    done = run_cli(
        job.environment | {"PROVENANCE_CACHE": str(tmp_path)}, "dataset", "register", job.dataset
    )
    assert done.code == 4
    assert "the cache lacks 2 proving keys of ledger 0x" in done.err
    assert "epoch, 256 slots (0x" in done.err
    assert "tree, 256 slots, depth 5 (0x" in done.err
    assert "chain deploy" in done.err


def _digest(path: Path) -> str:
    from provenance.digest import hash_file

    return str(hash_file(path))
