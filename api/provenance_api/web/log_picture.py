"""The picture of a run's log: its records from the first to the last, and what stands among them.

This module only computes positions and texts; a template draws them. A table on the page says
everything again in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance_api.explorer.models import RunDetail
from provenance_api.web.texts import Texts

WIDTHS = {"wide": 1120, "narrow": 346}
TOP, HEIGHT = 30, 34
_LEAST_GAP = 3  # between two marks of a kind


@dataclass(frozen=True)
class Mark:
    """A record in the picture; `title` says what it is."""

    kind: str
    x: float
    title: str


@dataclass(frozen=True)
class LogPicture:
    """One layout.

    covered, signed: where what the head on chain covers ends, and what the longest signed head
        does; 0 if there is none.
    """

    kind: str
    width: int
    covered: float
    signed: float
    marks: tuple[Mark, ...]
    description: str


def log_pictures(run: RunDetail, texts: Texts) -> tuple[LogPicture, ...]:
    """The wide and the narrow picture; none if the log is empty."""
    if run.size == 0:
        return ()
    return tuple(_picture(kind, width, run, texts) for kind, width in WIDTHS.items())


def _picture(kind: str, width: int, run: RunDetail, texts: Texts) -> LogPicture:
    def place(index: float) -> float:
        return round(2 + (width - 4) * index / run.size, 2)

    chain, head = run.source.chain, run.source.head
    covered = (chain.size or 0) if chain.status == "on_chain" else 0
    signed = 0 if head is None else head.size
    marks = [
        *(
            Mark("checkpoint", place(c.index + 0.5), texts.plain("log.checkpoint", step=c.step))
            for c in run.checkpoints
        ),
        *(
            Mark("release", place(r.index + 0.5), texts.plain("log.release", name=r.name))
            for r in run.releases
        ),
    ]
    description = texts.plain(
        "log.described",
        size=run.size,
        covered=covered,
        signed=signed,
        checkpoints=len(run.checkpoints),
        releases=len(run.releases),
    )
    return LogPicture(
        kind,
        width,
        place(covered) if covered else 0.0,
        place(signed) if signed else 0.0,
        tuple(_apart(marks)),
        description,
    )


def _apart(marks: list[Mark]) -> list[Mark]:
    """Of marks of one kind that would lie upon each other, the first."""
    kept: list[Mark] = []
    last: dict[str, float] = {}
    for mark in sorted(marks, key=lambda m: m.x):
        if mark.x - last.get(mark.kind, -_LEAST_GAP) >= _LEAST_GAP:
            last[mark.kind] = mark.x
            kept.append(mark)
    return kept
