"""Step 8: Groth16 proofs against pinned keys and recomputed challenges.

`run.py` holds what is proven, `registration.py` the dataset, `epochs.py` its use; `samples.py`,
`anchored.py` and `ties.py` the sampled blocks of merge and quantization.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.verify.s08_proofs.epochs import check_epochs
from provenance.verify.s08_proofs.registration import check_dataset
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s08_proofs.samples import check_samples


@dataclass(frozen=True)
class Proofs:
    """What is proven. epochs: the use of every epoch fed."""

    epochs: bool


def check_proofs(run: Run) -> Proofs:
    """The dataset's registration, each epoch's use, and sampled blocks are proven.

    A sampled claim that fails does not end the verification.

    Raises:
        Stopped: registration or use fails.
    """
    dataset = check_dataset(run)
    proofs = Proofs(epochs=check_epochs(run, dataset))
    check_samples(run)
    return proofs
