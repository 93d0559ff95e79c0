"""Proving one stage: anchor the tables, draw, prove the drawn blocks, submit.

    tables of roots -> anchorModel -> hash of a later block -> groups of blocks -> proofs
                    -> accepted -> `sample` record

The owner can choose nothing after the draw: tables, artifact, kind of key and number of draws are
hashed into its seed. Every step may be repeated; a proof on disk about the same blocks is used
again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from provenance.artifacts.tensors import Tensor
from provenance.errors import ProvenanceError, RejectedError, UnavailableError
from provenance.ids import Address, RunId, Word
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.log import records
from provenance.log.record import Record
from provenance.progress import Say
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.weights import samples
from provenance_zk.weights.ledger import ModelLedger, Sample, TablePath
from provenance_zk.weights.samples import Group
from provenance_zk.weights.stages import StageWeights
from provenance_zk.workers.jobs import Job

BATCH = 16  # proofs of one transaction


class Prove(Protocol):
    """Makes proofs of different statements, in order. Proofs made before are found."""

    def __call__(self, jobs: Sequence[Job], say: Say) -> list[ProofFile]:
        """Make the proofs; `say` gets a line per proof."""
        ...


class KeyFinder(Protocol):
    """Finds the proving key of a kind and a depth word.

    Raises ConfigError if the contract pins no such key, NotFound if it is not in the cache.
    """

    def __call__(self, kind: str, depth: int) -> KeyFolder:
        """Find a key."""
        ...


@dataclass(frozen=True)
class ProofMaker:
    """Makes or finds the proofs of groups."""

    keys: KeyFinder
    prove: Prove
    say: Say

    def key(self, stage: StageWeights, tensor: Tensor) -> KeyFolder:
        """The key for proofs about a tensor."""
        kind = stage.anchoring.kind
        return self.keys(kind, samples.key_depth(kind, tensor, stage.rank))

    def make(self, stage: StageWeights, wanted: Sequence[Group], out: Path) -> list[ProofFile]:
        """Every proof, in the order of the groups, made or found in `out`.

        When a call is cut off, the next one finds the finished proofs.

        Raises:
            RejectedError: a proof has other public inputs than its group.
        """
        name, tensors = stage.anchoring.stage, stage.tables["merged"].tensors
        proofs: dict[int, ProofFile] = {}
        jobs: dict[int, Job] = {}
        for i, group in enumerate(wanted):
            key = self.key(stage, tensors[group.tensor])
            if (found := _found(out, i, key, stage.inputs(group))) is not None:
                proofs[i] = found
            else:
                jobs[i] = stage.job(key, group)
        # Two groups with the same blocks are one statement, and need one proof.
        different = {job.statement_id: job for job in jobs.values()}
        self.say(f"{name}: {len(proofs)} of {len(wanted)} proofs there, {len(different)} to make")
        made = self._prove(name, different)
        for i, job in jobs.items():
            proofs[i] = made[job.statement_id]
            if proofs[i].public != stage.inputs(wanted[i]):
                raise RejectedError(
                    "prover proved something else than it was asked", where=f"{name} proof {i}"
                )
            write_atomically(out / f"proof-{i}.json", proofs[i].to_bytes())
        _remove_others(out, len(wanted))
        return [proofs[i] for i in range(len(wanted))]

    def _prove(self, name: str, jobs: dict[bytes, Job]) -> dict[bytes, ProofFile]:
        if not jobs:
            return {}
        proofs = self.prove(list(jobs.values()), _TimeLeft(name, len(jobs), self.say))
        return dict(zip(jobs, proofs, strict=True))


class _TimeLeft:
    """Passes on lines about single proofs, each with an estimate of the time left."""

    def __init__(self, name: str, count: int, say: Say) -> None:
        self._name, self._count, self._say = name, count, say
        self._begin, self._done = time.monotonic(), 0

    def __call__(self, line: str) -> None:
        self._done += 1
        missing = self._count - self._done
        each_s = (time.monotonic() - self._begin) / self._done
        left = f", about {each_s * missing:.0f} s left" if missing > 0 else ""
        self._say(f"{self._name}: {line}{left}")


def _remove_others(out: Path, count: int) -> None:
    """Remove proofs beyond `count`: left from an earlier, longer anchoring, no evidence of this."""
    while (stale := out / f"proof-{count}.json").exists():
        stale.unlink()
        count += 1


def _found(out: Path, number: int, key: KeyFolder, inputs: tuple[int, ...]) -> ProofFile | None:
    """A proof on disk of this very statement and key, else None: the file is then overwritten."""
    try:
        proof = ProofFile.from_json(read_json(out / f"proof-{number}.json"))
    except ProvenanceError:
        return None
    return proof if (proof.vk_id, proof.public) == (key.vk_id, inputs) else None


@dataclass(frozen=True)
class StageProver:
    """Proves stages of one run to one contract."""

    run_id: RunId
    folder: RunFolder
    ledger: ModelLedger
    address: Address
    maker: ProofMaker

    def prove(self, stage: StageWeights) -> Record:
        """Anchor, draw, prove, submit; returns the `sample` record to log.

        Raises:
            RejectedError: the contract did not accept the anchoring, or the draw was missed.
            InputError: the weights are not what the stage claims, or hold values that no proof
                covers.
            ConfigError: the contract pins no key for some tensor; nothing was anchored.
        """
        anchoring, table, say = stage.anchoring, stage.tables["merged"], self.maker.say
        name = anchoring.stage
        for tensor in table.tensors:
            self.maker.key(stage, tensor)
        say(f"{name}: anchoring {table.size} tensors, {anchoring.blocks} blocks")
        stage_number = anchoring.stage_number
        number = self.ledger.anchor_model(self.run_id, stage_number, anchoring.calldata())
        out = self.folder.samples(name, number)
        tables = {what: t.to_json() for what, t in stage.tables.items()}
        write_json(out / "tables.json", tables)
        say(f"{name}: waiting for the draw")
        seed = self.ledger.draw_model(self.run_id, stage_number, number)
        wanted = samples.groups(seed, table, anchoring.draws, anchoring.slots)
        proofs = self.maker.make(stage, wanted, out)
        self._submit(stage, number, list(zip(wanted, proofs, strict=True)))
        return self._record(stage, number)

    def _submit(
        self, stage: StageWeights, number: int, pairs: Sequence[tuple[Group, ProofFile]]
    ) -> None:
        anchoring, done, receipt = stage.anchoring, 0, None
        for batch in _batches(pairs):
            done += len(batch)
            self.maker.say(f"{anchoring.stage}: submitting proofs, {done} of {len(pairs)}")
            calls = [_sample(stage, group, proof).calldata() for group, proof in batch]
            first = batch[0][0].tensor
            previous = stage.tables["merged"].tensors[first - 1].name if first else ""
            receipt = self.ledger.prove_samples(
                self.run_id, anchoring.stage_number, number, calls, previous
            )
        if receipt is not None:
            self.ledger.final(receipt)

    def _record(self, stage: StageWeights, number: int) -> Record:
        anchoring = stage.anchoring
        name = anchoring.stage
        snapshot = self.ledger.latest()
        facts = snapshot.model_anchoring(self.run_id, anchoring.stage_number, number)
        if facts is None:
            raise UnavailableError("chain does not show the anchoring yet", where=name)
        if not facts.accepted:
            raise RejectedError(
                "contract did not accept the proofs", where=f"{name} anchoring {number}"
            )
        digest = Word(anchoring.digest(facts.log_size, facts.log_root))
        return Record.of(records.Sample(name, number, self.address, digest))


def _batches(
    pairs: Sequence[tuple[Group, ProofFile]],
) -> Iterator[Sequence[tuple[Group, ProofFile]]]:
    """Consecutive proofs of one key, at most `BATCH` together, in order."""
    for _, same in groupby(pairs, key=lambda pair: pair[1].vk_id):
        run = list(same)
        yield from (run[at : at + BATCH] for at in range(0, len(run), BATCH))


def _sample(stage: StageWeights, group: Group, proof: ProofFile) -> Sample:
    t, tensor = group.tensor, stage.tables["merged"].tensors[group.tensor]
    places, rank = [("merged", t)], 0
    if "adapter" in stage.tables:
        places = [("base", t), ("adapter", 2 * t), ("adapter", 2 * t + 1), ("merged", t)]
        rank = stage.tables["adapter"].tensors[2 * t].rows
    return Sample(
        t,
        group.number,
        proof.vk_id,
        tensor.name,
        tensor.rows,
        tensor.columns,
        tuple(
            TablePath(stage.tables[what].tensors[i].root, tuple(stage.tables[what].path(i)))
            for what, i in places
        ),
        proof.calldata(),
        stage.codes(group),
        rank,
    )
