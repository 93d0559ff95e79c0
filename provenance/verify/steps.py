"""The ten steps of a verification, in the order in which they run.

Each step takes what earlier steps found, notes its claims, and returns what it found itself. It
cannot read what others noted (`Notes`). A step stops the verification if a claim that later steps
depend on does not hold. Claims carry numbers of their own, which stand for their subject
(docs/formats/verdict.md).

`STEPS` says the same as a table. Tests compare it with `judge`, with the claims that each step
makes when it runs, and with the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.errors import MissingEvidence, NotFound, ProvenanceError, UnavailableError
from provenance.judgement.verdict import Status
from provenance.verify.case import Case
from provenance.verify.claims import Report, Stopped, sentence_of
from provenance.verify.s01_artifact import check_artifact, require_unchanged
from provenance.verify.s02_chain import check_agreement, check_chain
from provenance.verify.s03_release import Pending, check_release
from provenance.verify.s04_log import check_log
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import check_lineage
from provenance.verify.s06_lineage.ancestry import trace_base
from provenance.verify.s07_revocation import check_revocations
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s09_recomputation import check_recomputation
from provenance.verify.s10_policy import Outcome, decide


@dataclass(frozen=True)
class Step:
    """One step.

    takes: the earlier steps whose findings it is given.
    claims: ids of the claims that it can make, as holding, failing or not checked.
    """

    name: str
    takes: tuple[str, ...]
    claims: tuple[str, ...]


STEPS = (
    Step("artifact", (), ("artifact.identified",)),
    Step("chain", (), ("chain.pinned",)),
    Step("release", ("chain",), ("release.named", "file.recomputed", "not.revoked")),
    Step(
        "log",
        ("chain", "release"),
        ("release.logged", "head.signed", "head.witnessed", "head.final"),
    ),
    Step("history", ("chain", "log"), ("history.consistent", "run.preregistered")),
    Step("lineage", ("log", "history"), ("lineage.complete", "files.bound")),
    Step("ancestry", ("chain", "log", "lineage"), ("base.traced",)),
    Step("revocation", ("chain", "log", "lineage", "ancestry"), ("not.revoked",)),
    Step(
        "proofs",
        ("chain", "log", "lineage"),
        (
            "dataset.registered",
            "epoch.proven",
            "order.recomputed",
            "merge.proven",
            "quantize.proven",
            "openings.proven",
        ),
    ),
    Step(
        "recomputation",
        ("chain", "log", "lineage", "proofs"),
        (
            "order.recomputed",
            "file.recomputed",
            "merge.recomputed",
            "base.recomputed",
            "batches.recomputed",
            "data.fed",
            "training.learned",
            "training.replayed",
        ),
    ),
    Step("agreement", (), ("chain.agreed",)),
    Step("policy", (), ("policy.satisfied",)),
)
"""The steps. `ancestry` belongs to the sixth, `lineage`, and has its turn behind it; `agreement`
belongs to the second, and comes when everything has been read from the chain. The last one also
makes each required claim that no other step came to, as not checked."""


def judge(case: Case, report: Report) -> Outcome:
    """Take the steps of a case, whose notes make the report.

    If chain or prover cannot be reached, it is undetermined.
    """
    try:
        _check(case)
    except Stopped:
        pass  # the policy judges the claims made so far
    except (UnavailableError, MissingEvidence) as error:
        return Outcome(Status.INDETERMINATE, str(error))
    except NotFound as error:
        return Outcome(Status.NOT_FOUND, str(error))
    except Pending:
        return Outcome(Status.PENDING, "the release is on the chain but not in a final block yet")
    except ProvenanceError as error:
        return Outcome(Status.FAILED, sentence_of(error))
    check_agreement(case)
    return decide(case, report)


def _check(case: Case) -> None:
    check_artifact(case)
    chain = check_chain(case)
    release = check_release(case, chain)
    log = check_log(case, chain, release)
    history = check_history(case, chain, log)
    lineage = check_lineage(case, log, history)
    ancestry = trace_base(case, chain, log, lineage)
    check_revocations(case, chain, log, lineage, ancestry.revoked)
    proofs = check_proofs(Run(case, chain, log, lineage))
    check_recomputation(case, chain, log, lineage, proofs)
    require_unchanged(case.artifact)
