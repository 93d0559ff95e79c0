"""In one verification a file is compared with two models, and bits they share are quantized once.

What was found to be equal excuses neither other bits, nor another tensor, nor a changed file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from provenance.artifacts import once as once_module
from provenance.artifacts.content import read_tensor_infos
from provenance.artifacts.once import reading_once
from provenance_trainer.formats import q8_0
from provenance_trainer.formats.gguf import BLOCK_BYTES, export_gguf
from provenance_trainer.formats.gguf_file import read_header
from provenance_trainer.formats.q8_0 import compare_gguf
from provenance_trainer.model.base import BaseModel

NAME = "model.layers.1.self_attn.k_proj.weight"


@pytest.fixture
def file(tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(once_module, "_YOUNG_NS", 0)
    export_gguf(tiny.dir, tmp_path / "model.gguf", {})
    return tmp_path / "model.gguf"


@pytest.fixture
def quantized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tensors that were quantized."""
    names: list[str] = []
    real = q8_0.computed_of

    def counted(model: object, plan: q8_0.PlannedTensor, bits: np.ndarray) -> np.ndarray:
        names.append(plan.name)
        return real(model, plan, bits)  # type: ignore[arg-type]

    monkeypatch.setattr(q8_0, "computed_of", counted)
    return names


def changed(model: Path, folder: Path) -> Path:
    """A copy of the model in which one value of one tensor has another sign."""
    shutil.copytree(model, folder)
    path = folder / "model.safetensors"
    with path.open("r+b") as stream:
        info = next(i for i in read_tensor_infos(stream, "") if i.name == NAME)
        stream.seek(info.start + 1)
        byte = stream.read(1)[0]
        stream.seek(info.start + 1)
        stream.write(bytes([byte ^ 0x80]))
    return folder


def test_shared_tensors_are_quantized_once(
    tiny: BaseModel, file: Path, tmp_path: Path, quantized: list[str]
) -> None:
    shutil.copytree(tiny.dir, tmp_path / "copy")
    with reading_once():
        assert compare_gguf(tiny.dir, file) == []
        first = len(quantized)
        assert compare_gguf(tmp_path / "copy", file) == []
    assert len(quantized) == first > 10
    assert compare_gguf(tiny.dir, file) == []
    assert len(quantized) == 2 * first  # another verification


def test_a_model_with_other_bits_is_compared_in_full(
    tiny: BaseModel, file: Path, tmp_path: Path, quantized: list[str]
) -> None:
    other = changed(tiny.dir, tmp_path / "other")
    with reading_once():
        assert compare_gguf(tiny.dir, file) == []
        quantized.clear()
        for _ in range(2):  # what differed is no fact either
            (found,) = compare_gguf(other, file)
            assert found.tensor == "blk.1.attn_k.weight"
    assert quantized == ["blk.1.attn_k.weight"] * 2


def test_a_file_changed_after_it_was_compared_is_compared_again(
    tiny: BaseModel, file: Path, tmp_path: Path
) -> None:
    with reading_once():
        assert compare_gguf(tiny.dir, file) == []
        entry = read_header(file).tensors["blk.1.attn_k.weight"]
        with file.open("r+b") as stream:
            stream.seek(entry.start + 5 * BLOCK_BYTES + 3)
            stream.write(b"\x55")
        (found,) = compare_gguf(tiny.dir, file)
    assert (found.tensor, found.block) == ("blk.1.attn_k.weight", 5)
