"""float16 and float32 bases become bfloat16 once, and whoever has the original can tell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from provenance.artifacts.content import content_digest
from provenance.errors import InputError, VerificationError
from provenance_trainer.model.base import load_base
from provenance_trainer.model.conversion import converted_content, verify_conversion
from provenance_trainer.model.weights import Weights
from tests.trainer.bases import make_base


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []


@pytest.mark.parametrize(("dtype", "name"), [("fp16", "F16"), ("fp32", "F32")])
def test_every_value_is_the_nearest_bfloat16(tmp_path: Path, dtype: str, name: str) -> None:
    folder, said = make_base(tmp_path / "base", dtype=dtype), list[str]()
    found = load_base(str(folder), tmp_path / "cache", said.append)
    original = load_file(folder / "model.safetensors")
    converted = load_file(found.dir / "model.safetensors")
    assert converted.keys() == original.keys()
    for key, value in original.items():
        assert torch.equal(converted[key], value.to(torch.bfloat16)), key
    changed = sum(int((v.to(torch.bfloat16).to(v.dtype) != v).sum()) for v in original.values())
    values = sum(v.numel() for v in original.values())
    assert f"{changed} of {values} values changed" in said[-1]
    assert found.source is not None
    assert found.source.to_json() == {"content": str(content_digest(folder)), "dtype": name}
    assert found.content == content_digest(found.dir) == converted_content(folder)
    assert json.loads((found.dir / "config.json").read_text())["dtype"] == "bfloat16"
    assert (found.dir / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_a_base_is_converted_once_and_a_changed_one_again(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", dtype="fp16")
    first = load_base(str(folder), tmp_path / "cache")
    again = load_base(str(folder), tmp_path / "cache")
    assert (first.dir, first.source, first.identity) == (again.dir, again.source, again.identity)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert load_base(str(folder), tmp_path / "cache").dir != first.dir
    assert len(entries(tmp_path / "cache")) == 2


def test_a_bfloat16_base_is_used_as_it_is(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    found = load_base(str(folder), tmp_path / "cache")
    assert (found.dir, found.source, entries(tmp_path / "cache")) == (folder, None, [])


def test_shards_stay_shards(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", dtype="fp32", shard="120KB")
    found = load_base(str(folder), tmp_path / "cache")
    weights = Weights(found.dir)
    assert len(weights.files) == len(Weights(folder).files) > 1
    index = json.loads((found.dir / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {name: weights.file_of(name).name for name in weights}


def test_frequencies_that_the_model_computes_are_left_out(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    file = folder / "model.safetensors"
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    save_file({**load_file(file), name: torch.ones(8)}, file, metadata={"format": "pt"})
    found = load_base(str(folder), tmp_path / "cache")
    assert name not in Weights(found.dir)
    assert found.source is not None
    assert found.source.dtype == "BF16"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3.4e38])
def test_weights_that_bfloat16_does_not_hold_are_refused(tmp_path: Path, value: float) -> None:
    folder = make_base(tmp_path / "base", dtype="fp32")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][3] = value
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="finite bfloat16") as caught:
        load_base(str(folder), tmp_path / "cache")
    assert "model.norm.weight value 3" in str(caught.value)
    assert entries(tmp_path / "cache") == []


def test_the_original_is_told_from_another(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", dtype="fp16")
    found = load_base(str(folder), tmp_path / "cache")
    assert verify_conversion(folder, found.content) == found.source
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    tensors = load_file(other / "model.safetensors")
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(VerificationError, match="not made from these weights"):
        verify_conversion(other, found.content)


def test_two_dtypes_are_refused(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.float32)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="one supported dtype") as caught:
        load_base(str(folder), tmp_path / "cache")
    assert "F32 (model.norm.weight)" in str(caught.value)


def test_ties_go_to_the_even_neighbour(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", dtype="fp32")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    patterns = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0x00008000], dtype=np.uint32)
    tensors["model.norm.weight"][:4] = torch.from_numpy(patterns.view(np.float32).copy())
    save_file(tensors, file, metadata={"format": "pt"})
    found = load_base(str(folder), tmp_path / "cache")
    bits = Weights(found.dir).bf16_bits("model.norm.weight")[:4]
    assert bits.tolist() == [0x3F80, 0x3F82, 0xBF80, 0x0000]
