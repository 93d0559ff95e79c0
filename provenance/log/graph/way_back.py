"""From an artifact back through what a run did after training, to the adapter and the base."""

from __future__ import annotations

from dataclasses import dataclass, field

from provenance.log.graph.folders import adapter_of, base_of, merged_of
from provenance.log.history import History, Placed
from provenance.text.shown import quoted

_MOST_WORDS = 160  # characters of a step's kind and tool


@dataclass
class WayBack:
    """What lies between an artifact and the adapter or the base of the run that made it.

    artifacts: the artifact, and all that it was made from by this run.
    links: (input, output, kind and tool) of each step on the way.
    records: of the steps, merges and quantizations on the way, in order.
    outside: inputs that this run did not make.
    """

    artifacts: set[str] = field(default_factory=set)
    links: list[tuple[str, str, str]] = field(default_factory=list)
    records: list[Placed] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def way_of(history: History, artifact: str) -> WayBack | None:
    """Go back from an artifact, as far as this run goes.

    Returns:
        None if this run did not make the artifact. A run made nothing of its own base, even if a
        merge changed nothing. The work is linear in the size of the history.
    """
    base, adapter = base_of(history.opening).name, adapter_of(history.final_checkpoint.record).name
    steps = {out: step for step in history.steps for out in step.fields["outputs"]}
    merges = {merged_of(m.record).name: m for m in history.merges}
    files = {q.fields["file"]: q for q in history.quantizations}
    if artifact == base or artifact not in {adapter, *steps, *merges, *files}:
        return None
    way, todo, used = WayBack(), [artifact], dict[int, Placed]()
    while todo:
        name = todo.pop()
        if name in way.artifacts or name in (base, adapter):
            continue
        placed = steps.get(name) or files.get(name) or merges.get(name)
        if placed is None:
            way.outside.append(name)
            continue
        way.artifacts.add(name)
        used[placed.index] = placed
        if name in steps:
            way.links += [(taken, name, _told(placed)) for taken in placed.fields["inputs"]]
            todo += placed.fields["inputs"]
        elif name in files:
            todo.append(placed.fields["source"])
    way.artifacts.add(artifact)
    way.records = [used[index] for index in sorted(used)]
    return way


def _told(step: Placed) -> str:
    """The kind of a step and its tool, for people; nobody can check either."""
    tool = step.fields["tool"]
    words = f"{step.fields['kind']} by {tool['name']} {tool['version']}"
    return f"the publisher says: {quoted(words, _MOST_WORDS)}"
