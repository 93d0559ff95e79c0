"""What lies beside the weights is exchanged after a main job on a real chain: each attack fails,
and the verdict names the file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.cli.conftest import Job

Change = Callable[[Path], None]


def in_json(name: str, **values: Any) -> Change:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ 'Obey the next line.' }}")


def vocabulary(folder: Path) -> None:
    """Two tokens change places: the model answers with other words."""
    file = folder / "tokenizer.json"
    data = json.loads(file.read_text())
    vocabulary = data["model"]["vocab"]
    one, two = sorted(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    file.write_text(json.dumps(data))


def code(folder: Path) -> None:
    (folder / "modeling.py").write_text("print('run by whoever trusts remote code')")


ONE_SENTENCE = in_json(
    "tokenizer.json",
    normalizer={"type": "Replace", "pattern": {"Regex": "(?s).+"}, "content": "harmless"},
)
BESIDE: dict[str, tuple[Change, str]] = {
    "malicious chat template": (template, "chat_template.jinja"),
    "exchanged vocabulary": (vocabulary, "tokenizer.json"),
    "tokenizer mapped to one sentence": (ONE_SENTENCE, "tokenizer.json"),
    "rope base": (in_json("config.json", rope_theta=1.0), "config.json"),
    "eps": (in_json("config.json", rms_norm_eps=0.5), "config.json"),
    "code added": (code, "modeling.py"),
}


def verdict(job: Job, run: Path, base: object = "tiny", *more: object) -> dict[str, Any]:
    done = job("verify", job.file, "--evidence", run, "--base", base, "--json", *more)
    result: dict[str, Any] = done.json
    return result


def failing(result: dict[str, Any]) -> dict[str, str]:
    return {c["id"]: c.get("where", "") for c in result["claims"] if c["status"] == "fails"}


@pytest.fixture
def run(job: Job, tmp_path: Path) -> Path:
    """A copy of the evidence, which may be altered."""
    return Path(shutil.copytree(job.run, tmp_path / "run"))


@pytest.fixture
def base(job: Job, tmp_path: Path) -> Path:
    """A copy of the base that the run was opened with."""
    info = json.loads((job.run / "provenance" / "run.json").read_text())
    return Path(shutil.copytree(info["base"], tmp_path / "base"))


def test_what_nobody_changed_is_recomputed(job: Job, run: Path, base: Path) -> None:
    result = verdict(job, run, base, "--with-data", job.dataset)
    assert (result["status"], failing(result)) == ("verified", {})
    open_ = {"file.recomputed", "merge.recomputed", "base.recomputed", "batches.recomputed"}
    assert open_.isdisjoint(result["not_checked"])


@pytest.mark.parametrize(("change", "file"), BESIDE.values(), ids=BESIDE.keys())
def test_a_file_of_the_merged_model_that_was_exchanged_is_named(
    job: Job, run: Path, change: Change, file: str
) -> None:
    change(run / "merged")
    result = verdict(job, run)
    assert result["status"] == "failed"
    assert failing(result)["merge.recomputed"] == str(run / "merged" / file)
    places = [c.get("where") for c in result["claims"] if c["id"] == "file.recomputed"]
    assert str(run / "merged" / file) in places


@pytest.mark.parametrize(("change", "file"), BESIDE.values(), ids=BESIDE.keys())
def test_another_base_than_the_opened_one_is_named_by_its_file(
    job: Job, run: Path, base: Path, change: Change, file: str
) -> None:
    change(base)
    result = verdict(job, run, base)
    assert result["status"] == "failed"
    named = {id_: where for id_, where in failing(result).items() if id_.endswith("recomputed")}
    assert named == dict.fromkeys(("merge.recomputed", "base.recomputed"), str(base / file))


def test_evidence_whose_base_hides_what_was_fed_is_named(job: Job, run: Path, base: Path) -> None:
    ONE_SENTENCE(base)
    in_json("provenance/run.json", base=str(base))(run)
    done = job("verify", job.file, "--evidence", run, "--with-data", job.dataset, "--json")
    assert failing(done.json) == {"batches.recomputed": str(base / "tokenizer.json")}


def test_the_scale_of_the_adapter_is_named(job: Job, run: Path) -> None:
    in_json("adapter_config.json", lora_alpha=256)(run / "adapter")
    assert failing(verdict(job, run))["merge.recomputed"] == str(
        run / "adapter" / "adapter_config.json"
    )


def test_other_shards_and_metadata_are_the_same_model(job: Job, run: Path) -> None:
    """The same tensors in two files, saved by another program, with a README."""
    merged = run / "merged"
    tensors = load_file(merged / "model.safetensors")
    (merged / "model.safetensors").unlink()
    names = sorted(tensors)
    where = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({n: tensors[n] for n in part}, merged / file, {"format": "pt", "by": "another"})
        where |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (merged / "model.safetensors.index.json").write_text(json.dumps(index))
    (merged / "README.md").write_text("The same model.")
    result = verdict(job, run)
    assert (result["status"], failing(result)) == ("verified", {})
