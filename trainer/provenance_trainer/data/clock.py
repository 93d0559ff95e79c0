"""The clock that a chat template sees.

Some templates, such as those of Llama 3, write the day into each text (`strftime_now`). With the
real clock nobody could make the same tokens on another day. So a run has one day: that of its
opening, which its `run.open` record says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

CLOCK = "strftime_now"


def today() -> str:
    """The day in UTC, as `fed` has it: `2026-01-31`."""
    return datetime.now(UTC).date().isoformat()


@contextmanager
def clock_at(day: str | None) -> Iterator[None]:
    """Let transformers' `strftime_now` say midnight of a day; None for the real clock.

    transformers lets no caller hand a function to a template, so its name `datetime`, which only
    `strftime_now` uses, is replaced. The process has one clock: render one text at a time.
    """
    # Here and not above: whoever lacks the trainer's packages is told which extra brings them.
    from transformers.utils import chat_template_utils

    module: Any = chat_template_utils
    if day is None:
        yield
        return
    said = datetime.fromisoformat(day)

    class Clock:
        @staticmethod
        def now() -> datetime:
            return said

    real, module.datetime = module.datetime, Clock
    try:
        yield
    finally:
        module.datetime = real
