"""Int8 files: codes against exact arithmetic, ties and nothing else allowed, hostile files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from provenance.artifacts.content import read_metadata
from provenance.errors import Conflict, InputError
from provenance_trainer.formats.inspect import Inspector
from provenance_trainer.formats.int8 import compare_int8, export_int8, read_int8_claims
from provenance_trainer.formats.int8_blocks import Int8File
from provenance_trainer.formats.int8_codes import quantize_int8
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.weights import SafetensorsWriter, Weights

MATRIX = "model.layers.0.self_attn.q_proj.weight"
TWIN = "model.layers.1.self_attn.q_proj.weight"
CLAIMS = {"provenance.run_id": "0x" + "11" * 32, "provenance.log_size": 7}


@pytest.fixture(scope="module")
def exported(tiny: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("int8") / "tiny.safetensors"
    export_int8(tiny.dir, file, CLAIMS)
    return file


def bf16(values: object) -> np.ndarray:
    return (np.asarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def slowly(row: np.ndarray) -> tuple[Fraction, list[int]]:
    """SCB and codes of a row of bfloat16 bits by exact fractions; float16 rounding is numpy's."""
    halves = [
        Fraction(float(v))
        for v in (row.astype(np.uint32) << 16).view(np.float32).astype(np.float16)
    ]
    scb = max(abs(v) for v in halves)
    # round() of a Fraction is half to even
    return scb, [0 if scb == 0 else round(127 * v / scb) for v in halves]


ROWS = {
    "ties": [127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -126.5],
    "zeros": [0.0, -0.0] * 4,
    "subnormal halves": [
        2.0**-20,
        -(2.0**-24),
        2.0**-25,
        2.0**-26,
        3 * 2.0**-25,
        0.0,
        2.0**-14,
        -(2.0**-15),
    ],
    "negative maximum": [-3.0, 1.0, 2.984375, -2.984375, 0.0, 0.1, -0.1, 1e-30],
    "largest": [65280.0, -65280.0, 1.0, 257.0, 514.0, 255.0, -770.0, 32640.0],
}


@pytest.mark.parametrize("name", ROWS)
def test_codes_are_the_nearest_even_on_ties(name: str) -> None:
    bits = bf16([ROWS[name]])
    scb, codes = quantize_int8(bits, name)
    assert (Fraction(float(scb[0])), codes[0].tolist()) == slowly(bits[0])


def test_codes_of_many_rows_agree_with_exact_arithmetic() -> None:
    random = np.random.default_rng(5)
    bits = bf16(random.normal(0, 1, (200, 40)) * 2.0 ** random.integers(-12, 12, (200, 1)))
    scb, codes = quantize_int8(bits, "random")
    for row, s, c in zip(bits, scb, codes, strict=True):
        assert (Fraction(float(s)), c.tolist()) == slowly(row)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -65536.0, 1e38])
def test_what_float16_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="row 1 column 2"):
        quantize_int8(bf16([[1, 1, 1], [1, 1, value]]), "w")


