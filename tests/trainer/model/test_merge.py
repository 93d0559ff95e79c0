"""Exactness of the merge against a slow oracle in fractions, and everything it refuses."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from provenance.artifacts.content import tensor_digests
from provenance.artifacts.identity import identity_of
from provenance.errors import Conflict, InputError
from provenance_trainer.model import bfloat16
from provenance_trainer.model.adapter import decimal_text, load_adapter, round_adapter
from provenance_trainer.model.merge import merge_adapter, merge_tensor
from provenance_trainer.model.weights import SafetensorsWriter, Weights, write_index

MAX_FINITE = 0x7F7F


def value_of(bits: int) -> Fraction:
    """The number a finite bfloat16 pattern stands for, from the definition of the format."""
    sign, exponent, fraction = bits >> 15, bits >> 7 & 0xFF, bits & 0x7F
    magnitude = (
        Fraction(fraction, 128) * Fraction(2) ** -126
        if exponent == 0
        else (1 + Fraction(fraction, 128)) * Fraction(2) ** (exponent - 127)
    )
    return -magnitude if sign else magnitude


TABLE = [value_of(bits) for bits in range(MAX_FINITE + 1)]


def nearest(value: Fraction) -> int:
    """Nearest pattern by bisection in the table of all non-negative values; ties to even."""
    sign, magnitude = (0x8000, -value) if value < 0 else (0, value)
    low, high = 0, MAX_FINITE
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if TABLE[middle] <= magnitude else (low, middle)
    down, up = magnitude - TABLE[low], TABLE[high] - magnitude
    chosen = low if down < up or (down == up and low % 2 == 0) else high
    return sign | chosen


def oracle(weight: np.ndarray, b: np.ndarray, a: np.ndarray, scale: Fraction) -> np.ndarray:
    out = np.zeros_like(weight)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            delta = sum(
                (value_of(int(b[i, k])) * value_of(int(a[k, j])) for k in range(b.shape[1])),
                Fraction(0),
            )
            out[i, j] = nearest(value_of(int(weight[i, j])) + scale * delta)
    return out


def bits_of(values: np.ndarray) -> np.ndarray:
    return bfloat16.round_float32(values.astype(np.float32))


def random_bits(
    rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int
) -> np.ndarray:
    """Patterns with biased exponents in [low, high], any sign and fraction."""
    exponent, fraction, sign = (
        rng.integers(low, high + 1, shape),
        rng.integers(0, 128, shape),
        rng.integers(0, 2, shape),
    )
    return (sign << 15 | exponent << 7 | fraction).astype(np.uint16)


@pytest.mark.parametrize(
    ("low", "high"),
    [(110, 127), (0, 3), (0, 142), (120, 122)],
    ids=["usual", "subnormal", "wide", "narrow"],
)
def test_merge_equals_the_oracle(low: int, high: int) -> None:
    rng = np.random.default_rng(low * 1000 + high)
    weight, b, a = (
        random_bits(rng, (13, 11), low, high),
        random_bits(rng, (13, 4), low, high),
        random_bits(rng, (4, 11), low, high),
    )
    merged, _ = merge_tensor(weight, b, a, 0.5)
    np.testing.assert_array_equal(merged, oracle(weight, b, a, Fraction(1, 2)))


def test_products_of_subnormals_are_not_lost() -> None:
    rng = np.random.default_rng(5)
    weight = random_bits(rng, (6, 6), 0, 0)
    b, a = random_bits(rng, (6, 3), 0, 1), random_bits(rng, (3, 6), 130, 142)
    merged, _ = merge_tensor(weight, b, a, 2.0)
    np.testing.assert_array_equal(merged, oracle(weight, b, a, Fraction(2)))


def test_exact_ties_go_to_even_and_are_redone_in_integers() -> None:
    # 1 + 2^-8 lies half way between 1 and the next bfloat16, 1 + 3*2^-8 half way above an odd one.
    weight = bits_of(np.array([[1.0, 1.0 + 2**-7, -1.0, -1.0 - 2**-7]]))
    b, a = (
        bits_of(np.array([[2.0**-8, 0.0]])),
        bits_of(np.array([[1.0, 1.0, -1.0, -1.0], [3.0, 3.0, 3.0, 3.0]])),
    )
    merged, redone = merge_tensor(weight, b, a, 1.0)
    assert bfloat16.to_float64(merged).tolist() == [[1.0, 1.0 + 2**-6, -1.0, -1.0 - 2**-6]]
    assert redone == 4


def test_one_unit_of_the_smallest_term_breaks_a_tie() -> None:
    # The second product is 2^-140: no float64 sum sees it beside 1, the exact sum does.
    weight = bits_of(np.array([[1.0, 1.0]]))
    b, a = (
        bits_of(np.array([[2.0**-8, 2.0**-70]])),
        bits_of(np.array([[1.0, 1.0], [2.0**-70, -(2.0**-70)]])),
    )
    merged, _ = merge_tensor(weight, b, a, 1.0)
    assert bfloat16.to_float64(merged).tolist() == [[1.0 + 2**-7, 1.0]]


def test_cancellation_leaves_the_small_terms() -> None:
    weight = bits_of(np.array([[-(2.0**15)]]))
    b, a = bits_of(np.array([[2.0**8, 2.0**-60]])), bits_of(np.array([[2.0**7], [3.0 * 2**-60]]))
    merged, redone = merge_tensor(weight, b, a, 1.0)
    assert bfloat16.to_float64(merged).tolist() == [[3.0 * 2**-120]]
    assert redone == 1


def test_exact_zero_is_positive() -> None:
    weight = np.array([[0x8000, 0x3F80]], dtype=np.uint16)
    b, a = bits_of(np.array([[-1.0]])), bits_of(np.array([[0.0, 1.0]]))
    merged, _ = merge_tensor(weight, b, a, 1.0)
    assert merged.tolist() == [[0, 0]]


def test_float64_rounding_equals_the_oracle_around_every_boundary() -> None:
    rng = np.random.default_rng(1)
    patterns = np.concatenate([np.arange(0, 300), rng.integers(300, MAX_FINITE - 1, 500)])
    for pattern in patterns.tolist():
        low, high = float(TABLE[pattern]), float(TABLE[pattern + 1])
        middle = (low + high) / 2
        for value in (low, middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf)):
            assert int(bfloat16.round_float64(np.array([value]))[0]) == nearest(
                Fraction(float(value))
            )


def test_float32_rounding_equals_the_oracle() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, MAX_FINITE << 16, 2000, dtype=np.uint32).view(np.float32)
    expected = [nearest(Fraction(float(v))) for v in values]
    assert bfloat16.round_float32(values).tolist() == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(2), "2"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-5, 2), "-2.5"),
        (Fraction(10), "10"),
    ],
)
def test_decimal_text_is_exact(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text
    assert Fraction(decimal_text(value)) == value


# Folders


CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
KEY = "base_model.model.model.layers.0.self_attn.q_proj"


def write_base(
    folder: Path, rng: np.random.Generator, *, shards: int = 1, **config: object
) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "tokenizer.json").write_text("{}")
    tensors = {
        "model.layers.0.self_attn.q_proj.weight": random_bits(rng, (16, 8), 115, 125),
        "model.layers.0.self_attn.k_proj.weight": random_bits(rng, (8, 8), 115, 125),
        "model.embed_tokens.weight": random_bits(rng, (10, 8), 115, 125),
    }
    names = list(tensors)
    for shard in range(shards):
        part = {n: tensors[n] for n in names[shard::shards]}
        file = folder / (
            "model.safetensors"
            if shards == 1
            else f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        )
        write_tensors(file, part)
    write_index(Weights(folder), folder)
    return folder


def write_tensors(file: Path, tensors: dict[str, np.ndarray], dtype: str = "BF16") -> None:
    with SafetensorsWriter(file, {n: (dtype, t.shape) for n, t in tensors.items()}) as writer:
        for name in sorted(tensors, key=str.encode):
            writer.write(name, tensors[name].tobytes())


def write_adapter(
    folder: Path, rng: np.random.Generator, dtype: str = "F32", **config: object
) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **config}))
    a, b = (
        rng.normal(0, 0.1, (4, 8)).astype(np.float32),
        rng.normal(0, 0.1, (16, 4)).astype(np.float32),
    )
    tensors = {f"{KEY}.lora_A.weight": a, f"{KEY}.lora_B.weight": b}
    if dtype == "BF16":
        tensors = {n: bits_of(t) for n, t in tensors.items()}
    write_tensors(folder / "adapter_model.safetensors", tensors, dtype)
    return folder


@pytest.mark.parametrize("shards", [1, 2])
def test_merged_folder_equals_the_oracle_and_repeats(tmp_path: Path, shards: int) -> None:
    rng = np.random.default_rng(3)
    base, raw = (
        write_base(tmp_path / "base", rng, shards=shards),
        write_adapter(tmp_path / "raw", rng),
    )
    shipped = round_adapter(raw, tmp_path / "adapter")
    report = merge_adapter(base, tmp_path / "adapter", tmp_path / "one", compare_to_peft=True)
    again = merge_adapter(base, tmp_path / "adapter", tmp_path / "two")

    weights, pair = Weights(base), load_adapter(tmp_path / "adapter")
    expected = oracle(
        weights.bf16_bits("model.layers.0.self_attn.q_proj.weight"),
        pair.weights.bf16_bits(f"{KEY}.lora_B.weight"),
        pair.weights.bf16_bits(f"{KEY}.lora_A.weight"),
        Fraction(2),
    )
    np.testing.assert_array_equal(
        Weights(tmp_path / "one").bf16_bits("model.layers.0.self_attn.q_proj.weight"), expected
    )
    before, after = tensor_digests(base), tensor_digests(tmp_path / "one")
    assert (
        [n for n in before if before[n] != after[n]]
        == list(report.adapted)
        == ["model.layers.0.self_attn.q_proj.weight"]
    )
    assert (report.base, report.merged) == (identity_of(base), identity_of(tmp_path / "one"))
    assert (report.adapter.content, report.adapter) == (shipped, identity_of(tmp_path / "adapter"))
    assert report.merged.files == report.base.files  # byte for byte, so a log can demand it
    assert report.scale == "2"
    assert report.max_ulp_to_peft is not None
    assert again.max_ulp_to_peft is None
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    assert (tmp_path / "one" / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("use_rslora", True),
        ("modules_to_save", ["lm_head"]),
        ("bias", "all"),
        ("fan_in_fan_out", True),
        ("lora_bias", True),
        ("rank_pattern", {"q": 8}),
        ("alpha_pattern", {"q": 8}),
        ("target_parameters", ["x"]),
        ("layer_replication", [[0, 1]]),
        ("init_lora_weights", "pissa"),
        ("some_option_of_next_year", {"on": 1}),
        ("peft_type", "IA3"),
    ],
)
def test_anything_but_plain_lora_is_refused_by_name(
    tmp_path: Path, key: str, value: object
) -> None:
    rng = np.random.default_rng(4)
    base, adapter = (
        write_base(tmp_path / "base", rng),
        write_adapter(tmp_path / "adapter", rng, "BF16", **{key: value}),
    )
    with pytest.raises(InputError, match=key):
        merge_adapter(base, adapter, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "base"]


@pytest.mark.parametrize("alpha", [7, 3.3, 0, True, "8", 2**33])
def test_a_scale_that_bfloat16_does_not_hold_is_refused(tmp_path: Path, alpha: object) -> None:
    adapter = write_adapter(
        tmp_path / "adapter", np.random.default_rng(4), "BF16", lora_alpha=alpha, r=4
    )
    if alpha == 7:  # 7/4 is a bfloat16 number, 7/3 is not
        assert load_adapter(adapter).scale == Fraction(7, 4)
        (adapter / "adapter_config.json").write_text(
            json.dumps({**CONFIG, "lora_alpha": 7, "r": 3})
        )
    with pytest.raises(InputError, match="lora_alpha"):
        load_adapter(adapter)


@pytest.mark.parametrize(
    "bits", [0x7FC0, 0x7F80, 0xFF80, 0x4780], ids=["nan", "inf", "-inf", "2^16"]
)
@pytest.mark.parametrize("where", ["base", "adapter"])
def test_values_outside_the_window_are_refused(tmp_path: Path, bits: int, where: str) -> None:
    rng = np.random.default_rng(6)
    base, adapter = (
        write_base(tmp_path / "base", rng),
        write_adapter(tmp_path / "adapter", rng, "BF16"),
    )
    weights = Weights(base if where == "base" else adapter)
    tensors = {name: weights.bf16_bits(name).copy() for name in weights}
    name = next(n for n in tensors if "q_proj" in n)
    tensors[name][1, 2] = bits
    weights.files[0].unlink()
    write_tensors(weights.files[0], tensors)
    with pytest.raises(InputError, match=r"outside the range that a merge accepts.*") as caught:
        merge_adapter(base, adapter, tmp_path / "out")
    assert caught.value.where is not None
    assert caught.value.where.endswith("[1, 2]")
    assert not (tmp_path / "out").exists()


def test_float32_adapter_must_be_rounded_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    with pytest.raises(InputError, match="not bfloat16"):
        merge_adapter(
            write_base(tmp_path / "base", rng),
            write_adapter(tmp_path / "raw", rng),
            tmp_path / "out",
        )


def test_adapter_of_another_model_and_tied_head_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    base = write_base(tmp_path / "base", rng, tie_word_embeddings=True)
    adapter = write_adapter(tmp_path / "adapter", rng, "BF16")
    weights = Weights(adapter)
    tensors = {name: weights.bf16_bits(name) for name in weights}
    for module, message in (
        ("lm_head", "tied"),
        ("model.layers.7.q_proj", "does not have"),
        ("model.layers.0.self_attn.k_proj", "fit"),
    ):
        (adapter / "adapter_model.safetensors").unlink()
        write_tensors(
            adapter / "adapter_model.safetensors",
            {n.replace(KEY, f"base_model.model.{module}"): t for n, t in tensors.items()},
        )
        with pytest.raises(InputError, match=message):
            merge_adapter(base, adapter, tmp_path / "out")


def test_existing_output_is_left_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    base, adapter = (
        write_base(tmp_path / "base", rng),
        write_adapter(tmp_path / "adapter", rng, "BF16"),
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "keep").write_text("x")
    with pytest.raises(Conflict):
        merge_adapter(base, adapter, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["keep"]


@pytest.mark.parametrize(
    "damage", ["length", "offsets", "shape", "dtype", "truncated", "duplicate", "not-json"]
)
def test_hostile_safetensors_headers_are_refused(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "model.safetensors"
    entry: dict[str, object] = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}
    if damage == "offsets":
        entry["data_offsets"] = [0, 2**62]
    if damage == "shape":
        entry["shape"] = [2**40, 2**40]
    if damage == "dtype":
        entry["dtype"] = "PICKLE"
    text = json.dumps({"w": entry}).encode()
    if damage == "duplicate":
        text = text[:-1] + b"," + text[1:]
    if damage == "not-json":
        text = b"[" * 100_000
    length = 2**63 if damage == "length" else len(text)
    file.write_bytes(length.to_bytes(8, "little") + text + bytes(4 if damage == "truncated" else 8))
    with pytest.raises(InputError):
        Weights(file)


def test_small_factors_are_shipped_as_zero() -> None:
    values = np.array([2.0**-40, -(2.0**-40), 2.0**-41, -(2.0**-60), 2.0**-130, 1.5, 0.0])
    kept = bfloat16.to_float64(bfloat16.flush_small(bfloat16.round_float64(values)))
    assert kept.tolist() == [2.0**-40, -(2.0**-40), 0, 0, 0, 1.5, 0]
    assert not np.signbit(kept[3])


def test_rounding_an_adapter_flushes_it(tmp_path: Path) -> None:
    raw = write_adapter(tmp_path / "raw", np.random.default_rng(4))
    tiny = np.full((4, 8), 2.0**-50, np.float32)
    (raw / "adapter_model.safetensors").unlink()
    factors = {f"{KEY}.lora_A.weight": tiny, f"{KEY}.lora_B.weight": np.ones((16, 4), np.float32)}
    write_tensors(raw / "adapter_model.safetensors", factors, "F32")
    round_adapter(raw, tmp_path / "adapter")
    weights = load_adapter(tmp_path / "adapter").weights
    assert not weights.bf16_bits(f"{KEY}.lora_A.weight").any()
    assert weights.bf16_bits(f"{KEY}.lora_B.weight").all()
