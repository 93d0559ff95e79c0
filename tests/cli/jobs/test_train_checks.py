"""What `train` would refuse is refused before anything is spent, and `plan` refuses the same."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from provenance.dataset.committed import CommittedDataset
from provenance.errors import OutputError, VerificationError
from provenance.log.tree import read_records
from provenance.progress import silent
from provenance.settings import Settings
from provenance.verify.protocols import BatchCount
from provenance_cli.actions.commit import Selection
from provenance_cli.crash import error_of
from provenance_cli.jobs.means import clock_notes, dataset_beside, require_room, writing
from provenance_cli.jobs.train import TrainJob, TrainRequest
from provenance_cli.setup import machine
from provenance_trainer.draft import parse_draft
from provenance_trainer.model.base import load_base
from provenance_trainer.run.replay import open_data_checker
from provenance_trainer.run.room import Room, room_of
from provenance_zk.workers.executors import Workshop
from tests.cli.conftest import Cli, make_environment
from tests.support.core.altered import alter_record
from tests.support.places import EXAMPLES
from tests.support.training import make_config, make_dataset
from tests.trainer.made_tokenizers import CHAT

TRAIN = ("train", EXAMPLES / "tiny.yaml", "--unregistered")
COMMANDS = (("plan", EXAMPLES / "tiny.yaml"), TRAIN)
BOTH = pytest.mark.parametrize("command", COMMANDS, ids=("plan", "train"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a few records."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    lines = (json.dumps({"text": f"The valve of pump {i} was replaced."}) for i in range(8))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


@BOTH
@pytest.mark.parametrize("out", ["rows.jsonl", "rows.jsonl/below", "/proc/x"])
def test_an_output_that_takes_no_file_is_found_before_the_work(
    cli: Cli, place: Path, command: tuple[object, ...], out: str
) -> None:
    done = cli(*command, "dataset_name=rows.jsonl", f"output_dir={out}")
    assert done.code == 73, done.err
    assert "output_dir" in done.err
    assert left(place) == ["rows.jsonl"]


@BOTH
def test_a_dataset_folder_that_takes_no_file_is_found_before_the_work(
    cli: Cli, place: Path, command: tuple[object, ...]
) -> None:
    (place / "run-dataset").touch()
    done = cli(*command, "dataset_name=rows.jsonl", "output_dir=run")
    assert done.code == 73, done.err
    assert "run-dataset: output cannot be written, actual it is a file" in done.err
    assert left(place) == ["rows.jsonl", "run-dataset"]


@pytest.mark.parametrize("out", [".", "..", "runs/.."])
def test_a_folder_without_a_name_of_its_own_has_a_dataset_beside_it(place: Path, out: str) -> None:
    assert dataset_beside(Path(out)).name.endswith("-dataset")
    assert dataset_beside(Path("runs/one")) == Path("runs/one-dataset")


@BOTH
def test_what_training_cannot_build_is_found_before_the_work(
    cli: Cli, place: Path, command: tuple[object, ...]
) -> None:
    done = cli(*command, "dataset_name=rows.jsonl", "output_dir=run", "deepspeed=nothere.json")
    assert done.code == 2, done.err
    assert "deepspeed nothere.json: cannot read file" in done.err
    assert left(place) == ["rows.jsonl"]


@pytest.mark.parametrize("option", [("--key", "nokey"), ("provenance.key=nokey",)])
@pytest.mark.parametrize("command", [COMMANDS[0], ("train", EXAMPLES / "tiny.yaml", "--anchor")])
def test_a_key_that_is_not_there_is_found_before_the_work(
    cli: Cli, place: Path, command: tuple[object, ...], option: tuple[str, ...]
) -> None:
    done = cli(*command, "dataset_name=rows.jsonl", "output_dir=run", *option)
    assert done.code == 2, done.err
    assert "cannot read keystore" in done.err
    assert "nokey.json" in done.err
    assert left(place) == ["rows.jsonl"]


@BOTH
def test_faults_of_every_kind_come_in_one_list(
    cli: Cli, place: Path, command: tuple[object, ...]
) -> None:
    done = cli(
        *command,
        *("dataset_name=nowhere.jsonl", "output_dir=rows.jsonl", "eval_dataset_name=no.jsonl"),
        *("lora_r=0", "bf16=maybe", "lerning_rate=1", "lora_target_modules=v_porj"),
        *("lr_scheduler_type=cosin", "provenance.anchor_interval_s=-1", "use_dora=true"),
        "nonsense",
    )
    assert done.code == 2
    listed = [line for line in done.err.splitlines() if line.startswith("  ")]
    for words in (
        *("dataset_name", "output_dir rows.jsonl", "eval_dataset_name", "lora_r", "bf16"),
        *("did you mean learning_rate", "did you mean v_proj", "did you mean cosine"),
        *("provenance.anchor_interval_s", "only plain LoRA", "not KEY=VALUE"),
    ):
        assert [line for line in listed if words in line], (words, done.err)
    assert len(listed) == 11
    assert left(place) == ["rows.jsonl"]


def test_a_plan_without_an_installation_says_what_it_did_not_look_at(cli: Cli, place: Path) -> None:
    done = cli("plan", EXAMPLES / "tiny.yaml", "dataset_name=rows.jsonl", "output_dir=run")
    assert done.code == 0, done.err
    assert "contracts and keys not looked at: none are deployed" in done.out
    assert left(place) == ["rows.jsonl"]


def test_little_room_is_told(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_DISK_BYTES", 1 << 60)
    done = cli(*TRAIN, "dataset_name=rows.jsonl", "output_dir=run", "--dry-run")
    assert done.code == 0, done.err
    assert "warning: output_dir: run, " in done.err


@pytest.mark.parametrize(("age_s", "words"), [(5, ""), (3600, "is 3600 s old"), (-300, "future")])
def test_a_clock_that_disagrees_with_the_chain_is_told(
    monkeypatch: pytest.MonkeyPatch, age_s: int, words: str
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000)
    block = SimpleNamespace(timestamp=1_000_000 - age_s)
    rpc: Any = SimpleNamespace(chain_id=lambda: 1, block=lambda _: block)
    notes = list(clock_notes(rpc))
    assert len(notes) == bool(words)
    assert words in "".join(notes)


def test_a_committed_dataset_that_was_looked_at_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now: list[CommittedDataset] = []
    opened, closed = CommittedDataset.open, CommittedDataset.close

    def open_(*arguments: object) -> CommittedDataset:
        open_now.append(opened(*arguments))  # type: ignore[arg-type]
        return open_now[-1]

    def close(self: CommittedDataset) -> None:
        open_now.remove(self)
        closed(self)

    monkeypatch.setattr(CommittedDataset, "open", open_)
    monkeypatch.setattr(CommittedDataset, "close", close)
    for name, value in make_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    data = make_dataset(tmp_path / "data", 8)
    config = {"dataset_name": str(data), "output_dir": str(tmp_path / "run")}
    draft = parse_draft(config | {"model_name_or_path": "tiny"})
    job = TrainJob(TrainRequest(draft, Selection(""), anchor=False), Workshop(Settings.load()))
    assert job.look(silent).fed.records == 8
    assert open_now == []


@BOTH
def test_bytes_that_would_be_fed_as_base64_are_warned_of(
    cli: Cli, place: Path, command: tuple[object, ...]
) -> None:
    pq.write_table(pa.table({"text": [b"\xff\x00"] * 8, "id": range(8)}), place / "b.parquet")
    done = cli(*command, "dataset_name=b.parquet", "output_dir=run", "max_steps=1")
    assert done.code == 0, done.err
    assert "warning: column text: 8 binary values as base64 are fed as text" in done.out + done.err


@pytest.mark.parametrize("key", ["dataset_name", "eval_dataset_name", "model_name_or_path"])
@BOTH
def test_what_a_key_names_and_is_not_there_has_one_exit_code(
    cli: Cli, place: Path, command: tuple[object, ...], key: str
) -> None:
    given = {"dataset_name": "rows.jsonl", "output_dir": "run", key: "./nowhere.jsonl"}
    done = cli(*command, *(f"{name}={value}" for name, value in given.items()))
    assert done.code == 2, done.err
    assert key in done.err


@pytest.mark.parametrize("name", ["r.arrow", "r.feather"])
def test_arrow_files_are_refused_with_the_command_that_converts_them(
    cli: Cli, place: Path, name: str
) -> None:
    table = pa.table({"text": [f"line {i}" for i in range(8)]})
    if name.endswith("feather"):
        pyarrow.feather.write_feather(table, place / name)
    else:
        with pa.ipc.new_stream(place / name, table.schema) as stream:
            stream.write_table(table)
    done = cli("plan", EXAMPLES / "tiny.yaml", f"dataset_name={name}", "output_dir=run")
    assert done.code == 2, done.err
    _, code, _ = done.err.split('"')[:3]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    done = cli("plan", EXAMPLES / "tiny.yaml", "dataset_name=r.parquet", "output_dir=run")
    assert done.code == 0, done.err


def room(free: int) -> Any:
    return lambda path: SimpleNamespace(free=free, total=1 << 40)


@BOTH
def test_a_disk_without_room_for_the_checkpoints_is_refused(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...]
) -> None:
    more = ("dataset_name=rows.jsonl", "output_dir=run")
    monkeypatch.setattr("provenance_cli.jobs.means.shutil.disk_usage", room(1000))
    done = cli(*command, *more, "lora_r=0")
    assert done.code == 2, "what rests on a wrong value is not told"
    done = cli(*command, *more)
    assert done.code == 73, done.err
    assert "output_dir run: disk is too full for the run's checkpoints and adapter" in done.err
    assert "save_total_limit" in done.err
    assert left(place) == ["rows.jsonl"]


def test_the_room_of_a_run_is_that_of_its_checkpoints(tmp_path: Path) -> None:
    base = load_base("tiny", tmp_path / "models").dir
    changes = {"lora_r": 4, "lora_target_modules": ["q_proj"], "save_steps": 1, "max_steps": 5}

    def needed(**more: Any) -> Room:
        return room_of(make_config(tmp_path, tmp_path, **(changes | more)), base, 8)

    shape = json.loads((base / "config.json").read_text())
    heads = shape["num_attention_heads"] * shape["head_dim"]
    weights = shape["num_hidden_layers"] * 4 * (shape["hidden_size"] + heads)
    assert needed().training == weights * (5 * 12 + 2)
    assert needed(save_total_limit=2).training == weights * (3 * 12 + 2)
    segments = {"save_steps": 3, "provenance": {"segment_steps": 2}}
    assert needed(**segments).training == weights * (4 * 12 + 2)  # 2, 3, 4 and 5
    assert needed(**segments, save_total_limit=1).training == weights * (4 * 12 + 2)
    assert needed().merged == (base / "model.safetensors").stat().st_size
    assert require_room(tmp_path, Room(1, 1)) == []
    (said,) = require_room(tmp_path, Room(1, 1 << 60))
    assert "hold training (0.0 MiB) but not `merge` after it" in said


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed: No space left on device"),
    ],
)
def test_a_disk_that_is_full_while_training_is_named_by_its_folder(
    tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(OutputError) as caught, writing(tmp_path):
        raise error
    assert caught.value.where == str(tmp_path)
    with pytest.raises(RuntimeError, match="other"), writing(tmp_path):
        raise RuntimeError("other")


def test_a_full_disk_is_standard_output_only_where_something_is_printed() -> None:
    def told() -> str:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            return str(error_of(error))

    assert "standard output" not in told()
    assert "a file in one of the folders" in told()


@pytest.mark.parametrize("digest", [True, False])
@pytest.mark.parametrize("name", ["plan", "train"])
def test_an_altered_dataset_is_refused_by_the_number_of_the_record(
    cli: Cli, place: Path, name: str, digest: bool
) -> None:
    made = cli("dataset", "commit", "rows.jsonl", "--out", "data")
    assert made.code == 0, made.err
    more = ("--unregistered",) if name == "train" else ()
    command = (name, EXAMPLES / "tiny.yaml", "dataset_name=data", "output_dir=run", *more)
    assert name == "train" or cli(*command).code == 0
    alter_record(place / "data", 3, b"what was never committed", digest=digest)
    done = cli(*command)
    assert done.code == 1, done.err
    assert "data record 3: " in done.err or "data record 4: this record or" in done.err
    assert "`provenance dataset check`" in done.err
    assert not (place / "run").exists()


def test_a_run_whose_template_writes_the_day_is_recomputed_on_another_day(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: no lie at all, only a verifier who comes on another day."""
    base = shutil.copytree(load_base("tiny", place.parent / "models").dir, place / "base")
    (base / "chat_template.jinja").write_text("{{ strftime_now('%d %B %Y') }}" + CHAT)
    said = [{"messages": [{"role": "user", "content": f"pump {i}?"}]} for i in range(8)]
    (place / "chat.jsonl").write_text("\n".join(map(json.dumps, said)))
    monkeypatch.setattr("provenance_trainer.run.preflight.today", lambda: "2026-01-31")
    monkeypatch.setattr("provenance_trainer.run.lifecycle.today", lambda: "2026-01-31")
    more = ("dataset_name=chat.jsonl", f"model_name_or_path={base}", "output_dir=run")
    done = cli(*TRAIN, *more, "max_steps=2")
    assert done.code == 0, done.err
    assert "with its clock at 2026-01-31" in done.err + done.out
    records = read_records(place / "run" / "provenance" / "journal")
    assert records[0].fields["fed"]["day"] == "2026-01-31"
    settings = Settings.load({"PROVENANCE_HOME": str(place.parent / "home")})

    def recompute() -> BatchCount:
        folders = [place / "run"]
        return open_data_checker(place / "run-dataset", folders, settings, None).check_batches(
            records
        )

    count = recompute()
    assert (count.recomputed, count.undetermined, count.fed_fault) == (4, 0, None)
    monkeypatch.setattr("provenance_trainer.run.replay.FedFacts.day_of", lambda fed: "2026-02-01")
    with pytest.raises(VerificationError, match="not the tokens"):
        recompute()
