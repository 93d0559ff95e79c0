"""Submitting proven chunks to the ledger.

They go in batches. They go one by one if the owner asks for it, or if a batch is refused. What the
next call does after a crash:

    before a transaction was stored   the ledger has not accepted its chunks: they are sent
    after it was stored               the same set of chunks has the same label: the stored
                                      transaction is found and not sent a second time
    after chunks were accepted        `is_chunk_proved` says so, and they are left out
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provenance.chain.calls import EpochProof
from provenance.errors import RejectedError
from provenance.ids import RunId
from provenance.progress import Say
from provenance_zk.proof_file import ProofFile
from provenance_zk.training.ledger import Ledger

BATCH = 16
"""Proofs in one transaction. The ledger takes up to 64, but larger batches save hardly any gas a
proof (contracts/.gas-snapshot.json).
"""


@dataclass(frozen=True)
class ChunkProof:
    """The proof of chunk `c` of an anchored epoch."""

    run_id: RunId
    epoch: int
    number: int
    c: int
    proof: ProofFile

    @property
    def where(self) -> str:
        """The chunk, for people."""
        return f"epoch {self.epoch} anchoring {self.number} chunk {self.c}"

    @property
    def item(self) -> EpochProof:
        """What is sent to the ledger.

        The ledger computes the other public inputs itself, and checked knowledge of D before.
        """
        proof = self.proof
        return EpochProof(
            self.run_id,
            self.epoch,
            self.number,
            self.c,
            proof.public_value("a"),
            proof.public_value("b"),
            proof.commitments,
            (proof.poks[1], proof.poks[2]),
            proof.calldata(),
        )


def groups(proofs: Sequence[ChunkProof], size: int = BATCH) -> list[Sequence[ChunkProof]]:
    """Consecutive groups of at most `size` proofs, as equal in length as possible.

    Law: their concatenation is `proofs`.
    """
    count = -(-len(proofs) // size)
    bounds = [len(proofs) * i // count for i in range(count + 1)] if count else []
    return [proofs[start:end] for start, end in itertools.pairwise(bounds)]


def submit(proofs: Sequence[ChunkProof], ledger: Ledger, say: Say, *, batch: bool) -> None:
    """Submit every proof that is not accepted yet, and wait until the last transaction is final.

    Raises:
        RejectedError: the ledger refused a proof; `where` names it. The other proofs of its group
            were submitted, later groups were not.
    """
    wanted = [p for p in proofs if not ledger.is_chunk_proved(p.run_id, p.epoch, p.number, p.c)]
    if skipped := len(proofs) - len(wanted):
        say(f"{skipped} of {len(proofs)} proofs were accepted before")
    receipt = None
    for group in groups(wanted, BATCH if batch else 1):
        receipt = _submit_group(group, ledger, say)
    if receipt is not None:
        ledger.final(receipt)


def _submit_group(group: Sequence[ChunkProof], ledger: Ledger, say: Say) -> Any:
    if len(group) == 1:  # a batch of one would cost more
        return _submit_singly(group, ledger, say)
    say(f"submitting {len(group)} proofs in one transaction")
    try:
        return ledger.prove_epochs([proof.item for proof in group])
    except RejectedError as error:
        # A batch is refused as a whole and does not say for which proof. Single calls do, and the
        # good ones are not lost.
        say(f"the batch was refused ({error.actual}); submitting its proofs one by one")
        return _submit_singly(group, ledger, say)


def _submit_singly(group: Sequence[ChunkProof], ledger: Ledger, say: Say) -> Any:
    receipt, refused = None, []
    for proof in group:
        say(f"submitting the proof of {proof.where}")
        try:
            receipt = ledger.prove_epoch(proof.item)
        except RejectedError as error:
            refused.append((proof, error))
    if refused:
        names = ", ".join(proof.where for proof, _ in refused)
        raise RejectedError(
            "ledger refuses a proof",
            where=names,
            expected="a valid proof",
            actual=refused[0][1].actual,
            hint="the other proofs of its batch were submitted; prove again",
        ) from refused[0][1]
    return receipt
