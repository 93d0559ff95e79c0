"""The lineage picture: boxes and arrows, laid out wide for desktops and tall for phones.

This module only computes positions and texts; a template draws them. A box shows the first and last
8 digits of its digest, and has the whole digest as its title.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from provenance.judgement.verdict import Edge, Grade, Verdict
from provenance_api.web.texts import Texts

NOTE_CHARS = 21
TIE_HEIGHT = 18
# Columns of the wide picture: its upper row runs to the right, its lower row back to the left.
_COLUMNS = {
    "dataset": 0,
    "run": 1,
    "checkpoint": 2,
    "adapter": 3,
    "merged": 3,
    "file": 2,
    "release": 1,
    "base": 4,
}


@dataclass(frozen=True)
class Node:
    """A thing of the lineage.

    key: Its name; `node.<key>` is its title in the texts.
    digest: The whole digest.
    note: A few words about it.
    tie: The edge that says how its digest is known to belong to the tensor roots that proofs are
        about; None if no proof is about it.
    """

    key: str
    digest: str
    note: str = ""
    tie: Edge | None = None


@dataclass(frozen=True)
class Link:
    """One step of the lineage: `child` came from `parent`; both are keys of nodes."""

    parent: str
    child: str
    grade: Grade
    note: str


@dataclass(frozen=True)
class Box:
    """A node with its place in the picture, in the picture's units."""

    node: Node
    x: int
    y: int
    width: int
    height: int

    @property
    def cx(self) -> int:
        """Distance of the centre from the left."""
        return self.x + self.width // 2

    @property
    def cy(self) -> int:
        """Distance of the centre from the top."""
        return self.y + self.height // 2

    @property
    def short(self) -> str:
        """The digest as the box shows it."""
        return shorten(self.node.digest)

    def notes(self, texts: Texts) -> list[tuple[int, str]]:
        """The lines under the digest, each with its y coordinate."""
        lines = [_clip(self.node.note)] if self.node.note else []
        if self.node.tie is not None:
            lines.append(texts.plain("lineage.roots", grade=grade_text(texts, self.node.tie.grade)))
        return [(self.y + 65 + TIE_HEIGHT * i, line) for i, line in enumerate(lines)]


@dataclass(frozen=True)
class Arrow:
    """An arrow as an SVG path; x, y and anchor place its label, which is the link's grade."""

    path: str
    x: int
    y: int
    anchor: str
    link: Link


@dataclass(frozen=True)
class Picture:
    """One layout of the lineage; `description` says in words what it shows."""

    kind: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    description: str


def shorten(text: str) -> str:
    """The first and last 8 digits of a digest. A text of 20 characters or less is unchanged."""
    body = text.rpartition(" ")[2]
    body = body.removeprefix("sha256:").removeprefix("0x")
    return f"{body[:8]}…{body[-8:]}" if len(body) > 20 else text


def _clip(note: str) -> str:
    return note if len(note) <= NOTE_CHARS else note[: NOTE_CHARS - 1] + "…"


def _edge(verdict: Verdict, kind: str, parent: str | None = None) -> Edge | None:
    return next((e for e in verdict.edges if e.kind == kind and parent in (None, e.parent)), None)


def grade_text(texts: Texts, grade: Grade) -> str:
    """The word for a grade."""
    return texts.plain(f"grade.{grade.value}")


@dataclass(frozen=True)
class _Lineage:
    """The edges of a whole lineage."""

    trained: Edge
    made: Edge
    tuned: Edge
    from_adapter: Edge
    from_base: Edge
    quantized: Edge
    release: Mapping[str, Any]


def _lineage(verdict: Verdict) -> _Lineage | None:
    """The edges of the lineage; None if the verification ended before it."""
    trained, tuned = _edge(verdict, "trained_on"), _edge(verdict, "finetuned_from")
    made = _edge(verdict, "adapter_from")
    if trained is None or made is None or tuned is None or verdict.release is None:
        return None
    from_adapter = _edge(verdict, "merged_from", tuned.child)
    from_base = _edge(verdict, "merged_from", tuned.parent)
    quantized = _edge(verdict, "quantized_from")
    if from_adapter is None or from_base is None or quantized is None:
        return None
    return _Lineage(trained, made, tuned, from_adapter, from_base, quantized, verdict.release)


def _nodes(verdict: Verdict, found: _Lineage, texts: Texts) -> list[Node]:
    trained, tuned, quantized = found.trained, found.tuned, found.quantized
    batches = trained.note.partition(",")[0] if trained.note else texts.plain("node.run.note")

    def tie(digest: str) -> Edge | None:
        return _edge(verdict, "committed_as", digest)

    return [
        Node("dataset", trained.parent, texts.plain("node.dataset.note")),
        Node("run", str(found.release["run_id"]), batches),
        Node("checkpoint", found.made.child, texts.plain("node.checkpoint.note")),
        Node("adapter", tuned.child, tie=tie(tuned.child)),
        # The name alone: the list of edges says whether another run made it.
        Node("base", tuned.parent, (tuned.note or "").partition("; ")[0], tie(tuned.parent)),
        Node("merged", quantized.parent, tie=tie(quantized.parent)),
        Node("file", quantized.child, quantized.note or ""),
        Node("release", str(found.release["record"]), str(found.release.get("name", ""))),
    ]


