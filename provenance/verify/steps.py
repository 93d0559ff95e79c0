"""The ten steps of a verification, in the order in which they run.

Each step takes what earlier steps found, writes its claims into the report, and returns what it
found itself. A step stops the verification if a claim that later steps depend on does not hold.
Claims carry numbers of their own, which stand for their subject (docs/formats/verdict.md).
"""

from __future__ import annotations

from provenance.errors import MissingEvidence, NotFound, ProvenanceError, UnavailableError
from provenance.judgement.verdict import Status
from provenance.verify.case import Case
from provenance.verify.claims import Stopped
from provenance.verify.s01_artifact import check_artifact, require_unchanged
from provenance.verify.s02_chain import check_chain
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


def judge(case: Case) -> Outcome:
    """Take the steps. If chain or prover cannot be reached, it is undetermined."""
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
        return Outcome(Status.FAILED, str(error))
    return decide(case)


def _check(case: Case) -> None:
    check_artifact(case)
    chain = check_chain(case)
    claim = check_release(case, chain)
    log = check_log(case, chain, claim)
    history = check_history(case, chain, log)
    lineage = check_lineage(case, log, history)
    ancestry = trace_base(case, chain, lineage)
    check_revocations(case, chain, log, lineage, ancestry.revoked)
    proofs = check_proofs(Run(case, chain, log, lineage))
    check_recomputation(case, log, lineage, proofs)
    require_unchanged(case.artifact)
