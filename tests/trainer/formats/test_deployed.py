"""Blocks of a deployed file as proofs address them; comparisons without adapted tensors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import InputError
from provenance_trainer.formats.gguf import BLOCK_BYTES, export_gguf, quantize_q8_0
from provenance_trainer.formats.gguf_blocks import GgufFile
from provenance_trainer.formats.gguf_file import read_header
from provenance_trainer.formats.inspect import Inspector
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.weights import SafetensorsWriter, Weights

LAYER = "model.layers.1.self_attn."


@pytest.fixture(scope="module")
def exported(tiny: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    export_gguf(tiny.dir, file)
    return file


@pytest.mark.parametrize(
    "name",
    [
        f"{LAYER}q_proj.weight",
        f"{LAYER}k_proj.weight",
        f"{LAYER}v_proj.weight",
        "model.layers.0.mlp.down_proj.weight",
        "model.embed_tokens.weight",
    ],
)
def test_blocks_are_those_of_the_merged_tensors_rows(
    tiny: BaseModel, exported: Path, name: str
) -> None:
    bits = Weights(tiny.dir).bf16_bits(name)
    rows, columns = bits.shape
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    expected = quantize_q8_0(values, name).reshape(-1, BLOCK_BYTES)
    deployed = GgufFile(exported)
    blocks = range(0, len(expected), max(1, len(expected) // 97))
    assert [deployed.block(name, rows, columns // 32, b) for b in blocks] == [
        expected[b].tobytes() for b in blocks
    ]


@pytest.mark.parametrize(
    ("name", "rows", "row_blocks"),
    [
        ("model.layers.7.mlp.up_proj.weight", 8, 2),
        ("../x", 8, 2),
        ("model.norm.weight", 1, 2),
        (f"{LAYER}v_proj.weight", 1, 1),
    ],
)
def test_tensors_that_the_file_lacks_are_refused(
    exported: Path, name: str, rows: int, row_blocks: int
) -> None:
    with pytest.raises(InputError):
        GgufFile(exported).block(name, rows, row_blocks, 0)


def altered(tiny: BaseModel, folder: Path, name: str) -> Path:
    """The base with the lowest bit of one value of a tensor flipped."""
    shutil.copytree(tiny.dir, folder)
    weights = Weights(tiny.dir)
    for file in weights.files:
        (folder / file.name).unlink()
        names = [n for n in weights if weights.file_of(n) == file]
        with SafetensorsWriter(
            folder / file.name, {n: (weights.info(n).dtype, weights.info(n).shape) for n in names}
        ) as writer:
            for n in names:
                data = bytearray(weights.raw(n))
                if n == name:
                    data[1] ^= 1
                writer.write(n, bytes(data))
    return folder


def test_only_adapted_tensors_may_differ_from_the_base(tiny: BaseModel, tmp_path: Path) -> None:
    adapted = f"{LAYER}q_proj.weight"
    inspector = Inspector()
    export_gguf(altered(tiny, tmp_path / "merged", adapted), tmp_path / "merged.gguf")
    assert inspector.compare_unadapted(tiny.dir, [adapted], tmp_path / "merged.gguf") == []
    assert inspector.compare_unadapted(tiny.dir, [], tmp_path / "merged.gguf")[0].where.startswith(
        "blk.1.attn_q.weight block"
    )

    export_gguf(
        altered(tiny, tmp_path / "edited", "model.embed_tokens.weight"), tmp_path / "edited.gguf"
    )
    found = inspector.compare_unadapted(tiny.dir, [adapted], tmp_path / "edited.gguf")
    assert found[0].where.startswith("token_embd.weight block 0")


def test_a_flipped_norm_is_found_without_the_merged_weights(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(exported, copy)
    entry = read_header(copy).tensors["output_norm.weight"]
    with copy.open("r+b") as stream:
        stream.seek(entry.start + 2)
        byte = stream.read(1)[0]
        stream.seek(entry.start + 2)
        stream.write(bytes([byte ^ 1]))
    assert [
        d.where for d in Inspector().compare_unadapted(tiny.dir, [f"{LAYER}q_proj.weight"], copy)
    ] == ["output_norm.weight value 0"]
