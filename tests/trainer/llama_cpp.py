"""llama.cpp as a reader of GGUF files: its tokens and its next token, beside transformers'."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import xllamacpp
from transformers import AutoModelForCausalLM


class LlamaCpp:
    """One loaded file."""

    def __init__(self, file: Path) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
        params.cpuparams.n_threads, params.verbosity = 1, -1
        self._server = xllamacpp.Server(params)

    def tokens(self, text: str) -> list[int]:
        """Ids of a text, special tokens recognized and the one for its beginning added."""
        question = {"content": text, "add_special": True, "parse_special": True}
        tokens: list[int] = self._ask("tokenize", question)["tokens"]
        return tokens

    @property
    def context(self) -> int:
        """How many tokens a text may have."""
        return int(self._ask("props")["default_generation_settings"]["n_ctx"])

    def next_logprobs(self, ids: Sequence[int], count: int) -> dict[int, float]:
        """The `count` likeliest next tokens with their log-probabilities."""
        question = {
            "prompt": list(ids),
            "n_predict": 1,
            "n_probs": count,
            "temperature": 0,
            "cache_prompt": False,
            # What is drawn is told only if it can be shown. The probabilities are not biased.
            "logit_bias": [[self.tokens("e")[-1], 1000.0]],
        }
        (first,) = self._ask("completion", question)["completion_probabilities"]
        return {item["id"]: item["logprob"] for item in first["top_logprobs"]}

    def _ask(self, path: str, question: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self._server.listening_address}/{path}",
            data=None if question is None else json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def reference_logprobs(model: Path, ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of the next token after transformers, in float32."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.no_grad():
        logits = loaded(torch.tensor([list(ids)])).logits[0, -1]
    return torch.log_softmax(logits, -1)