def _links(found: _Lineage, texts: Texts) -> list[Link]:
    def link(parent: str, child: str, edge: Edge, otherwise: str) -> Link:
        return Link(parent, child, edge.grade, edge.note or texts.plain(otherwise))

    def anchored(parent: str, child: str, note: str) -> Link:
        return Link(parent, child, Grade.ANCHORED, texts.plain(note))

    opened_for = texts.plain("lineage.opened_for")
    return [
        link("dataset", "run", found.trained, "lineage.lists_records"),
        link("run", "checkpoint", found.made, "lineage.logged"),
        anchored("checkpoint", "adapter", "lineage.same_weights"),
        Link("base", "adapter", found.tuned.grade, opened_for),
        link("adapter", "merged", found.from_adapter, "lineage.merge_record"),
        link("base", "merged", found.from_base, "lineage.merge_record"),
        link("merged", "file", found.quantized, "lineage.quantize_record"),
        anchored("file", "release", "lineage.names_file"),
    ]


def pictures(verdict: Verdict, texts: Texts) -> tuple[Picture, ...]:
    """The wide and the tall picture; none if the verification ended before the lineage."""
    found = _lineage(verdict)
    if found is None:
        return ()
    nodes, links = _nodes(verdict, found, texts), _links(found, texts)
    description = _described(nodes, links, texts)
    return _wide(nodes, links, description), _tall(nodes, links, description)


def _described(nodes: list[Node], links: list[Link], texts: Texts) -> str:
    titles = {node.key: texts.plain(f"node.{node.key}").lower() for node in nodes}
    steps = [
        texts.plain(
            "lineage.step",
            child=titles[link.child],
            parent=titles[link.parent],
            grade=grade_text(texts, link.grade),
        )
        for link in links
    ]
    ties = [
        texts.plain("lineage.roots_of", node=titles[n.key], grade=grade_text(texts, n.tie.grade))
        for n in nodes
        if n.tie is not None
    ]
    return "; ".join([*steps, *ties])


def _wide(nodes: list[Node], links: list[Link], description: str) -> Picture:
    """Two rows: dataset to adapter rightwards, merged model to release back, the base between."""
    width, height, pitch_x, upper, lower = 166, 84, 254, 10, 190
    rows = {"merged": lower, "file": lower, "release": lower, "base": (upper + lower) // 2}
    boxes = {
        n.key: Box(n, _COLUMNS[n.key] * pitch_x + 2, rows.get(n.key, upper), width, height)
        for n in nodes
    }
    if (base := boxes["base"]).node.tie is not None:
        boxes["base"] = replace(base, y=base.y - TIE_HEIGHT // 2, height=height + TIE_HEIGHT)
    arrows = [_arrow(boxes, link) for link in links]
    return Picture(
        "wide",
        4 * pitch_x + width + 4,
        lower + height + 10,
        tuple(boxes.values()),
        tuple(arrows),
        description,
    )


def _tall(nodes: list[Node], links: list[Link], description: str) -> Picture:
    """One column downwards, with the base model beside it, between adapter and merged model."""
    width, height, pitch_y = 172, 76, 122
    column = [n for n in nodes if n.key != "base"]
    boxes = {n.key: Box(n, 2, 4 + i * pitch_y, width, height) for i, n in enumerate(column)}
    base = next(n for n in nodes if n.key == "base")
    between = (boxes["adapter"].cy + boxes["merged"].cy) // 2
    tall = 72 if base.tie is None else 72 + TIE_HEIGHT
    boxes["base"] = Box(base, 194, between - tall // 2, 150, tall)
    arrows = [_arrow(boxes, link) for link in links]
    return Picture(
        "tall", 348, len(column) * pitch_y - 38, tuple(boxes.values()), tuple(arrows), description
    )


def _arrow(boxes: dict[str, Box], link: Link) -> Arrow:
    """An arrow: straight between neighbours, with one corner if it starts at the base model."""
    parent, child = boxes[link.parent], boxes[link.child]
    if link.parent == "base":
        return _corner(parent, child, link)
    if parent.x == child.x:
        start = parent.y + parent.height
        path = f"M{parent.cx} {start} V{child.y - 7}"
        return Arrow(path, parent.cx + 10, (start + child.y) // 2 + 3, "start", link)
    if parent.x < child.x:
        start, end = parent.x + parent.width, child.x - 7
    else:
        start, end = parent.x, child.x + child.width + 7
    return Arrow(f"M{start} {parent.cy} H{end}", (start + end) // 2, parent.cy - 9, "middle", link)


def _corner(parent: Box, child: Box, link: Link) -> Arrow:
    upwards = child.cy < parent.cy
    start = parent.y if upwards else parent.y + parent.height
    edge = child.x + child.width
    path = f"M{parent.cx} {start} V{child.cy} H{edge + 7}"
    label_y = child.cy - 9 if upwards else child.cy + 20
    return Arrow(path, (edge + parent.cx) // 2, label_y, "middle", link)
