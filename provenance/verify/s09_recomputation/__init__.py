"""Step 9: what can be recomputed from the material at hand. No claim here ends the verification.

`weights.py` compares file, merge and base; `data.py` what was fed; `learned.py` says
what changed; `replayed.py` trains again, or takes the word of
auditors (`audited.py`); `stretches.py` tells how each part of the training stands.
"""

from __future__ import annotations

from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage
from provenance.verify.s08_proofs import Proofs
from provenance.verify.s09_recomputation.data import check_data
from provenance.verify.s09_recomputation.learned import check_learned
from provenance.verify.s09_recomputation.replayed import check_replayed
from provenance.verify.s09_recomputation.weights import check_base, check_file, check_merge


def check_recomputation(
    case: Case, chain: Chain, log: Log, lineage: Lineage, proofs: Proofs
) -> None:
    """Recompute order, file, merge, base and batches, as far as the caller's material allows."""
    if proofs.epochs:
        what = "exactly the committed dataset in the pre-registered order"
        if proofs.partial:
            what = f"a part of the committed dataset in the pre-registered order{proofs.partial}"
        how = "permutation and products recomputed from seed and log"
        case.notes.holds("order.recomputed", f"the recorded batches are {what} ({how})")
    check_file(case, log, lineage)
    check_merge(case, log, lineage)
    check_base(case, log, lineage)
    fed = check_data(case, log, lineage)
    check_learned(case, log, lineage, fed)
    check_replayed(case, chain, log, lineage.history)
