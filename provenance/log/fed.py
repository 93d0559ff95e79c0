"""What a `run.open` record says is fed, read strictly and put into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.errors import InputError

_LOSS = {"all": "every token", "completion": "the completion", "assistant": "the assistant's words"}
_COUNTS = ("records", "tokens", "predicted", "longest", "cut", "lost", "unlearned", "max_length")
_MOST_COLUMNS = 32


@dataclass(frozen=True)
class FedFacts:
    """The field `fed`: which columns, in which shape, with the loss on what, and how much.

    template: digest of the chat template, `none` where none is used. counts: by name
    (docs/formats/records.md).
    """

    shape: str
    columns: tuple[str, ...]
    loss: str
    template: str
    counts: Mapping[str, int]

    @classmethod
    def read(cls, value: Any) -> FedFacts:
        """Read the field (attacker-controlled).

        Raises:
            InputError: not of that form.
        """
        if not isinstance(value, Mapping):
            raise _malformed("an object", value)
        columns = value.get("columns")
        if (
            not isinstance(columns, list)
            or not 0 < len(columns) <= _MOST_COLUMNS
            or not all(isinstance(column, str) for column in columns)
        ):
            raise _malformed("columns, a list of names", columns)
        words = {name: value.get(name) for name in ("shape", "chat_template")}
        if not all(isinstance(word, str) for word in words.values()):
            raise _malformed("shape and chat_template, texts", words)
        if value.get("loss") not in _LOSS:
            raise _malformed(f"loss, one of {', '.join(_LOSS)}", value.get("loss"))
        counts = {name: value.get(name) for name in _COUNTS}
        if not all(type(count) is int and count >= 0 for count in counts.values()):
            raise _malformed("counts, integers from 0", counts)
        return cls(
            str(words["shape"]),
            tuple(columns),
            str(value["loss"]),
            str(words["chat_template"]),
            {name: int(count) for name, count in counts.items() if count is not None},
        )

    def __str__(self) -> str:
        template = "no chat template"
        if self.template != "none":
            template = f"chat template {self.template}"
        columns = " + ".join(self.columns)
        return f"fed: {columns} ({self.shape}), loss on {_LOSS[self.loss]}, {template}"

    @property
    def amounts(self) -> str:
        """The counts in words."""
        n = self.counts
        cut = f"{n['cut']} cut to {n['max_length']} tokens" if n["cut"] else "none cut"
        lost = f" ({n['lost']} lost)" if n["lost"] else ""
        empty = f", {n['unlearned']} without a token to predict" if n["unlearned"] else ""
        return (
            f"{n['records']} records, {n['tokens']} tokens, {n['predicted']} of them to predict, "
            f"{cut}{lost}{empty}"
        )


def _malformed(expected: str, actual: Any) -> InputError:
    return InputError(
        "what is fed is not said in the right form",
        where="run.open fed",
        expected=expected,
        actual=f"{actual!r:.120}",
    )
