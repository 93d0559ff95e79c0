"""Wrong input to every command gives one line of error and the documented exit code.

The line says what is wrong and where, what was expected, what was found, and gives a hint.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provenance_cli.main import COMMANDS
from tests.cli.conftest import REPO, Cli, Job, run_cli

TINY = REPO / "examples/tiny.yaml"


@pytest.mark.parametrize("command", [*COMMANDS])
def test_every_command_has_help(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.code == 0
    assert "Usage" in done.out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['provenance', '--help']\nfrom provenance_cli.main import "
        "main\ntry: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'eth_utils', 'numpy', 'rich', 'fastapi', 'sqlalchemy'} & "
        "set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_command_is_a_usage_error(cli: Cli) -> None:
    assert cli("verfy").code == 2


def test_verify_needs_a_trust_file(tmp_path: Path) -> None:
    environment = {
        "PROVENANCE_HOME": str(tmp_path),
        "PROVENANCE_CONFIG": str(tmp_path),
        "PROVENANCE_TRUST": "",
    }
    done = run_cli(environment, "verify", "0x" + "11" * 32)
    assert done.code == 2
    assert "no trust file" in done.err


def test_trust_file_is_never_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    (tmp_path / "trust.yaml").write_bytes((job.folder / "trust.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    done = run_cli(
        job.environment | {"PROVENANCE_TRUST": "", "PROVENANCE_CONFIG": str(tmp_path / "none")},
        "verify",
        job.file,
    )
    assert done.code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("prove", "run"),
        ("prove", "run", "--weights"),
        ("dataset", "register", "folder"),
        ("proof", "open", "run", "--nonce", "0x" + "11" * 32, "--out", "new"),
    ],
)
def test_executors_are_named_before_chain_or_keys_are_sought(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = run_cli(
        {"PROVENANCE_HOME": str(tmp_path), "PROVENANCE_CONFIG": str(tmp_path)},
        *command,
        "--executor",
        "remote",
    )
    assert done.code == 2
    assert "no such executor" in done.err
    assert "ray://HOST:PORT" in done.err


def test_verify_names_a_missing_file(job: Job) -> None:
    done = job("verify", job.folder / "missing.gguf")
    assert done.code == 2
    assert "missing.gguf" in done.err


@pytest.mark.parametrize("command", ["verify", "gate", "find"])
def test_evidence_that_is_no_folder_is_named_and_not_left_out(
    cli: Cli, tmp_path: Path, command: str, job: Job
) -> None:
    (tmp_path / "runs").mkdir()
    done = job(command, "0x" + "11" * 32, "--evidence", tmp_path / "rnus")
    assert done.code == 2
    assert "no such folder" in done.err
    assert "did you mean runs?" in done.err


def test_a_malformed_digest_is_a_usage_error(job: Job) -> None:
    assert job("verify", "sha256:123").code == 2
    assert job("find", "sha256:123").code == 2
    assert job("find", "0xyz").code == 2


def test_a_trust_file_with_another_genesis_fails(job: Job, tmp_path: Path) -> None:
    trust = tmp_path / "trust.yaml"
    text = (job.folder / "trust.yaml").read_text()
    genesis = next(line for line in text.splitlines() if "genesis" in line)
    trust.write_text(text.replace(genesis, "  genesis: '0x" + "11" * 32 + "'"))
    done = job("verify", job.file, "--evidence", job.run, "--trust", trust, "--json")
    assert done.code == 1
    assert [c["id"] for c in done.json["claims"] if c["status"] == "fails"] == ["chain.pinned"]


def test_chain_down_is_undetermined(job: Job, tmp_path: Path) -> None:
    done = run_cli(
        job.environment | {"PROVENANCE_HOME": str(tmp_path)},
        "verify",
        job.file,
        "--evidence",
        job.run,
        "--json",
    )
    assert done.code == 3
    assert done.json["status"] == "indeterminate"


def test_password_file_that_others_can_read_is_refused(job: Job, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("not a secret\n")
    password.chmod(0o644)
    done = run_cli(
        job.environment | {"PROVENANCE_PASSWORD_FILE": str(password)}, "release", job.run
    )
    assert done.code == 5
    assert "chmod 600" in done.err


def test_a_wrong_password_is_refused_and_not_repeated(job: Job, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("another\n")
    password.chmod(0o600)
    done = run_cli(
        job.environment | {"PROVENANCE_PASSWORD_FILE": str(password)}, "release", job.run
    )
    assert done.code == 5
    assert "another" not in done.err + done.out


def test_without_a_terminal_a_missing_password_is_refused(job: Job) -> None:
    done = run_cli(job.environment | {"PROVENANCE_PASSWORD_FILE": ""}, "release", job.run)
    assert done.code == 5


def test_key_is_never_overwritten(cli: Cli) -> None:
    first = cli("key", "create", "--json")
    assert first.code == 0
    assert cli("key", "create").code == 2
    assert cli("key", "create", "--if-missing", "--json").json["address"] == first.json["address"]


def test_deploy_refuses_an_unknown_key_size(job: Job) -> None:
    done = job("chain", "deploy", "--slots", 300)
    assert done.code == 2
    assert "20480" in done.err


def test_deploy_without_a_chain_says_how_to_start_one(cli: Cli) -> None:
    assert cli("key", "create").code == 0
    done = cli("chain", "deploy")
    assert done.code == 3
    assert "chain up" in done.err


def test_a_stopped_chain_has_no_status_and_may_be_stopped_again(cli: Cli) -> None:
    assert cli("chain", "status", "--json").code == 3
    assert cli("chain", "down").code == 0


def test_unknown_configuration_key_gets_a_suggestion(job: Job) -> None:
    done = job("train", TINY, "lerning_rate=1e-4", "--unregistered")
    assert done.code == 2
    assert "did you mean learning_rate?" in done.err


def test_train_must_say_whether_it_is_anchored(job: Job) -> None:
    done = job("train", TINY, f"dataset_name={job.dataset}")
    assert done.code == 2
    assert "--anchor or --unregistered" in done.err


def test_train_refuses_a_used_output_folder(job: Job) -> None:
    arguments = ("train", TINY, f"dataset_name={job.dataset}", f"output_dir={job.run}", "--anchor")
    done = job(*arguments, "learning_rate=0.5")
    assert done.code == 2
    assert "configuration differs" in done.err
    assert "another output_dir" in done.err


def test_finished_run_is_not_resumed(job: Job) -> None:
    done = job(
        "train",
        TINY,
        f"dataset_name={job.dataset}",
        f"output_dir={job.run}",
        "--anchor",
        "--resume",
    )
    assert done.code == 2
    assert "finished" in done.err


def test_missing_model_leaves_no_run_behind(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = job(
        "train",
        TINY,
        "model_name_or_path=/no/such/model",
        f"dataset_name={job.dataset}",
        f"output_dir={out}",
        "--anchor",
    )
    assert done.code in (2, 3)
    assert "/no/such/model" in done.err
    assert not (out / "provenance").exists()


def test_chain_down_at_start_is_exit_3_and_leaves_no_run_behind(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "run"
    environment = job.environment | {"PROVENANCE_RPC_URL": "http://127.0.0.1:9"}
    done = run_cli(
        environment, "train", TINY, f"dataset_name={job.dataset}", f"output_dir={out}", "--anchor"
    )
    assert done.code == 3
    assert not out.exists()


def test_unregistered_run_trains_but_cannot_be_proven(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = job(
        "train",
        TINY,
        f"dataset_name={job.dataset}",
        f"output_dir={out}",
        "num_train_epochs=1",
        "--unregistered",
        "--json",
    )
    assert done.code == 0
    assert done.json["run_id"] is None
    assert job("prove", out).code == 2


def test_unregistered_dataset_is_named_with_the_command_that_registers_it(
    job: Job, tmp_path: Path
) -> None:
    assert (
        job(
            "dataset", "commit", "attack-stix", "--limit", 9, "--dedupe", "--out", tmp_path / "data"
        ).code
        == 0
    )
    done = job("prove", job.run, "--dataset", tmp_path / "data")
    assert done.code == 4
    assert "dataset register" in done.err


@pytest.mark.parametrize("command", ["prove", "merge", "quantize", "release", "fsck"])
def test_commands_on_a_run_refuse_a_folder_that_is_no_run(
    job: Job, tmp_path: Path, command: str
) -> None:
    done = job(command, tmp_path)
    assert done.code == 4
    assert "not a run folder" in done.err


def test_malformed_dataset_rows_are_named_by_line(job: Job, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one"}\n{"text": \n')
    done = job("dataset", "commit", rows, "--out", tmp_path / "data")
    assert done.code == 2
    assert "rows.jsonl line 2: not valid JSON" in done.err
    assert not (tmp_path / "data").exists()


def test_duplicate_records_are_listed_and_dropped_on_request(job: Job, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one"}\n{"text": "two"}\n{"text": "one"}\n')
    assert job("dataset", "commit", rows, "--out", tmp_path / "data").code == 2
    assert job("dataset", "commit", rows, "--out", tmp_path / "data", "--dedupe").code == 0
    # never overwritten
    assert job("dataset", "commit", rows, "--out", tmp_path / "data", "--dedupe").code == 2


def test_errors_are_json_when_json_is_asked_for(job: Job) -> None:
    done = job("verify", "nothing-here", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "input"


def test_revoke_needs_one_subject(job: Job) -> None:
    assert job("revoke", "--reason", "x").code == 2
    assert job("revoke", "--reason", "x", "--run", job.run, "--index", 9999).code == 2


def test_a_plan_refuses_what_a_run_on_these_contracts_would_be_refused(
    job: Job, tmp_path: Path
) -> None:
    plan = ("plan", TINY, f"dataset_name={job.dataset}", f"output_dir={tmp_path / 'run'}")
    done = job(*plan)
    assert done.code == 0, done.err
    assert "not looked at" not in done.out
    assert job(*plan, "--key", "nokey").code == 2
    lacking = run_cli(job.environment | {"PROVENANCE_CACHE": str(tmp_path / "cache")}, *plan)
    assert lacking.code == 4
    assert "the cache lacks 2 proving keys" in lacking.err
    used = job("plan", TINY, f"dataset_name={job.dataset}", f"output_dir={job.run}", "seed=1")
    assert used.code == 2
    assert "configuration differs" in used.err
