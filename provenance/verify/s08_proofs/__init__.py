"""Step 8: Groth16 proofs against pinned keys and recomputed challenges.

`run.py` holds the run whose proofs are checked. `registration.py` checks the dataset, `epochs.py`
its use. `samples.py`, `anchored.py` and `ties.py` check sampled blocks of merge and quantization.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.verify.claims import Lacking
from provenance.verify.s08_proofs.epochs import check_epochs, leave_epochs
from provenance.verify.s08_proofs.registration import check_dataset
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s08_proofs.samples import check_samples


@dataclass(frozen=True)
class Proofs:
    """What is proven.

    epochs: whether `epoch.proven` holds, which covers every epoch fed.
    partial: which epochs fed only a part of the dataset, for people.
    """

    epochs: bool
    partial: str = ""


def check_proofs(run: Run) -> Proofs:
    """Check the proofs of the dataset's registration, of each epoch, and of sampled blocks.

    Neither a sampled claim that fails nor missing evidence ends the verification.

    Raises:
        Stopped: the claim about the registration or the one about the epochs fails.
    """
    try:
        partial = check_epochs(run, check_dataset(run))
    except Lacking:
        partial = None
        leave_epochs(run.case.notes, "dataset.registered, which was not checked")
    check_samples(run)
    return Proofs(epochs=partial is not None, partial=partial or "")
