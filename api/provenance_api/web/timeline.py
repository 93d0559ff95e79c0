"""The timeline of a training: its segments in proportion to their steps, and how each stands.

This module only computes positions and texts; a template draws them. Each way to stand has a
pattern and a height of its own besides its colour, and the table below the bar says everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from provenance.judgement.training import Stretch, Training
from provenance_api.web.texts import Texts

WIDTHS = {"wide": 1120, "narrow": 346}
TOP, HEIGHT = 24, 46
_LETTER = 7  # units that a letter of a label takes
_LEAST_GAP = 4  # between two lines; checkpoints that are closer have none
STANDINGS = ("different", "astray", "here", "audited", "part", "nobody")
"""How a stretch can stand: what speaks against it first, then what shows most."""
_FILLED = {"different": 1.0, "astray": 1.0, "here": 1.0, "audited": 0.7, "part": 0.35}


@dataclass(frozen=True)
class Part:
    """A stretch with its place in the bar, in the picture's units.

    y, height: of what is filled; all of the bar is `TOP` to `TOP` + `HEIGHT`.
    label: a few words inside it; empty if there is no room.
    """

    stretch: Stretch
    standing: str
    x: float
    width: float
    label: str

    @property
    def height(self) -> float:
        """How much of the bar is filled: more where more is shown."""
        return HEIGHT * _FILLED.get(self.standing, 0.0)

    @property
    def y(self) -> float:
        """Where the filled part begins."""
        return TOP + HEIGHT - self.height

    @property
    def cx(self) -> float:
        """The middle, from the left."""
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True)
class Mark:
    """A checkpoint between segments; `label` is empty if there is no room for it."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True)
class Bar:
    """One layout of the timeline."""

    kind: str
    width: int
    parts: tuple[Part, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Timeline:
    """What the page shows of a training: the bars, and how many segments stand how."""

    training: Training
    bars: tuple[Bar, ...]
    standings: Mapping[str, int]
    signed: bool


def timeline(training: Training | None, texts: Texts) -> Timeline | None:
    """The timeline of a verdict's training; None if it has none."""
    if training is None:
        return None
    bars = tuple(_bar(kind, width, training, texts) for kind, width in WIDTHS.items())
    counts = dict.fromkeys(STANDINGS, 0)
    for stretch in training.segments:
        counts[standing(stretch)] += stretch.count
    signed = any(stretch.auditors for stretch in training.segments)
    return Timeline(training, bars, {name: n for name, n in counts.items() if n}, signed)


def standing(stretch: Stretch) -> str:
    """How a stretch stands, one of `STANDINGS`; of several segments, as far as all of them do."""
    found = {name for each in (stretch.here, *stretch.auditors.values()) for name in each}
    if "different" in found:
        return "different"
    if found - {"exact"}:
        return "astray"
    if stretch.here.get("exact") == stretch.count:
        return "here"
    if stretch.audited == stretch.count:
        return "audited"
    return "part" if found else "nobody"


def _bar(kind: str, width: int, training: Training, texts: Texts) -> Bar:
    edges = _edges(training.segments, width - 4)
    parts = []
    for stretch, left, right in zip(training.segments, edges, edges[1:], strict=False):
        stands = standing(stretch)
        label = texts.plain(f"timeline.label.{stands}", count=len(stretch.auditors))
        room = (right - left) / _LETTER
        parts.append(
            Part(stretch, stands, left, right - left, label if len(label) + 1 < room else "")
        )
    return Bar(kind, width, tuple(parts), tuple(_marks(training.segments, edges, texts)))


def _edges(stretches: Sequence[Stretch], width: int) -> list[float]:
    """Where each stretch begins, and where the last one ends, from 2 on."""
    steps = [max(stretch.last - stretch.first + 1, 0) for stretch in stretches]
    if not sum(steps):
        steps = [1] * len(stretches)  # nothing was trained: there is no proportion
    edges, done = [2.0], 0
    for each in steps:
        done += each
        edges.append(round(2 + width * done / sum(steps), 2))
    return edges


def _marks(stretches: Sequence[Stretch], edges: Sequence[float], texts: Texts) -> Iterator[Mark]:
    """The seed, and the checkpoint behind each stretch, with labels where they touch no other.

    Where lines would fill the bar, some are left out: the table has all.
    """
    end, seed = texts.plain("timeline.step", step=stretches[-1].last), texts.plain("timeline.seed")
    limit = edges[-1] - len(end) * _LETTER
    yield Mark(edges[0], seed, "start")
    free, drawn = edges[0] + (len(seed) + 1) * _LETTER, edges[0]
    for stretch, x in zip(stretches[:-1], edges[1:], strict=False):
        label = texts.plain("timeline.step", step=stretch.last)
        half = len(label) * _LETTER / 2
        fits = free <= x - half and x + half + _LETTER <= limit
        if fits:
            free = x + half + _LETTER
        if fits or x - drawn >= _LEAST_GAP:
            drawn = x
            yield Mark(x, label if fits else "", "middle")
    yield Mark(edges[-1], end, "end")
