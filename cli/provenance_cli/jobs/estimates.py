"""What the tasks of a run cost: gas of transactions, seconds of proofs.

Gas was measured with development keys; contracts/.gas-snapshot.json holds the exact figures of the
current contracts. Seconds were measured on two CPU cores.
"""

from __future__ import annotations

from collections.abc import Iterable

from provenance_cli.jobs.tasks import Estimate
from provenance_trainer.run.plan import Plan
from provenance_zk.training.submission import BATCH

GAS = {
    "run": 153_000,  # openRun and drawSeed
    "head": 96_000,
    "release": 209_000,
    "anchor": 130_000,
    "epoch": 416_000,
    "dataset": 385_000,  # beginDataset and finishDataset
    "tree": 364_000,
    "link": 312_000,
    "sorted": 331_000,
    "model": 290_000,  # anchorModel and drawModel
}
BATCH_GAS, BATCHED_GAS = 350_000, 116_000  # per batch of epoch proofs, and per proof in it
# Of epochs that are anchored and proven at once: per transaction, epoch and proof.
AT_ONCE_GAS, AT_ONCE_EPOCH_GAS, AT_ONCE_PROOF_GAS = 373_000, 50_000, 104_000
# Of one proof about weights in a batch of SAMPLE_BATCH, by kind. A test checks that no kind of
# zk/statements.json is missing.
SAMPLE_GAS = {"merge": 146_000, "q8_0": 107_000, "int8": 110_000}
SAMPLE_PROOF_S = {"merge": 0.5, "q8_0": 0.3, "int8": 0.3}
SAMPLE_BATCH = 16
SORTED_PROOF_S = 1.3  # of a chunk of 256 leaves


def proof_gas(proofs: int) -> int:
    """Gas of one transaction that submits this many epoch proofs."""
    return GAS["epoch"] if proofs == 1 else BATCH_GAS + proofs * BATCHED_GAS


def registration(plan: Plan) -> Estimate:
    """Registering the dataset, which happens once."""
    gas = GAS["dataset"] + plan.tree_chunks * GAS["tree"] + plan.link_chunks * GAS["link"]
    return Estimate(plan.registration_transactions, gas, plan.registration_s)


def order(count: int, slots: int) -> Estimate:
    """Proving that `count` records are sorted, in chunks of `slots`."""
    chunks = -(-count // slots)
    return Estimate(chunks, chunks * GAS["sorted"], chunks * SORTED_PROOF_S)


def training(plan: Plan) -> Estimate:
    """Opening the run, drawing its seed, training, anchoring its log."""
    gas = GAS["run"] + plan.anchors * GAS["head"]
    return Estimate(2 + plan.anchors, gas, plan.training_s)


def epochs(plan: Plan) -> Estimate:
    """Anchoring and proving each epoch, at once if a transaction has room for all its proofs."""
    sent = plan.proof_transactions.items()
    count = sum(times for _, times in sent)
    if plan.chunks <= BATCH:
        proofs = sum(size * times for size, times in sent)
        gas = count * AT_ONCE_GAS + plan.epochs * AT_ONCE_EPOCH_GAS + proofs * AT_ONCE_PROOF_GAS
        return Estimate(count, gas, plan.proving_s)
    gas = plan.epochs * GAS["anchor"] + sum(proof_gas(size) * times for size, times in sent)
    return Estimate(plan.epochs + count, gas, plan.proving_s)


def weights(kinds: Iterable[tuple[str, int]], tensors: int, draws: int) -> Estimate:
    """Proving sampled blocks of the merge and of the quantization.

    Args:
        kinds: each kind of proof, with its blocks per proof.
        tensors: how many tensors have an adapter.
        draws: blocks drawn for each kind, over all tensors.
    """
    total = Estimate()
    per_tensor = max(2, -(-draws // max(1, tensors)))
    for kind, slots in kinds:
        proofs = tensors * -(-per_tensor // slots)
        batches = -(-proofs // SAMPLE_BATCH)
        gas = GAS["model"] + proofs * SAMPLE_GAS[kind]
        total += Estimate(2 + batches, gas, proofs * SAMPLE_PROOF_S[kind])
    return total + Estimate(2, 2 * GAS["head"])


def release() -> Estimate:
    """Anchoring the release record and claiming the file."""
    return Estimate(2, GAS["head"] + GAS["release"])
