"""What is said of runs that made something and are not followed, and what following would take."""

from __future__ import annotations

from provenance.errors import VerificationError
from provenance.judgement.verdict import Claim
from provenance.log.graph.folders import merged_of
from provenance.verify.s06_lineage.found import differing
from provenance.verify.s06_lineage.makers import Maker, Sought
from provenance.verify.s06_lineage.standing import Releases, Standing, Told


def of_weights(run: str, told: Told, sought: Sought) -> tuple[str, str]:
    """In what a base differs from the model of a run (called `run`) that made the same weights."""
    assert sought.weights is not None
    needs = "a base folder as that run logged it"
    if not told.records:
        what = f"{run} made {sought.what} by its anchored log"
        return f"{what}, which breaks a rule of the history before", needs
    made = merged_of(told.records[-1].record)
    return f"{run} made these weights; {differing(made, sought.weights)}", needs


def of_unreleased(maker: Maker, releases: Releases, sought: Sought) -> tuple[str, str]:
    """A publisher's log at hand has no release that counts, or ends before the head of one."""
    more = "".join(f"; {why}" for why in releases.passed(*Standing))
    if maker.is_whole:
        said = f"no release of that lies under its heads from before block {sought.before}{more}"
        return said, "a base that was released before it was taken"
    said = f"no release of that is under what is at hand{more}"
    return said, "the log up to the head of that run's release"


def as_error(run: str, failed: Claim, sought: Sought, is_base: bool) -> VerificationError:
    """A claim that fails about another run, as a fact about the run in question.

    is_base: whether what is sought is that run's base, and not what the base was made of.
    """
    what = "the base" if is_base else "what the base was made of"
    if sought.weights is not None:
        what = "the base's weights" if is_base else f"the weights of {what}"
    return VerificationError(
        f"{run}, which made {what} by its log: {failed.text}",
        where=failed.where,
        expected=failed.expected,
        actual=failed.actual,
    )
