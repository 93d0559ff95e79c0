"""GGUF files: exactness, use through transformers, named differences, hostile headers."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

from provenance.errors import Conflict, InputError
from provenance_trainer.formats.gguf import (
    BLOCK_BYTES,
    computed,
    export_gguf,
    plan_tensors,
    quantize_q8_0,
    read_claims,
)
from provenance_trainer.formats.gguf_file import read_header
from provenance_trainer.formats.gguf_model import open_model
from provenance_trainer.formats.gguf_rope import rope_factors
from provenance_trainer.formats.q8_0 import compare_gguf
from provenance_trainer.model.base import BaseModel

CLAIMS: dict[str, str | int] = {
    "provenance.run_id": "0x" + "ab" * 32,
    "provenance.log_size": 7,
    "general.name": "tiny",
}


@pytest.fixture(scope="module")
def exported(tiny: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    export_gguf(tiny.dir, file, CLAIMS)
    return file


def test_blocks_equal_an_independent_quantizer() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (64, 96)).astype(np.float32)
    values[3, :32] = 0
    blocks = quantize_q8_0(values, "t").reshape(-1, BLOCK_BYTES)
    for block, row in zip(blocks, values.reshape(-1, 32), strict=True):
        scale = np.float32(np.abs(row).max() / np.float32(127))
        inverse = np.float32(1) / scale if scale else np.float32(0)
        codes = [int(np.floor(abs(v * inverse) + np.float32(0.5)) * np.sign(v)) for v in row]
        assert block[:2].view(np.float16)[0] == np.float16(scale)
        assert block[2:].view(np.int8).tolist() == codes


def test_halves_are_rounded_away_from_zero_as_by_gguf_py() -> None:
    """Each code that can be a half, both signs, beside zeros and blocks of zeros.

    The scale is a power of two, so that halves are exact.
    """
    halves = np.arange(-127, 127.5, 0.5, dtype=np.float32)
    rows = np.zeros((len(halves), 64), dtype=np.float32)
    rows[:, 0], rows[:, 1], rows[:, 2] = 127, halves, np.nextafter(halves, np.float32(0))
    for scale in (1, 2.0**-20, 2.0**10):
        values = rows * np.float32(scale)
        assert np.array_equal(
            quantize_q8_0(values, "w"), quantize(values, GGMLQuantizationType.Q8_0)
        )


def test_whole_tensors_equal_gguf_py(tiny: BaseModel, exported: Path) -> None:
    reader = GGUFReader(exported)
    model = open_model(tiny.dir)
    expected = {
        plan.name: (plan.type.name, computed(model, plan).tobytes()) for plan in plan_tensors(model)
    }
    assert {t.name for t in reader.tensors} == set(expected)
    for tensor in reader.tensors:
        assert (tensor.tensor_type.name, tensor.data.tobytes()) == expected[tensor.name]
    embedding = model.weights.bf16_bits("model.embed_tokens.weight").astype(np.uint32) << 16
    assert (
        expected["token_embd.weight"][1]
        == quantize(embedding.view(np.float32), GGMLQuantizationType.Q8_0).tobytes()
    )
    assert {t.name for t in reader.tensors if t.tensor_type.name == "F32"} == {
        n for n in expected if n.endswith("_norm.weight")
    }


@pytest.mark.parametrize(
    "value", [1e-40, 2.0**-121, 1e7], ids=["subnormal", "no reciprocal", "scale too large"]
)
def test_blocks_without_a_defined_code_are_refused(value: float) -> None:
    values = np.zeros((2, 64), dtype=np.float32)
    values[1, 40] = value
    with pytest.raises(InputError, match="block 3"):
        quantize_q8_0(values, "t")


def test_one_folder_gives_the_same_bytes_and_no_difference(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    report = export_gguf(tiny.dir, tmp_path / "again.gguf", CLAIMS)
    assert (tmp_path / "again.gguf").read_bytes() == exported.read_bytes()
    assert report.size == exported.stat().st_size
    assert compare_gguf(tiny.dir, exported) == []
    assert read_claims(exported) == {
        k: str(v) for k, v in CLAIMS.items() if k.startswith("provenance.")
    }
    with pytest.raises(Conflict):
        export_gguf(tiny.dir, exported)


def test_transformers_loads_the_file_with_nearly_the_same_logits(
    tiny: BaseModel, exported: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(2)
    original = AutoTokenizer.from_pretrained(tiny.dir)
    tokenizer = AutoTokenizer.from_pretrained(exported.parent, gguf_file=exported.name)
    text = "The adversary sends 2024 messages"
    assert tokenizer.chat_template == original.chat_template
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    model = AutoModelForCausalLM.from_pretrained(
        exported.parent, gguf_file=exported.name, dtype=torch.float32
    )
    reference = AutoModelForCausalLM.from_pretrained(tiny.dir, dtype=torch.float32)
    inputs = original(text, return_tensors="pt")
    with torch.no_grad():
        left, right = model(**inputs).logits, reference(**inputs).logits
    assert torch.nn.functional.cosine_similarity(left.flatten(), right.flatten(), dim=0) > 0.9995
    output = model.generate(**inputs, max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert output.shape[1] == inputs["input_ids"].shape[1] + 4


def flip(file: Path, target: Path, offset: int) -> Path:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(("inside", "field"), [(1, "scale"), (2, "code 0"), (33, "code 31")])
def test_a_flipped_bit_is_named_by_tensor_and_block(
    tiny: BaseModel, exported: Path, tmp_path: Path, inside: int, field: str
) -> None:
    entry = read_header(exported).tensors["blk.1.attn_k.weight"]
    bad = flip(exported, tmp_path / "bad.gguf", entry.start + 5 * BLOCK_BYTES + inside)
    (found,) = compare_gguf(tiny.dir, bad)
    assert (found.tensor, found.block, found.field) == ("blk.1.attn_k.weight", 5, field)
    assert found.expected != found.actual


def test_a_changed_norm_and_changed_metadata_are_named(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    entry = read_header(exported).tensors["output_norm.weight"]
    (found,) = compare_gguf(tiny.dir, flip(exported, tmp_path / "norm.gguf", entry.start + 8))
    assert (found.tensor, found.field, found.expected) == ("output_norm.weight", "value 2", "1.0")
    place = exported.read_bytes().index(b"llama.rope.freq_base") + len("llama.rope.freq_base") + 4
    (found,) = compare_gguf(tiny.dir, flip(exported, tmp_path / "rope.gguf", place + 3))
    assert (found.tensor, found.field) == ("metadata", "llama.rope.freq_base")
    template = (
        exported.read_bytes().index(b"tokenizer.chat_template")
        + len("tokenizer.chat_template")
        + 20
    )
    (found,) = compare_gguf(tiny.dir, flip(exported, tmp_path / "chat.gguf", template))
    assert found.field == "tokenizer.chat_template"


def test_bytes_after_the_last_tensor_are_a_difference(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "long.gguf").write_bytes(exported.read_bytes() + bytes(64))
    (found,) = compare_gguf(tiny.dir, tmp_path / "long.gguf")
    assert (found.tensor, found.field) == ("file", "size")


def test_weights_of_another_model_differ(tiny: BaseModel, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny.dir, other)
    file = other / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-40_000:] = bytes(40_000)
    file.write_bytes(data)
    found = compare_gguf(other, exported)
    assert found
    assert all(f.tensor != "metadata" for f in found)


# Hostile files


def gguf(version: int = 3, tensors: int = 0, keys: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


HOSTILE = {
    "empty": b"",
    "magic": b"GGML" + bytes(40),
    "version": gguf(version=99),
    "tensor count": gguf(tensors=2**63),
    "key count": gguf(keys=2**40),
    "key length": gguf(keys=1, rest=struct.pack("<Q", 2**62) + bytes(32)),
    "array count": gguf(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**60)),
    "array of numbers": gguf(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 10, 2**61)),
    "nested array": gguf(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 9, 1) + bytes(32)),
    "value type": gguf(keys=1, rest=text(b"k") + struct.pack("<I", 77) + bytes(32)),
    "not utf-8": gguf(keys=1, rest=text(b"\xff\xfe") + struct.pack("<II", 4, 1)),
    "key twice": gguf(keys=2, rest=(text(b"k") + struct.pack("<II", 4, 1)) * 2),
    "rank": gguf(tensors=1, rest=text(b"t") + struct.pack("<I", 2**31) + bytes(64)),
    "tensor size": gguf(
        tensors=1, rest=text(b"t") + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0) + bytes(64)
    ),
    "tensor type": gguf(
        tensors=1, rest=text(b"t") + struct.pack("<IQIQ", 1, 4, 999, 0) + bytes(64)
    ),
    "offset": gguf(tensors=1, rest=text(b"t") + struct.pack("<IQIQ", 1, 4, 0, 2**62) + bytes(64)),
    "overlap": gguf(
        tensors=2,
        rest=b"".join(
            text(n) + struct.pack("<IQIQ", 1, 64, 0, 32 * i) for i, n in enumerate((b"a", b"b"))
        )
        + bytes(1024),
    ),
    "alignment": gguf(keys=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 3)),
    "row": gguf(tensors=1, rest=text(b"t") + struct.pack("<IQIQ", 1, 33, 8, 0) + bytes(128)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(HOSTILE[name])
    with pytest.raises(InputError):
        read_header(file)


def test_truncation_anywhere_names_expected_and_actual_sizes(
    exported: Path, tmp_path: Path
) -> None:
    data = exported.read_bytes()
    header = read_header(exported)
    for size in (
        25,
        100,
        5_000,
        min(t.start for t in header.tensors.values()),
        header.data_end - 1,
    ):
        file = tmp_path / f"{size}.gguf"
        file.write_bytes(data[:size])
        with pytest.raises(InputError) as caught:
            read_header(file)
        assert caught.value.expected
        assert caught.value.actual


@pytest.mark.parametrize(
    "extra", [{"llama.rope.freq_base": 1}, {"general.alignment": 64}, {"provenance.x": -1}]
)
def test_keys_that_change_the_model_may_not_be_given(
    tiny: BaseModel, tmp_path: Path, extra: dict[str, str | int]
) -> None:
    with pytest.raises(InputError):
        export_gguf(tiny.dir, tmp_path / "out.gguf", extra)
    assert list(tmp_path.iterdir()) == []


def test_rope_factors_of_llama3_equal_transformers(tiny: BaseModel, tmp_path: Path) -> None:
    import json

    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_theta": 500000.0,
    }
    other = tmp_path / "other"
    shutil.copytree(tiny.dir, other)
    config = json.loads((other / "config.json").read_text())
    config.update(rope_parameters=rope, head_dim=16)
    (other / "config.json").write_text(json.dumps(config))
    factors = rope_factors(open_model(other))
    assert factors is not None
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](LlamaConfig(**config), "cpu")
    plain = 1 / 500000.0 ** (np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(plain / factors, scaled.numpy(), rtol=1e-5)
    report = export_gguf(other, tmp_path / "out.gguf")
    assert report.tensors["rope_freqs.weight"] == "F32"
    assert compare_gguf(other, tmp_path / "out.gguf") == []
