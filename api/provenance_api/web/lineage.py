"""The lineage picture: boxes and arrows laid out in two ways, a wide one for desks and a tall one for phones.

Only values: the template draws them. Digests are shortened to 8+8 digits, with the whole one in the box's title.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from provenance.judgement.verdict import Edge, Grade, Verdict

NOTE_CHARS = 21
TIE_HEIGHT = 18


@dataclass(frozen=True)
class Node:
    """A thing of the lineage: `digest` in full, `note` a few words about it, `tie` how its digest is known to belong to the roots that
    proofs speak about (None where no proof does)."""

    key: str
    title: str
    digest: str
    note: str = ""
    tie: Edge | None = None


@dataclass(frozen=True)
class Link:
    parent: str
    child: str
    grade: Grade
    note: str


@dataclass(frozen=True)
class Box:
    node: Node
    x: int
    y: int
    width: int
    height: int

    @property
    def cx(self) -> int:
        return self.x + self.width // 2

    @property
    def cy(self) -> int:
        return self.y + self.height // 2

    @property
    def short(self) -> str:
        return shorten(self.node.digest)

    @property
    def notes(self) -> list[tuple[int, str]]:
        """Lines under the digest, each with its height on the page."""
        lines = [_clip(self.node.note)] if self.node.note else []
        if self.node.tie is not None:
            lines.append(f"roots {self.node.tie.grade.value}")
        return [(self.y + 65 + TIE_HEIGHT * i, line) for i, line in enumerate(lines)]


@dataclass(frozen=True)
class Arrow:
    """`path` in SVG path syntax; the label says the grade."""

    path: str
    x: int
    y: int
    anchor: str
    link: Link


@dataclass(frozen=True)
class Picture:
    kind: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    description: str


def shorten(text: str) -> str:
    """A digest as its first and last 8 digits; anything else unchanged."""
    body = text.rpartition(" ")[2]
    body = body.removeprefix("sha256:").removeprefix("0x")
    return f"{body[:8]}…{body[-8:]}" if len(body) > 20 else text


def _clip(note: str) -> str:
    return note if len(note) <= NOTE_CHARS else note[: NOTE_CHARS - 1] + "…"


def _edge(verdict: Verdict, kind: str, parent: str | None = None) -> Edge | None:
    return next((e for e in verdict.edges if e.kind == kind and parent in (None, e.parent)), None)


def _graph(verdict: Verdict) -> tuple[list[Node], list[Link]] | None:
    """Nodes and links of the picture; None if the verification did not get as far as the lineage."""
    trained, tuned = _edge(verdict, "trained_on"), _edge(verdict, "finetuned_from")
    quantized = _edge(verdict, "quantized_from")
    if trained is None or tuned is None or quantized is None or verdict.release is None:
        return None
    from_adapter = _edge(verdict, "merged_from", tuned.child)
    from_base = _edge(verdict, "merged_from", tuned.parent)
    if from_adapter is None or from_base is None:
        return None
    release: dict[str, Any] = verdict.release
    nodes = [
        Node("dataset", "Dataset", trained.parent, "committed records"),
        Node(
            "run",
            "Training run",
            str(release["run_id"]),
            (trained.note or "batches in the log").partition(",")[0],
        ),
        Node("checkpoint", "Checkpoint", trained.child, "adapter weights"),
        Node("adapter", "Adapter", tuned.child, tie=_tie(verdict, tuned.child)),
        Node("base", "Base model", tuned.parent, tuned.note or "", _tie(verdict, tuned.parent)),
        Node("merged", "Merged model", quantized.parent, tie=_tie(verdict, quantized.parent)),
        Node("file", "Quantized file", quantized.child, quantized.note or ""),
        Node("release", "Release", str(release["record"]), str(release.get("name", ""))),
    ]
    logged = "both records are in the log under the anchored head"
    links = [
        Link("dataset", "run", trained.grade, trained.note or "batches list the dataset's records"),
        Link("run", "checkpoint", Grade.ANCHORED, logged),
        Link("checkpoint", "adapter", Grade.ANCHORED, "the same weights by digest"),
        Link("base", "adapter", tuned.grade, "the run was opened for this base model"),
        Link("adapter", "merged", from_adapter.grade, from_adapter.note or "merge record"),
        Link("base", "merged", from_base.grade, from_base.note or "merge record"),
        Link("merged", "file", quantized.grade, quantized.note or "quantize record"),
        Link("file", "release", Grade.ANCHORED, "the release record names the file"),
    ]
    return nodes, links


def _tie(verdict: Verdict, digest: str) -> Edge | None:
    return _edge(verdict, "committed_as", digest)


def pictures(verdict: Verdict) -> tuple[Picture, ...]:
    """The wide and the tall picture; empty if the verification did not get as far as the lineage."""
    graph = _graph(verdict)
    if graph is None:
        return ()
    nodes, links = graph
    titles = {n.key: n.title.lower() for n in nodes}
    ties = [
        f"roots of the {titles[n.key]}: {n.tie.grade.value}" for n in nodes if n.tie is not None
    ]
    description = "; ".join(
        [*(f"{titles[k.child]} from {titles[k.parent]}: {k.grade.value}" for k in links), *ties]
    )
    return _wide(nodes, links, description), _tall(nodes, links, description)


def _wide(nodes: list[Node], links: list[Link], description: str) -> Picture:
    """Two rows: data to adapter rightwards, merged model to release leftwards, the base model at the turn."""
    width, height, pitch_x, upper, lower = 166, 84, 254, 10, 190
    columns = {
        "dataset": 0,
        "run": 1,
        "checkpoint": 2,
        "adapter": 3,
        "merged": 3,
        "file": 2,
        "release": 1,
        "base": 4,
    }
    rows = {"merged": lower, "file": lower, "release": lower, "base": (upper + lower) // 2}
    boxes = {
        n.key: Box(n, columns[n.key] * pitch_x + 2, rows.get(n.key, upper), width, height)
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
    """One column downwards, the base model at the side between adapter and merged model."""
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
    """A straight arrow between neighbours, or one with a corner from the base model beside them."""
    parent, child = boxes[link.parent], boxes[link.child]
    if link.parent == "base":
        start = parent.y if child.cy < parent.cy else parent.y + parent.height
        x = (child.x + child.width + parent.cx) // 2
        path = f"M{parent.cx} {start} V{child.cy} H{child.x + child.width + 7}"
        return Arrow(
            path, x, child.cy - 9 if child.cy < parent.cy else child.cy + 20, "middle", link
        )
    if parent.x == child.x:
        path = f"M{parent.cx} {parent.y + parent.height} V{child.y - 7}"
        return Arrow(
            path, parent.cx + 10, (parent.y + parent.height + child.y) // 2 + 3, "start", link
        )
    rightwards = parent.x < child.x
    start, end = (
        (parent.x + parent.width, child.x - 7)
        if rightwards
        else (parent.x, child.x + child.width + 7)
    )
    return Arrow(f"M{start} {parent.cy} H{end}", (start + end) // 2, parent.cy - 9, "middle", link)
