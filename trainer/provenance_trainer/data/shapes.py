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
columns of words, or one of text beside lists and objects: they are refused with the choices, since
a column that is left out in silence is the commonest way to train on half of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import ShapeName, TrainConfig
from provenance_trainer.data.kinds import LISTS, Kind, Kinds

TOOLS = "tools"
INPUT = "input"
# Columns of a shape in the order in which they are fed, and which of them it may lack.
_NAMED: dict[ShapeName, tuple[str, ...]] = {
    "messages": ("messages", TOOLS),
    "conversations": ("conversations", TOOLS),
    "prompt_completion": ("prompt", "completion", TOOLS),
    "instruction": ("instruction", INPUT, "output"),
    "text": ("text",),
}
_OPTIONAL = frozenset({TOOLS, INPUT})
# Columns that may hold what somebody meant to train on.
_WORDS: frozenset[Kind] = LISTS | {"text", "object"}
_TOKENIZED = "input_ids"


@dataclass(frozen=True)
class Shape:
    """What of a record is fed.

    columns: those that are fed, in the order in which they are. unused: the others.
    holds_messages: whether the columns hold messages, and not text.
    """

    name: ShapeName
    columns: tuple[str, ...]
    unused: tuple[str, ...] = ()
    holds_messages: bool = False

    @property
    def has_completion(self) -> bool:
        """Whether a record is a question and the answer that is to be learned."""
        return self.name in ("prompt_completion", "instruction")

    @property
    def may_have_roles(self) -> bool:
        """Whether a record says who speaks."""
        return self.name in ("messages", "conversations")


def shape_of(config: TrainConfig, columns: Sequence[str], kinds: Kinds) -> Shape:
    """The shape of a dataset.

    Args:
        columns: All columns of the dataset. Attacker-controlled.
        kinds: What they hold, for columns whose names say nothing.

    Raises:
        ConfigError: the configuration names a column that is not there, or asks for a loss that
            this shape does not have; or the dataset is ambiguous.
        InputError: pre-tokenized records, none of the shapes, or prompts of which some are text and
            some are messages.
    """
    if config.dataset_text_field is not None:
        shape = _chosen_column(config.dataset_text_field, columns, kinds)
    elif config.dataset_shape is not None:
        shape = _chosen_shape(config.dataset_shape, columns)
    else:
        shape = _found(columns, kinds)
    if shape.name == "prompt_completion":
        for column in _required(shape.name):
            kinds.require_one(column)
        if kinds.holds(shape.columns[0], LISTS):
            shape = replace(shape, holds_messages=True)
        else:  # no template writes tools beside texts
            shape = _shape(shape.name, _required(shape.name), columns)
    _check_loss(config, shape)
    return shape


def shape_said(name: str, fed: Sequence[str], columns: Sequence[str]) -> Shape:
    """The shape of this name that feeds these columns.

    Args:
        name, fed: As an opening record says them. Attacker-controlled. columns: The dataset's.

    Raises:
        InputError: no such shape of these columns.
    """
    known = next((shape for shape in _NAMED if shape == name), None)
    named = None if known is None else _named(known, columns)
    if named is not None and sorted(named.columns) == sorted(fed):
        return replace(named, columns=tuple(fed))
    # The others take one column of any name, which the configuration chose or which was the only.
    one = known in ("text", "messages", "conversations") and fed[0] in columns
    if known is None or not one or list(fed[1:]) != [TOOLS] * len(fed[1:]):
        raise InputError(
            "dataset has no such columns for this shape",
            where=name[:40],
            expected=", ".join(columns)[:200],
            actual=", ".join(fed)[:200],
        )
    return _shape(known, fed, columns)


def _shape(name: ShapeName, fed: Iterable[str], columns: Sequence[str]) -> Shape:
    taken = tuple(fed)
    unused = tuple(c for c in columns if c not in taken)
    return Shape(name, taken, unused, name in ("messages", "conversations"))


def _required(name: ShapeName) -> list[str]:
    return [column for column in _NAMED[name] if column not in _OPTIONAL]


def _named(name: ShapeName, columns: Sequence[str]) -> Shape | None:
    if not all(column in columns for column in _required(name)):
        return None
    return _shape(name, [c for c in _NAMED[name] if c in columns], columns)


def _chosen_column(column: str, columns: Sequence[str], kinds: Kinds) -> Shape:
    if column not in columns:
        raise ConfigError(
            "dataset has no such column",
            where="dataset_text_field",
            expected=", ".join(columns)[:200],
            actual=column,
        )
    if not kinds.holds(column, LISTS):
        return _shape("text", [column], columns)
    tools = [TOOLS] if TOOLS in columns else []
    name: ShapeName = "conversations" if kinds.holds(column, ["conversations"]) else "messages"
    return _shape(name, [column, *tools], columns)


def _chosen_shape(name: ShapeName, columns: Sequence[str]) -> Shape:
    shape = _named(name, columns)
    if shape is None:
        raise ConfigError(
            f"dataset is not of the shape {name}",
            where="dataset_shape",
            expected=", ".join(_required(name)),
            actual=", ".join(columns)[:200],
        )
    return shape


def _found(columns: Sequence[str], kinds: Kinds) -> Shape:
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
    return _of_unnamed(columns, kinds)


def _require_no_near_names(columns: Sequence[str]) -> None:
    """Check that no columns have the names of a shape but for capitals or blanks.

    Raises:
        ConfigError: they do; one column of them alone is hardly meant.
    """
    plain = {column.strip().lower(): column for column in columns}
    for name in ("prompt_completion", "instruction"):
        known = [column for column in _NAMED[name] if column in plain]
        other = [f"{plain[c]!r} to {c}" for c in known if plain[c] != c]
        if other and set(_required(name)) <= set(known):
            raise ConfigError(
                f"columns have almost the names of the shape {name}",
                where="dataset_name",
                expected=", ".join(_required(name)),
                actual=", ".join(map(repr, columns))[:200],
                hint=f"rename {', '.join(other)}, or choose one with dataset_text_field",
            )


def _of_unnamed(columns: Sequence[str], kinds: Kinds) -> Shape:
    """The one column of text of a dataset whose columns have none of the known names."""
    texts = [c for c in columns if kinds.holds(c, ["text"])]
    if len(texts) == 1 and not any(kinds.holds(c, _WORDS) for c in columns if c not in texts):
        return _shape("text", texts, columns)
    _require_no_near_names(columns)
    spoken = [c for c in columns if kinds.holds(c, ["messages", "conversations"])]
    choices = [f"dataset_text_field={c}" for c in columns if c in texts or c in spoken]
    if texts:
        what = "several columns of text" if len(texts) > 1 else "text beside lists or objects"
        raise _ambiguous(f"dataset has {what}", columns, choices)
    raise InputError(
        "records are of no shape that training understands",
        where="dataset_name",
        expected="; ".join(", ".join(_required(name)) for name in _NAMED),
        actual=", ".join(columns)[:200],
        hint=f"{choices[0]} takes that column as messages" if choices else None,
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
