"""What the walk into other runs has found."""

from __future__ import annotations

from dataclasses import dataclass, field

from provenance.artifacts.identity import NamedFolder, first_difference
from provenance.errors import ProvenanceError, VerificationError
from provenance.judgement.verdict import Edge


@dataclass(frozen=True)
class Partly:
    """What is known of a run that made an artifact and cannot be followed.

    said: in one sentence; needs: what following it would take.
    """

    said: str
    needs: str


@dataclass
class Ancestry:
    """What other runs say about the base, and about the bases that they began with.

    edges: of the runs that made them, with the grades that the proofs at hand give.
    runs: these runs, nearest first, each with its publisher, for people.
    bases: what these runs made on the way.
    partly: what is known of the makers of other artifacts, by the artifact.
    revoked: what of them was revoked.
    fault: what contradicts the lineage; None if nothing does.
    development: reasons why this is no production verdict.
    """

    edges: list[Edge] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)
    partly: dict[str, Partly] = field(default_factory=dict)
    revoked: list[VerificationError] = field(default_factory=list)
    fault: ProvenanceError | None = None
    development: list[str] = field(default_factory=list)


def differing(made: NamedFolder, base: NamedFolder) -> str:
    """In what a base differs from the model of the same weights that a run logged."""
    if made.files is None:
        return "its log binds no files beside them"
    files = base.files or {}
    path = first_difference(made.files, files) or ""
    how = "is not the logged one"
    if path not in made.files:
        how = "was not logged there"
    elif path not in files:
        how = "is missing"
    return f"the folder differs from the one it logged: {path} {how}"
