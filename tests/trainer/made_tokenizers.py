"""Tokenizers for tests, with the special tokens and the chat template that a test asks for."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, TURN = "<s>", "</s>", "<turn>"
CHAT = "{% for m in messages %}<turn>{{ m['role'] }}:{{ m['content'] }}{% endfor %}"
# Writes begin-of-text itself, ends each turn with a token of its own, and knows tools and calls.
FULL_CHAT = (
    "{{ bos_token }}{% if tools %}<turn>tools:{{ tools | tojson }}<end>{% endif %}"
    "{% for m in messages %}<turn>{{ m['role'] }}:"
    "{% if m.role == 'assistant' %}{% generation %}{{ m['content'] }}"
    "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}<end>{% endgeneration %}"
    "{% else %}{{ m['content'] | trim }}<end>{% endif %}{{ '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<turn>assistant:{% endif %}"
)


def make_tokenizer(
    *, adds_bos: bool = False, eos: bool = True, template: str | None = None
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of merged pairs; `adds_bos`: it puts `<s>` before each text."""
    inner: Any = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[BOS, EOS, TURN, "<end>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(["the pump of line four was stopped and cleaned"] * 3, trainer)
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, inner.token_to_id(BOS))]
        )
    special = {"bos_token": BOS} | ({"eos_token": EOS} if eos else {})
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **special)  # type: ignore[no-untyped-call]
    tokenizer.chat_template = template
    return tokenizer
