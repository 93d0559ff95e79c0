"""Proving a run's merge and quantization: commit to the weights, anchor, draw, prove the drawn
blocks, submit.

    tables of roots -> anchorModel -> hash of a later block -> groups of blocks -> proofs ->
    accepted -> `sample` record

Nothing is chosen after the draw: tables, artifact, key and number of draws are in its preimage.
Every step may be repeated; a proof that is on disk and is about the same blocks is used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.errors import ProvenanceError, RejectedError, UnavailableError
from provenance.ids import RunId
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.log.record import Record
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.statements import ProofFile
from provenance_zk.training.ledger import calldata
from provenance_zk.weights import samples
from provenance_zk.weights.ledger import ModelLedger, Opening, Sample
from provenance_zk.weights.samples import Anchoring, Group
from provenance_zk.workers.jobs import Job

Progress = Callable[[str], None]
BATCH = 16  # proofs of one transaction


class Stage(Protocol):
    """A merge or a quantization with its weights at hand."""

    @property
    def anchoring(self) -> Anchoring: ...
    @property
    def tables(self) -> Mapping[str, TensorTable]: ...
    @property
    def rank(self) -> int: ...

    def inputs(self, group: Group) -> tuple[int, ...]: ...
    def codes(self, group: Group) -> tuple[int, ...]: ...
    def job(self, key: KeyFolder, group: Group) -> Job:
        """What proves a group; its statement is the key and the public inputs."""
        ...


class Prove(Protocol):
    """Makes the proofs of different statements, in their order; those made before are not made
    again.
    """

    def __call__(self, jobs: Sequence[Job], tell: Progress) -> list[ProofFile]: ...


class KeyFinder(Protocol):
    """Finds the proving key of a kind and depth that the deployed contract pins."""

    def __call__(self, kind: str, depth: int) -> KeyFolder: ...


def prove_stage(
    stage: Stage,
    run_id: RunId,
    ledger: ModelLedger,
    address: str,
    keys: KeyFinder,
    prove: Prove,
    folder: RunFolder,
    progress: Progress,
) -> Record:
    """Anchor, draw, prove, submit; returns the `sample` record to log.

    Raises:
        RejectedError: the contract did not accept the anchoring, or the draw was missed.
        InputError: the weights are not what the stage claims, or lie outside a proof's window.
        ConfigError: the contract pins no key for some tensor; nothing was anchored then.
    """
    anchoring = stage.anchoring
    name = samples.STAGES[anchoring.stage]
    for depth in sorted({_depth(stage, tensor) for tensor in stage.tables["merged"].tensors}):
        keys(anchoring.kind, depth)
    progress(f"{name}: anchoring {stage.tables['merged'].size} tensors, {anchoring.blocks} blocks")
    number = ledger.anchor_model(run_id, anchoring.stage, anchoring.calldata())
    out = folder.samples(name, number)
    write_json(out / "tables.json", {what: table.to_json() for what, table in stage.tables.items()})
    progress(f"{name}: waiting for the draw")
    seed = ledger.draw_model(run_id, anchoring.stage, number)
    wanted = samples.groups(seed, stage.tables["merged"], anchoring.draws, anchoring.slots)
    proofs = make_proofs(stage, wanted, keys, prove, out, progress)
    _submit(stage, run_id, number, list(zip(wanted, proofs, strict=True)), ledger, progress)
    facts = ledger.latest().model_anchoring(run_id, anchoring.stage, number)
    if facts is None:
        raise UnavailableError("chain does not show the anchoring yet", where=name)
    if not facts.accepted:
        raise RejectedError(
            "contract did not accept the proofs", where=f"{name} anchoring {number}"
        )
    digest = anchoring.digest(facts.log_size, facts.log_root)
    return Record.make(
        "sample", stage=name, number=number, ledger=address, anchoring="0x" + digest.hex()
    )


def make_proofs(
    stage: Stage,
    wanted: Sequence[Group],
    keys: KeyFinder,
    prove: Prove,
    out: Path,
    progress: Progress,
) -> list[ProofFile]:
    """Every proof in the order of the groups, made or found.

    What is finished when a call is cut off, the next one finds.

    Raises:
        RejectedError: a proof is about something else than its group.
    """
    name, proofs, jobs = (
        samples.STAGES[stage.anchoring.stage],
        dict[int, ProofFile](),
        dict[int, Job](),
    )
    for i, group in enumerate(wanted):
        key = keys(
            stage.anchoring.kind, _depth(stage, stage.tables["merged"].tensors[group.tensor])
        )
        if (found := _found(out, i, key, stage.inputs(group))) is not None:
            proofs[i] = found
        else:
            jobs[i] = stage.job(key, group)
    different = {
        job.statement_id: job for job in jobs.values()
    }  # the same blocks may be drawn twice
    progress(f"{name}: {len(proofs)} of {len(wanted)} proofs there, {len(different)} to make")
    made = (
        dict(
            zip(
                different,
                prove(list(different.values()), _Left(name, len(different), progress)),
                strict=True,
            )
        )
        if different
        else {}
    )
    for i, job in jobs.items():
        proof = made[job.statement_id]
        if proof.public != stage.inputs(wanted[i]):
            raise RejectedError(
                "prover proved something else than it was asked", where=f"{name} proof {i}"
            )
        write_atomically(out / f"proof-{i}.json", proof.to_bytes())
        proofs[i] = proof
    _remove_others(out, len(wanted))
    return [proofs[i] for i in range(len(wanted))]


def _depth(stage: Stage, tensor: Tensor) -> int:
    """Depth word of the key that proves about a tensor."""
    return samples.key_depth(stage.anchoring.kind, tensor, stage.rank)


class _Left:
    """Adds the time that is left to lines about single proofs."""

    def __init__(self, name: str, count: int, progress: Progress) -> None:
        self._name, self._count, self._progress = name, count, progress
        self._begin, self._done = time.monotonic(), 0

    def __call__(self, line: str) -> None:
        self._done += 1
        missing = self._count - self._done
        left = (
            f", about {(time.monotonic() - self._begin) / self._done * missing:.0f} s left"
            if missing > 0
            else ""
        )
        self._progress(f"{self._name}: {line}{left}")


def _remove_others(out: Path, count: int) -> None:
    """Proofs of an earlier, longer anchoring are no evidence of this one."""
    while (stale := out / f"proof-{count}.json").exists():
        stale.unlink()
        count += 1


def _found(out: Path, number: int, key: KeyFolder, inputs: tuple[int, ...]) -> ProofFile | None:
    """A proof made before for the very same statement and key; anything else there is
    overwritten.
    """
    try:
        proof = ProofFile.from_json(read_json(out / f"proof-{number}.json"))
    except ProvenanceError:
        return None
    return proof if (proof.vk_id, proof.public) == (key.vk_id, inputs) else None


def _submit(
    stage: Stage,
    run_id: RunId,
    number: int,
    pairs: Sequence[tuple[Group, ProofFile]],
    ledger: ModelLedger,
    progress: Progress,
) -> None:
    name, done, receipt = samples.STAGES[stage.anchoring.stage], 0, None
    for batch in _batches(pairs):
        done += len(batch)
        progress(f"{name}: submitting proofs, {done} of {len(pairs)}")
        calls = [_sample(stage, group, proof).calldata() for group, proof in batch]
        receipt = ledger.prove_samples(run_id, stage.anchoring.stage, number, calls)
    if receipt is not None:
        ledger.final(receipt)


def _batches(
    pairs: Sequence[tuple[Group, ProofFile]],
) -> Iterator[Sequence[tuple[Group, ProofFile]]]:
    """Runs of proofs in order, each of one key."""
    for _, same in groupby(pairs, key=lambda pair: pair[1].vk_id):
        run = list(same)
        yield from (run[at : at + BATCH] for at in range(0, len(run), BATCH))


def _sample(stage: Stage, group: Group, proof: ProofFile) -> Sample:
    t, tensor = group.tensor, stage.tables["merged"].tensors[group.tensor]
    places = (
        [("merged", t)]
        if "base" not in stage.tables
        else [("base", t), ("adapter", 2 * t), ("adapter", 2 * t + 1), ("merged", t)]
    )
    openings = tuple(
        Opening(stage.tables[what].tensors[i].root, tuple(stage.tables[what].path(i)))
        for what, i in places
    )
    rank = stage.tables["adapter"].tensors[2 * t].rows if "adapter" in stage.tables else 0
    return Sample(
        t,
        group.number,
        proof.vk_id,
        tensor.name,
        tensor.rows,
        tensor.columns,
        openings,
        calldata(proof),
        stage.codes(group),
        rank,
    )
