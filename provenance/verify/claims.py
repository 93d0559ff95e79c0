"""What the steps of a verification have found: claims, edges of the lineage, and what they rest on.

Steps write into `Notes`, from which none of them can read: what a later step needs, it is given as
an argument. The report that comes of it is read by the last step, the policy, and by the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from provenance.errors import MissingEvidence, ProvenanceError, UnavailableError
from provenance.judgement.edges import BEST
from provenance.judgement.facts import ClaimFacts, HeadFacts
from provenance.judgement.policy import CLAIMS
from provenance.judgement.training import Training
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Claim, Edge, Grade
from provenance.text.shown import MOST_TOLD, place, sentence, shortened
from provenance.verify.protocols import Difference, Sampling

_MAX_DIFFERENCES = 10


_AT_HAND = "have the publisher's evidence folder at hand (--evidence FOLDER)"


class Stopped(Exception):
    """A claim that later steps depend on fails or lacks evidence. The report says which."""


class Lacking(Stopped):
    """The claim does not fail: it was not checked, since evidence for it is missing."""


@dataclass
class Report:
    """The material of a verdict, in the order in which it was found.

    development: reasons why this is no production verdict.
    ancestors: edges of the runs that made the base, which no step about this run touches.
    siblings: other runs that the owner opened on this dataset, as `0x..`.
    samplings: each sampled claim whose proofs verify, with what its draws detect.
    claimants: of each run whose release of the artifact counts one claim, and who made it.
    release: the release on chain that is followed; name: what its record calls the release.
    draw_block: the block whose hash made the run's seed.
    head: the head that the release lies under.
    training: how its segments stand; None if the verification did not come to them.
    contradicted: whether weights that have the logged identity show something else than is claimed.
    lacking: ids of the claims that could not be checked, since evidence that log or chain speak of
        is missing. No policy verifies a run of which there are any.
    logs: how many folders hold the run's log; each is an attempt of its own.
    replayed: how many optimizer steps were trained again and came out exactly, and of how many;
        None if nobody did, or not all of what was done came out so.
    """

    claims: list[Claim] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    ancestors: list[Edge] = field(default_factory=list)
    development: list[str] = field(default_factory=list)
    siblings: list[str] = field(default_factory=list)
    samplings: list[tuple[str, Sampling]] = field(default_factory=list)
    claimants: list[tuple[ClaimFacts, Publisher]] = field(default_factory=list)
    release: ClaimFacts | None = None
    name: str | None = None
    draw_block: int | None = None
    head: HeadFacts | None = None
    training: Training | None = None
    contradicted: bool = False
    lacking: list[str] = field(default_factory=list)
    logs: int = 0
    replayed: tuple[int, int] | None = None


class Notes:
    """Writes a report. It has nothing to read, so no step depends on what another one wrote."""

    def __init__(self, report: Report) -> None:
        """report: what is written into; whoever made it reads it when the steps are done."""
        self._report = report

    def found_releases(
        self, claimants: Sequence[tuple[ClaimFacts, Publisher]], followed: ClaimFacts
    ) -> None:
        """These releases of the artifact count, one of each run, and this one is followed."""
        self._report.claimants, self._report.release = list(claimants), followed

    def found_log(self, head: HeadFacts, draw_block: int) -> None:
        """The release lies under this head, in a run whose seed this block made."""
        self._report.head, self._report.draw_block = head, draw_block

    def found_logs(self, count: int) -> None:
        """So many folders hold the run's log."""
        self._report.logs = count

    def found_siblings(self, run_ids: Sequence[str]) -> None:
        """The owner opened these runs (`0x..`) on the same dataset."""
        self._report.siblings = list(run_ids)

    def found_sampling(self, id_: str, sampling: Sampling) -> None:
        """The proofs of claim `id_`, which is about samples, verify."""
        self._report.samplings.append((id_, sampling))

    def found_replay(self, exact: int, steps: int) -> None:
        """So many of the run's steps were trained again, and all of these came out exactly."""
        self._report.replayed = (exact, steps)

    def found_training(self, training: Training) -> None:
        """The run was trained in these segments, of which so much was done again."""
        self._report.training = training

    def called(self, name: str) -> None:
        """The release's record calls it so."""
        self._report.name = name

    def contradicts(self) -> None:
        """Weights that have the logged identity show something else than is claimed."""
        self._report.contradicted = True

    def develops(self, *reasons: str) -> None:
        """Reasons why this is no production verdict."""
        self._report.development += reasons

    def holds(self, id_: str, text: str, **evidence: str) -> None:
        """Claim `id_` holds. evidence: names and values for programs."""
        self._report.claims.append(Claim(id_, CLAIMS[id_], text, True, evidence=evidence))

    def fails(self, id_: str, error: ProvenanceError) -> None:
        """Claim `id_` fails; the error's facts, which may be others' words, say where and how."""
        where, expected, actual = map(_cut, (error.where, error.expected, error.actual))
        claim = Claim(
            id_, CLAIMS[id_], error.what, False, where=where, expected=expected, actual=actual
        )
        self._report.claims.append(claim)

    def differs(self, id_: str, text: str, differences: Sequence[Difference]) -> None:
        """Claim `id_` fails once for each of the first ten differences."""
        for found in differences[:_MAX_DIFFERENCES]:
            self.fails(
                id_,
                ProvenanceError(
                    text, where=found.where, expected=found.expected, actual=found.actual
                ),
            )

    def unchecked(self, id_: str, text: str, needs: str) -> None:
        """Claim `id_` was not checked; `needs` says what checking it would take."""
        self._report.claims.append(Claim(id_, CLAIMS[id_], text, None, needs=needs))

    def lacks(self, id_: str, error: MissingEvidence) -> None:
        """Claim `id_` was not checked, since evidence for it is missing; the error says which."""
        needs = error.hint or _AT_HAND
        self.unchecked(id_, error.what, f"{place(error.where)}; {needs}" if error.where else needs)
        self._report.lacking.append(id_)

    @contextmanager
    def guarded(self, id_: str) -> Iterator[None]:
        """Run a check of claim `id_`: an error inside makes the claim fail.

        Evidence that is missing contradicts nothing: then the claim was not checked. Here, and
        nowhere else, the one is told from the other.

        Raises:
            Stopped: the claim failed.
            Lacking: it was not checked.
            UnavailableError: passed on from inside, and no claim fails: an endpoint that does not
                answer contradicts nothing.
        """
        try:
            yield
        except UnavailableError:
            raise
        except MissingEvidence as error:
            self.lacks(id_, error)
            raise Lacking from error
        except ProvenanceError as error:
            self.fails(id_, error)
            raise Stopped from error

    def adds_edges(self, edges: Sequence[Edge]) -> None:
        """The run in question has these edges, too."""
        self._report.edges += edges

    def adds_ancestors(self, edges: Sequence[Edge]) -> None:
        """The runs that made the base have these edges, which no step about this run touches."""
        self._report.ancestors += edges

    def upgrade(self, kind: str, grade: Grade, note: str | None = None) -> None:
        """Raise the edges of a kind to `grade`, with this note; an edge with a higher one stays.

        None is raised above the best grade of its kind.
        """
        grade = Grade.least(grade, BEST[kind])
        self._report.edges = [
            replace(e, grade=grade, note=note or e.note)
            if e.kind == kind and e.grade.rank <= grade.rank
            else e
            for e in self._report.edges
        ]

    def annotate(self, kind: str, said: Callable[[str], str]) -> None:
        """Add to the note of each edge of a kind what is said of its parent."""
        self._report.edges = [
            annotated(edge, said(edge.parent)) if edge.kind == kind else edge
            for edge in self._report.edges
        ]


def _cut(value: str | None) -> str | None:
    return None if value is None else shortened(value, MOST_TOLD)


def sentence_of(error: ProvenanceError) -> str:
    """An error inside a sentence of ours, without its hint."""
    return sentence(error.what, where=error.where, expected=error.expected, actual=error.actual)


def annotated(edge: Edge, said: str) -> Edge:
    """An edge with more in its note."""
    return replace(edge, note=f"{edge.note}; {said}" if edge.note else said)
