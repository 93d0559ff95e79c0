"""The shapes of records that training understands, and which one a dataset has.

| shape | columns | loss on |
|---|---|---|
| `text` | one column of text | every token |
| `messages` | `messages`: what the chat template writes | every token, or the assistant's |
| `conversations` | `conversations`: ShareGPT's `from` and `value` | as `messages` |
| `prompt_completion` | `prompt`, `completion`: both text or both messages | the completion |
| `instruction` | `instruction`, `output`, and `input` if there is one | `output` |

`tools` belongs to shapes of messages. Semantics are those of TRL's SFTTrainer where it reads the
shape. A dataset that fits two shapes is ambiguous, and so is one that fits none and has several
columns of text: both are refused with the choices, since a column that is left out in silence is
the commonest way to train on half of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import ShapeName, TrainConfig

TOOLS = "tools"
# Columns that a shape must have, and those that it may have.
_NAMED: dict[ShapeName, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "messages": (("messages",), (TOOLS,)),
    "conversations": (("conversations",), (TOOLS,)),
    "prompt_completion": (("prompt", "completion"), (TOOLS,)),
    "instruction": (("instruction", "output"), ("input",)),
    "text": (("text",), ()),
}
_TOKENIZED = "input_ids"


@dataclass(frozen=True)
class Shape:
    """What of a record is fed.

    columns: those that are fed, in the order in which they are. unused: the others.
    """

    name: ShapeName
    columns: tuple[str, ...]
    unused: tuple[str, ...] = ()

    @property
    def has_completion(self) -> bool:
        """Whether a record is a question and the answer that is to be learned."""
        return self.name in ("prompt_completion", "instruction")

    @property
    def may_have_roles(self) -> bool:
        """Whether a record says who speaks."""
        return self.name in ("messages", "conversations")


def shape_of(config: TrainConfig, columns: Sequence[str], row: Mapping[str, Any]) -> Shape:
    """The shape of a dataset.

    Args:
        columns: All columns of the dataset.
        row: One record, for the types of columns whose names say nothing. Attacker-controlled.

    Raises:
        ConfigError: the configuration names a column that is not there, or asks for a loss that
            this shape does not have; or the dataset is ambiguous.
        InputError: pre-tokenized records, or none of the shapes.
    """
    if config.dataset_text_field is not None:
        shape = _chosen_column(config.dataset_text_field, columns, row)
    elif config.dataset_shape is not None:
        shape = _chosen_shape(config.dataset_shape, columns)
    else:
        shape = _found(columns, row)
    _check_loss(config, shape)
    return shape


def _shape(name: ShapeName, fed: Iterable[str], columns: Sequence[str]) -> Shape:
    taken = tuple(fed)
    return Shape(name, taken, tuple(c for c in columns if c not in taken))


def _named(name: ShapeName, columns: Sequence[str]) -> Shape | None:
    required, optional = _NAMED[name]
    if not all(column in columns for column in required):
        return None
    return _shape(name, [*required, *(c for c in optional if c in columns)], columns)


def _chosen_column(column: str, columns: Sequence[str], row: Mapping[str, Any]) -> Shape:
    if column not in columns:
        raise ConfigError(
            "dataset has no such column",
            where="dataset_text_field",
            expected=", ".join(columns)[:200],
            actual=column,
        )
    if not isinstance(row.get(column), list):
        return _shape("text", [column], columns)
    tools = [TOOLS] if TOOLS in columns else []
    return _shape(_list_shape(row[column]), [column, *tools], columns)


def _list_shape(value: Sequence[Any]) -> ShapeName:
    first = value[0] if value else {}
    return "conversations" if isinstance(first, dict) and "from" in first else "messages"


def _chosen_shape(name: ShapeName, columns: Sequence[str]) -> Shape:
    shape = _named(name, columns)
    if shape is None:
        raise ConfigError(
            f"dataset is not of the shape {name}",
            where="dataset_shape",
            expected=", ".join(_NAMED[name][0]),
            actual=", ".join(columns)[:200],
        )
    return shape


def _found(columns: Sequence[str], row: Mapping[str, Any]) -> Shape:
    if _TOKENIZED in columns:
        raise InputError(
            "records are tokenized already",
            where=_TOKENIZED,
            expected="text or messages, from which a verifier can make the tokens again",
            hint="commit the records that the tokens were made from",
        )
    found = [shape for name in _NAMED if (shape := _named(name, columns)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        choices = [_choice(shape) for shape in found]
        raise _ambiguous("dataset fits several shapes", columns, choices)
    texts = [c for c in columns if isinstance(row.get(c), str)]
    if len(texts) == 1:
        return _shape("text", texts, columns)
    if texts:
        choices = [f"dataset_text_field={c}" for c in texts]
        raise _ambiguous("dataset has several columns of text", columns, choices)
    lists = [c for c in columns if isinstance(row.get(c), list)]
    raise InputError(
        "records are of no shape that training understands",
        where="dataset_name",
        expected="; ".join(", ".join(required) for required, _ in _NAMED.values()),
        actual=", ".join(columns)[:200],
        hint=f"dataset_text_field={lists[0]} takes that column as messages" if lists else None,
    )


def _choice(shape: Shape) -> str:
    return (
        f"dataset_text_field={shape.columns[0]}"
        if shape.name == "text"
        else f"dataset_shape={shape.name}"
    )


def _ambiguous(what: str, columns: Sequence[str], choices: Sequence[str]) -> ConfigError:
    return ConfigError(
        what,
        where="dataset_name",
        actual=", ".join(columns)[:200],
        hint=f"choose: {' or '.join(choices)}",
    )


def _check_loss(config: TrainConfig, shape: Shape) -> None:
    if config.completion_only_loss and not shape.has_completion:
        raise ConfigError(
            "records have no completion",
            where="completion_only_loss",
            expected="prompt and completion, or instruction and output",
            actual=", ".join(shape.columns),
        )
    if config.assistant_only_loss and not shape.may_have_roles:
        raise ConfigError(
            "records do not say who speaks",
            where="assistant_only_loss",
            expected="messages or conversations",
            actual=", ".join(shape.columns),
        )