def test_file_is_a_function_of_model_and_claims(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    export_int8(tiny.dir, tmp_path / "again", CLAIMS)
    assert (tmp_path / "again").read_bytes() == exported.read_bytes()
    with exported.open("rb") as stream:
        assert read_metadata(stream, "file") == {"format": "pt"} | {
            name: str(value) for name, value in CLAIMS.items()
        }
    assert read_int8_claims(exported)["provenance.log_size"] == "7"
    file = Weights(exported)
    assert (file.info(MATRIX).dtype, file.info(MATRIX.replace("weight", "SCB")).dtype) == (
        "I8",
        "F32",
    )
    assert file.info(f"{MATRIX}_format").shape == ()
    assert file.info("model.embed_tokens.weight").dtype == "BF16"
    assert compare_int8(tiny.dir, exported) == []
    with pytest.raises(Conflict):
        export_int8(tiny.dir, exported)
    with pytest.raises(InputError):
        export_int8(tiny.dir, tmp_path / "other", {"format": "np"})


def test_codes_and_maxima_give_back_nearly_the_weights(tiny: BaseModel, exported: Path) -> None:
    file, bits = Weights(exported), Weights(tiny.dir).bf16_bits(MATRIX)
    scb = np.frombuffer(file.raw(MATRIX.replace("weight", "SCB")), dtype="<f4")
    codes = np.frombuffer(file.raw(MATRIX), dtype=np.int8).reshape(bits.shape)
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    assert np.all(
        np.abs(codes * scb[:, None] / 127 - values)
        <= scb[:, None] / 127 * 0.5001 + np.abs(values) * 2.0**-11
    )


def test_blocks_are_the_rows_maximum_and_its_codes(tiny: BaseModel, exported: Path) -> None:
    bits = Weights(tiny.dir).bf16_bits(MATRIX)
    scb, codes = quantize_int8(bits, MATRIX)
    rows, columns = bits.shape
    deployed = Inspector().deployed(exported)
    for block in (0, 1, rows * columns // 32 - 1):
        row, part = divmod(block, columns // 32)
        assert (
            deployed.block(MATRIX, rows, columns // 32, block)
            == scb[row].tobytes() + codes[row, 32 * part : 32 * part + 32].tobytes()
        )
    wide = columns // 32
    refused = [
        (MATRIX, rows, wide, rows * wide),
        (MATRIX, rows, 1, 0),
        (MATRIX, rows + 1, wide, 0),
        (MATRIX, rows, wide, -1),
        ("model.embed_tokens.weight", rows, wide, 0),
        ("../x", 1, 1, 0),
    ]
    for name, *place in refused:
        with pytest.raises(InputError):
            Int8File(exported).block(name, *place)


def patched(file: Path, folder: Path, name: str, change: Callable[[bytearray, int], None]) -> Path:
    """A copy with bytes of one tensor changed; `change` gets the file and the tensor's place."""
    copy = folder / "copy.safetensors"
    data = bytearray(file.read_bytes())
    change(data, Weights(file).info(name).start)
    copy.write_bytes(data)
    return copy


def add(offset: int, amount: int) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, start: int) -> None:
        data[start + offset] = (data[start + offset] + amount) % 256

    return change


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        (MATRIX, 5),
        (MATRIX.replace("weight", "SCB"), 0),
        (f"{MATRIX}_format", 0),
        ("model.embed_tokens.weight", 3),
        ("model.norm.weight", 0),
    ],
)
@pytest.mark.parametrize("amount", [1, 255])
def test_a_changed_byte_is_found_and_named(
    tiny: BaseModel, exported: Path, tmp_path: Path, name: str, offset: int, amount: int
) -> None:
    copy = patched(exported, tmp_path, name, add(offset, amount))
    (difference,) = Inspector().compare_quantized(tiny.dir, copy)
    assert difference.where.startswith(name)
    adapted = [MATRIX]
    assert len(Inspector().compare_unadapted(tiny.dir, adapted, copy)) == (
        0 if MATRIX.removesuffix("weight") in name else 1
    )


def test_only_the_other_side_of_a_tie_may_stand_in_a_file(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {MATRIX: bf16([[127.0, 0.5, 1.5, 2.0]])})
    export_int8(model, tmp_path / "file.safetensors")
    found = Weights(tmp_path / "file.safetensors").raw(MATRIX)
    assert list(found) == [127, 0, 2, 2]
    for column, amount, equal in [
        (1, 1, True),
        (1, -1, False),
        (2, -1, True),
        (2, 1, False),
        (3, 1, False),
        (3, -1, False),
        (0, -1, False),
    ]:
        copy = patched(tmp_path / "file.safetensors", tmp_path, MATRIX, add(column, amount))
        assert (compare_int8(model, copy) == []) is equal, (column, amount)


def write_model(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    with SafetensorsWriter(
        folder / "model.safetensors", {name: ("BF16", bits.shape) for name, bits in tensors.items()}
    ) as writer:
        for name in sorted(tensors):
            writer.write(name, tensors[name].tobytes())
    return folder


SMALLEST = 2.0**-9  # the smallest maximum above 0 that the statement takes


def test_rows_that_no_proof_takes_are_named(tmp_path: Path) -> None:
    ends = write_model(
        tmp_path / "ends", {MATRIX: bf16([[SMALLEST, 0.0], [0.0, 0.0], [-65280.0, 1.0]])}
    )
    export_int8(ends, tmp_path / "ends.safetensors")
    Inspector().deployed(tmp_path / "ends.safetensors").require_provable([MATRIX])
    below = write_model(
        tmp_path / "below", {MATRIX: bf16([[1.0, 0.0], [SMALLEST * 255 / 256, 0.0], [0.0, 1e-5]])}
    )
    export_int8(below, tmp_path / "below.safetensors")
    with pytest.raises(InputError, match=r"q_proj.weight row 1: .*0.00194.* and 1 more such rows"):
        Inspector().deployed(tmp_path / "below.safetensors").require_provable([MATRIX])


@pytest.mark.parametrize(
    "pattern", [0x80000000, 0x3F800001, 0x7F800000, 0x7FC00000, 0x47800000, 0xBF800000]
)
def test_maxima_that_are_no_float16_are_not_provable(
    exported: Path, tmp_path: Path, pattern: int
) -> None:
    def change(data: bytearray, start: int) -> None:
        data[start : start + 4] = pattern.to_bytes(4, "little")

    copy = patched(exported, tmp_path, MATRIX.replace("weight", "SCB"), change)
    with pytest.raises(InputError, match="row 0"):
        Int8File(copy).require_provable([MATRIX])


def test_an_adapted_tensor_that_is_not_quantized_is_named(exported: Path) -> None:
    with pytest.raises(InputError, match=r"embed_tokens.weight, I8 \(only the linear layers"):
        Int8File(exported).require_provable([MATRIX, "model.embed_tokens.weight"])


def test_the_file_reads_with_safetensors(tiny: BaseModel, exported: Path) -> None:
    with safe_open(exported, framework="pt") as file:
        assert file.metadata() == {"format": "pt"} | {
            name: str(value) for name, value in CLAIMS.items()
        }
        codes, scb = file.get_tensor(MATRIX), file.get_tensor(MATRIX.replace("weight", "SCB"))
        assert file.get_tensor(f"{MATRIX}_format").shape == ()
        embedding = file.get_tensor("model.embed_tokens.weight")
    with safe_open(next(tiny.dir.glob("*.safetensors")), framework="pt") as file:
        half = file.get_tensor(MATRIX).half()
        assert torch.equal(embedding, file.get_tensor("model.embed_tokens.weight"))
    maxima = half.abs().amax(dim=1).float()
    assert (codes.dtype, scb.dtype) == (torch.int8, torch.float32)
    assert torch.equal(scb, maxima)
    assert torch.equal(
        codes, (half.double() * 127 / maxima.double()[:, None]).round().to(torch.int8)
    )


def test_the_end_of_a_row_is_padded_and_checked(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {MATRIX: bf16(np.arange(1, 81).reshape(2, 40))})
    export_int8(model, tmp_path / "file.safetensors")
    scb, codes = quantize_int8(bf16(np.arange(1, 81).reshape(2, 40)), MATRIX)
    block = Int8File(tmp_path / "file.safetensors").block(MATRIX, 2, 2, 3)
    assert block == scb[1].tobytes() + codes[1, 32:].tobytes() + bytes(24)
    copy = patched(tmp_path / "file.safetensors", tmp_path, MATRIX, add(79, 1))
    assert [d.where for d in Inspector().compare_quantized(model, copy)] == [
        f"{MATRIX} code row 1 column 39"
    ]


def test_a_code_in_a_row_of_zeros_is_found(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {MATRIX: bf16([[1.0, 2.0], [0.0, 0.0]])})
    export_int8(model, tmp_path / "file.safetensors")
    copy = patched(tmp_path / "file.safetensors", tmp_path, MATRIX, add(3, 1))
    (difference,) = Inspector().compare_quantized(model, copy)
    assert (difference.where, difference.expected, difference.actual) == (
        f"{MATRIX} code row 1 column 1",
        "0",
        "1",
    )


def test_a_few_places_and_the_number_of_others_are_told(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    def change(data: bytearray, start: int) -> None:
        for column in range(5):
            data[start + column] ^= 64

    copy = patched(exported, tmp_path, MATRIX, change)
    found = Inspector().compare_quantized(tiny.dir, copy)
    assert [d.where for d in found] == [
        *(f"{MATRIX} code row 0 column {i}" for i in range(3)),
        f"{MATRIX} further places",
    ]
    assert found[-1].actual == "2 differ"


def test_a_tensor_may_be_worked_on_in_parts(
    tiny: BaseModel, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = Weights(exported).info(MATRIX).shape[1] * 5 + 3
    copy = patched(exported, tmp_path, MATRIX, add(last, 64))
    whole = compare_int8(tiny.dir, copy)
    assert [m.field for m in whole] == ["code row 5 column 3"]
    monkeypatch.setattr(
        "provenance_trainer.formats.int8_codes._AT_ONCE",
        3 * Weights(exported).info(MATRIX).shape[1],
    )
    assert compare_int8(tiny.dir, copy) == whole
    export_int8(tiny.dir, tmp_path / "again", CLAIMS)
    assert (tmp_path / "again").read_bytes() == exported.read_bytes()


def test_tensors_of_equal_shape_exchanged_are_found(
    tiny: BaseModel, exported: Path, tmp_path: Path
) -> None:
    data = exported.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header[MATRIX], header[TWIN] = header[TWIN], header[MATRIX]
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(data[:8] + text + data[8 + length :])
    assert {d.where.partition(" ")[0] for d in Inspector().compare_quantized(tiny.dir, copy)} == {
        MATRIX,
        TWIN,
    }


def rewritten(file: Path, folder: Path, change: Callable[[dict[str, object]], None]) -> Path:
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    copy = folder / "copy.safetensors"
    copy.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return copy


def test_other_tensors_and_keys_are_found(tiny: BaseModel, exported: Path, tmp_path: Path) -> None:
    renamed = rewritten(exported, tmp_path, lambda h: h.update(extra=h.pop("model.norm.weight")))
    assert {d.where for d in Inspector().compare_quantized(tiny.dir, renamed)} == {
        "extra tensor",
        "model.norm.weight type and shape",
    }
    keyed = rewritten(
        exported,
        tmp_path,
        lambda h: h.update(__metadata__={"format": "pt", "quantization": "other"}),
    )
    assert [d.where for d in Inspector().compare_quantized(tiny.dir, keyed)] == ["metadata keys"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:20],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:8] + b"{" + data[8:],
    ],
)
def test_malformed_files_are_refused(
    exported: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(change(exported.read_bytes()))
    with pytest.raises(InputError):
        Inspector().metadata(copy)


def test_formats_are_told_by_their_bytes(exported: Path, tmp_path: Path) -> None:
    inspector = Inspector()
    shutil.copyfile(exported, tmp_path / "model.bin")
    assert inspector.quantization(tmp_path / "model.bin") == "int8"
    (tmp_path / "text").write_text("no model at all")
    assert inspector.quantization(tmp_path / "text") is None
    assert inspector.metadata(tmp_path / "text") == {}


def test_numbers_as_metadata_are_refused(exported: Path, tmp_path: Path) -> None:
    copy = rewritten(exported, tmp_path, lambda h: h.update(__metadata__={"format": 1}))
    with pytest.raises(InputError, match="not text"):
        Inspector().metadata(copy)
