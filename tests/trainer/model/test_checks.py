"""What is wrong with a base or an adapter is told before anything is spent, all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.draft import parse_config
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.checks import adapter_faults, base_faults
from provenance_trainer.model.peft_setup import load_adapted_model
from provenance_trainer.model.value_checks import value_faults
from tests.trainer.bases import make_base


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("checks") / "base")


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(
        tmp_path_factory.mktemp("checks") / "tied", config={"tie_word_embeddings": True}
    )


@pytest.fixture
def base(sound: Path, tmp_path: Path) -> Path:
    """A sound base that a test may spoil."""
    return Path(shutil.copytree(sound, tmp_path / "base"))


def rewrite(file: Path, **changes: Any) -> None:
    value = json.loads(file.read_text())
    value.update(changes)
    file.write_text(json.dumps(value))


def retensor(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def test_weights_that_lie_there_twice_are_named_with_what_to_remove(base: Path) -> None:
    tensors = {"layers.0.attention.wq.weight": torch.zeros(2, 2)}
    save_file(tensors, base / "consolidated.safetensors", metadata={"format": "pt"})
    (fault,) = base_faults(base)
    assert "the weights twice" in fault.what
    assert fault.hint == f"remove them: rm {base / 'consolidated.safetensors'}"
    (base / "consolidated.safetensors").unlink()
    assert list(base_faults(base)) == []


def test_an_adapter_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (fault,) = base_faults(tmp_path)
    assert fault.what == "folder holds an adapter, not a base model"
    assert "adapter_config.json" in str(fault.where)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "fp16"},
        {"dtype": "fp32"},
        {"shard": "120KB"},
        {"added": ("<part>", "[PORT]"), "config": {"vocab_size": 448}},
        {"config": {"attention_bias": True, "mlp_bias": True}},
        {"config": {"head_dim": 32}},
        {"model_type": "mistral", "config": {"sliding_window": 64}},
        {"model_type": "qwen2", "tokenizer": "qwen2"},
        {"model_type": "qwen3", "tokenizer": "qwen2"},
        {"tokenizer": "sentencepiece"},
        {"tokenizer": "other"},
    ],
)
def test_sound_bases_have_no_fault(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert list(base_faults(make_base(tmp_path / "base", **changes))) == []


def test_the_tiny_base_and_a_tied_one_have_no_fault(tiny: BaseModel, tied: Path) -> None:
    assert [*base_faults(tiny.dir), *base_faults(tied)] == []


def test_a_linked_base_has_no_fault(sound: Path, tmp_path: Path) -> None:
    for file in sound.iterdir():
        (tmp_path / file.name).symlink_to(file)
    assert list(base_faults(tmp_path)) == []


Spoil = Callable[[Path], object]


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    )


def bigger_tokenizer(folder: Path) -> None:
    value = json.loads((folder / "tokenizer.json").read_text())
    last = value["added_tokens"][-1]
    value["added_tokens"].append({**last, "id": 9_000, "content": "<late>"})
    (folder / "tokenizer.json").write_text(json.dumps(value))


SPOILED: dict[str, tuple[Spoil, str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json: cannot open file"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    "architecture": (
        lambda f: rewrite(f / "config.json", model_type="bert", architectures=["BertModel"]),
        "architecture is not supported",
    ),
    "head": (
        lambda f: rewrite(f / "config.json", architectures=["LlamaForSequenceClassification"]),
        "not a causal language model",
    ),
    "remote code": (
        lambda f: rewrite(f / "config.json", auto_map={"AutoModel": "model.Model"}),
        "run code of its own",
    ),
    "tokenizer's code": (
        lambda f: rewrite(f / "tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]}),
        "run code of its own",
    ),
    "quantized": (
        lambda f: rewrite(f / "config.json", quantization_config={"quant_method": "gptq"}),
        "quantized already",
    ),
    "number": (
        lambda f: rewrite(f / "config.json", num_hidden_layers="2"),
        "missing or bad number",
    ),
    "rope": (
        lambda f: rewrite(f / "config.json", rope_parameters={"rope_type": "yarn"}),
        "transformers does not take this configuration",
    ),
    "heads": (
        lambda f: rewrite(f / "config.json", num_key_value_heads=3),
        "attention heads do not fit together",
    ),
    "pickled": (pickled, "never read, expected *.safetensors, actual pytorch_model.bin"),
    "nothing": (lambda f: (f / "model.safetensors").unlink(), "no safetensors file"),
    "pointer": (pointer, "Git LFS pointer"),
    "another file name": (
        lambda f: (f / "model.safetensors").rename(f / "weights.safetensors"),
        "transformers would not load",
    ),
    "two files": (
        lambda f: save_file({"x": torch.zeros(2)}, f / "consolidated.safetensors"),
        "transformers would not load",
    ),
    "a missing shard": (
        lambda f: (f / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"x": "model-00002.safetensors"}})
        ),
        "missing files: model-00002.safetensors",
    ),
    "missing tensor": (
        lambda f: retensor(f, lambda t: t.pop("model.layers.1.mlp.up_proj.weight")),
        "model lacks tensors, actual model.layers.1.mlp.up_proj.weight",
    ),
    "no head": (
        lambda f: retensor(f, lambda t: t.pop("lm_head.weight")),
        "model lacks tensors, actual lm_head.weight",
    ),
    "further tensor": (
        lambda f: retensor(f, lambda t: t.update({"score.weight": torch.zeros(2, 64)})),
        "do not belong to the architecture",
    ),
    "shape": (
        lambda f: rewrite(f / "config.json", intermediate_size=128),
        "another shape than config.json says",
    ),
    "dtype": (
        lambda f: retensor(f, lambda t: t.update({"model.norm.weight": torch.ones(64)})),
        "one supported dtype",
    ),
    "more layers than tensors": (
        lambda f: rewrite(f / "config.json", num_hidden_layers=2**12),
        "fewer tensors than config.json has layers",
    ),
    "too many layers": (
        lambda f: rewrite(f / "config.json", num_hidden_layers=2**30),
        "too many layers",
    ),
    "a vocabulary of pairs": (
        lambda f: rewrite(f / "tokenizer.json", model={"type": "BPE", "vocab": [1], "merges": []}),
        "no vocabulary",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer file"),
    "broken tokenizer": (
        lambda f: rewrite(f / "tokenizer.json", pre_tokenizer={"type": "Unheard"}),
        "tokenizer does not load",
    ),
    "no vocabulary": (lambda f: (f / "tokenizer.json").write_text("{}"), "no vocabulary"),
    "larger tokenizer": (bigger_tokenizer, "more tokens than the model's embedding has rows"),
    "special token": (
        lambda f: rewrite(f / "tokenizer_config.json", eos_token="<fin>"),
        "special token is not in the vocabulary",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_base_is_told(base: Path, name: str) -> None:
    spoil, words = SPOILED[name]
    spoil(base)
    found = list(base_faults(base))
    assert [str(fault) for fault in found if words in str(fault)], [str(f) for f in found]
    assert all(isinstance(fault, InputError) and fault.where for fault in found)


def test_a_tied_head_that_differs_is_told(tied: Path, tmp_path: Path) -> None:
    same = Path(shutil.copytree(tied, tmp_path / "same"))
    retensor(same, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert list(base_faults(same)) == []
    retensor(same, lambda t: t["lm_head.weight"].mul_(2))
    (fault,) = base_faults(same)
    assert fault.what == "output head is tied but differs from the embedding"


def test_pointers_of_files_that_nobody_reads_are_no_fault(base: Path) -> None:
    (base / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert list(base_faults(base)) == []


def test_every_fault_is_told(base: Path) -> None:
    rewrite(base / "config.json", auto_map={"AutoModel": "model.Model"})
    retensor(base, lambda t: t.pop("model.norm.weight"))
    bigger_tokenizer(base)
    assert len(list(base_faults(base))) == 3


# Adapters


def settings(**changes: Any) -> TrainConfig:
    value = {"dataset_name": "data", "output_dir": "run", "lora_r": 4, "lora_alpha": 8}
    return parse_config({**value, **changes})


@pytest.mark.parametrize(
    "names",
    [
        ["q_proj", "v_proj"],
        ["all-linear"],
        ["mlp.up_proj", "self_attn.o_proj"],
        ["model.layers.1.self_attn.k_proj"],
        ["layers.0.mlp.gate_proj", "down_proj"],
    ],
)
def test_modules_that_there_are_have_no_fault(sound: Path, names: list[str]) -> None:
    config = settings(lora_target_modules=names)
    assert list(adapter_faults(sound, config)) == []
    adapted = load_adapted_model(config, sound)
    assert any("lora_A" in name for name, _ in adapted.named_parameters())


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("v_porj", "no module of this name", "did you mean v_proj"),
        ("query", "no module of this name", None),
        ("model.layers.2.self_attn.q_proj", "no module of this name", "did you mean q_proj"),
        ("proj", "no module of this name", None),
        ("self_attn", "not a linear layer", None),
        ("mlp", "not a linear layer", None),
        ("input_layernorm", "not a linear layer", None),
        ("all-linear", "all-linear stands alone", None),
        ("lm_head", "lm_head cannot be adapted: an adapter of it is no plain pair", None),
        ("model.embed_tokens", "embed_tokens cannot be adapted", None),
    ],
)
def test_each_name_that_matches_nothing_is_told(
    sound: Path, name: str, what: str, hint: str | None
) -> None:
    config = settings(lora_target_modules=["q_proj", name, "up_prj"])
    faults = list(adapter_faults(sound, config))
    assert [fault.actual for fault in faults] == [name, "up_prj"]
    assert what in faults[0].what
    assert hint is None or hint in str(faults[0].hint)
    assert all(isinstance(fault, ConfigError) for fault in faults)


@pytest.mark.parametrize("name", ["lm_head", "embed_tokens"])
def test_tied_embeddings_cannot_be_adapted(tied: Path, name: str) -> None:
    (fault,) = adapter_faults(tied, settings(lora_target_modules=[name]))
    assert "no merge of one of them is exact" in fault.what


def test_scale_and_rank_are_told_together(sound: Path) -> None:
    config = settings(lora_r=48, lora_alpha=16, lora_target_modules=["v_proj", "q_proj"])
    scale, rank = adapter_faults(sound, config)
    assert (scale.where, rank.where) == ("lora_alpha", "lora_r")
    assert (rank.expected, rank.actual) == (
        "<= 32",
        "48, model.layers.0.self_attn.v_proj (32, 64), model.layers.1.self_attn.v_proj (32, 64)",
    )


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("model.layers.1.self_attn.v_proj.weight", 2.0**16, "weight cannot be merged into"),
        ("model.layers.1.self_attn.v_proj.weight", float("nan"), "weight cannot be merged into"),
        ("model.layers.1.self_attn.k_proj.weight", 2.0**16, None),
        ("model.norm.weight", float("-inf"), "weight is not finite"),
    ],
)
def test_weights_that_nothing_holds_are_told(
    base: Path, name: str, value: float, what: str | None
) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[7] = value

    assert list(value_faults(base, settings())) == []
    retensor(base, spoil)
    found = list(value_faults(base, settings()))
    assert [fault.what for fault in found] == ([] if what is None else [what])
    assert all(f"{name} value 7" in str(fault.where) for fault in found)


def test_a_file_that_is_cut_off_is_to_be_downloaded_again(base: Path) -> None:
    file = base / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    (fault, *_) = base_faults(base)
    assert fault.what == "file is cut off before the end of its tensors"
    assert "download it again" in str(fault.hint)


def test_a_configuration_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    """py_ecc, which every verification loads, raises Python's limit beyond what the stack holds."""
    import py_ecc

    assert py_ecc is not None
    file = tmp_path / "config.json"
    file.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        load_json(file, 1 << 20)
