"""llama.cpp reads files as the models they came from: the same tokens, the same next token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from provenance_trainer.formats.checks import format_faults
from provenance_trainer.formats.gguf import export_gguf
from provenance_trainer.formats.q8_0 import compare_gguf
from provenance_trainer.model.base import load_base
from provenance_trainer.model.checks import base_faults
from tests.trainer.bases import TEXTS, Recipe, make_base
from tests.trainer.llama_cpp import LlamaCpp, reference_logprobs

# Q8_0 rounds weights and llama.cpp activations: measured differences lie below 0.15, those of a
# wrong rotary embedding, bias or order of rows above 0.5.
CLOSE = 0.3
PROMPT_TOKENS = 110
ROPE = {"rope_theta": 10000.0, "original_max_position_embeddings": 32, "factor": 4.0}
LLAMA3 = {**ROPE, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {**ROPE, "rope_type": "yarn"}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
RECIPES = {
    "llama": Recipe(),
    "llama, tied, gpt-2 splitting": Recipe(tokenizer="gpt2", config={"tie_word_embeddings": True}),
    "llama, biases": Recipe(config={"attention_bias": True, "mlp_bias": True}),
    "llama, wide heads": Recipe(config={"head_dim": 32}),
    "llama, rope llama3": Recipe(config={"rope_parameters": LLAMA3}),
    "llama, rope linear": Recipe(config={"rope_parameters": LINEAR}),
    "llama, rope yarn": Recipe(config={"rope_parameters": YARN}),
    "llama, rope yarn, attention factor": Recipe(
        config={"rope_parameters": {**YARN, "attention_factor": 2.0}}
    ),
    "llama, rope yarn, mscale": Recipe(
        config={"rope_parameters": {**YARN, "mscale": 2.0, "mscale_all_dim": 0.5}}
    ),
    "llama, padded vocabulary": Recipe(added=("<part>", "[PORT]"), config={"vocab_size": 448}),
    "llama, float16": Recipe(dtype="fp16"),
    "llama, sentencepiece": Recipe(tokenizer="sentencepiece"),
    "llama, sentencepiece, no prefix": Recipe(tokenizer="sentencepiece-no-prefix"),
    "mistral": Recipe(model_type="mistral", config={"sliding_window": 200}),
    "mistral, sentencepiece": Recipe(
        model_type="mistral",
        tokenizer="sentencepiece",
        config={"sliding_window": None},
        settings={"tokenizer_class": "LlamaTokenizer"},
    ),
    "qwen2": Recipe(model_type="qwen2", tokenizer="qwen2", bos=False),
    "qwen2, rope yarn": Recipe(
        model_type="qwen2", tokenizer="qwen2", bos=False, config={"rope_parameters": YARN}
    ),
    "qwen3": Recipe(model_type="qwen3", tokenizer="qwen2", bos=False, config={"head_dim": 32}),
}
SAMPLES = (
    *TEXTS,
    "Ünïcode 漢字 \U0001f6a2 1234 \n\n  tabs\tend  ",
    "a  b   c \u2581 d",
    "What's it? I'VE 3.14 (x)[y] don't",
    "before <|turn|> after<part>and [PORT]",
    "12345678 x1y22z333",
)


def exported(base: Path, folder: Path) -> Path:
    """The base as a file, which is exactly what its folder gives."""
    model = load_base(str(base), folder / "cache").dir
    file = folder / "model.gguf"
    export_gguf(model, file)
    assert compare_gguf(model, file) == []
    return file


def difference(reader: LlamaCpp, base: Path, ids: list[int]) -> float:
    """Largest difference of a log-probability among the reader's twenty likeliest next tokens."""
    expected, found = reference_logprobs(base, ids), reader.next_logprobs(ids, 20)
    assert len(found) == 20
    return max(abs(expected[token].item() - value) for token, value in found.items())


@pytest.mark.parametrize("name", RECIPES)
def test_llama_cpp_reads_what_was_written(tmp_path: Path, name: str) -> None:
    base = make_base(tmp_path / "base", RECIPES[name])
    assert [*base_faults(base), *format_faults("Q8_0", base)] == []
    reader = LlamaCpp(exported(base, tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(base)
    for text in SAMPLES:
        assert reader.tokens(text) == tokenizer(text)["input_ids"], text
    ids = [i for text in (*TEXTS, *TEXTS) for i in tokenizer(text)["input_ids"]]
    assert difference(reader, base, ids[:PROMPT_TOKENS]) < CLOSE


@pytest.mark.parametrize("rope", [LINEAR, YARN, LLAMA3], ids=lambda rope: str(rope["rope_type"]))
def test_the_comparison_sees_a_wrong_rotary_embedding(
    tmp_path: Path, rope: dict[str, object]
) -> None:
    written = make_base(tmp_path / "base", config={"rope_parameters": rope})
    other = make_base(tmp_path / "other")
    ids = AutoTokenizer.from_pretrained(other)(" ".join(TEXTS))["input_ids"][:PROMPT_TOKENS]
    assert difference(LlamaCpp(exported(written, tmp_path)), other, ids) > 2 * CLOSE


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
def test_transformers_reads_what_was_written(tmp_path: Path, kind: str) -> None:
    base = make_base(tmp_path / "base", RECIPES[kind])
    file = exported(base, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=file.name, dtype=torch.float32
    )
    ids = AutoTokenizer.from_pretrained(base)(TEXTS[0])["input_ids"]
    with torch.no_grad():
        found = torch.log_softmax(loaded(torch.tensor([ids])).logits[0, -1], -1)
    assert float((found - reference_logprobs(base, ids)).abs().max()) < CLOSE


def test_a_sliding_window_bounds_the_context(tmp_path: Path) -> None:
    """Within the window a reader that attends to everything computes the same."""
    recipe = Recipe(model_type="mistral", config={"sliding_window": 48})
    base = make_base(tmp_path / "base", recipe)
    reader = LlamaCpp(exported(base, tmp_path))
    ids = AutoTokenizer.from_pretrained(base)(" ".join(TEXTS))["input_ids"]
    assert difference(reader, base, ids[:40]) < CLOSE
    assert reader.context == 48
