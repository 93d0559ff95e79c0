"""Proving a run's merge and quantization: commit to the weights, anchor, draw, prove the drawn blocks, submit.

    tables of roots -> anchorModel -> hash of a later block -> groups of blocks -> proofs -> accepted -> `sample` record

Nothing is chosen after the draw: tables, artifact, key and number of draws are in its preimage. Every step may be repeated; a proof
that is on disk and is about the same blocks is used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from provenance.errors import ProvenanceError, RejectedError, UnavailableError
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.record import Record
from provenance.tensors import TensorTable
from provenance_zk import samples
from provenance_zk.keys import KeyFolder
from provenance_zk.ledger import calldata
from provenance_zk.model_ledger import ModelLedger, Opening, Sample
from provenance_zk.samples import Anchoring, Group
from provenance_zk.statements import ProofFile

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
    def prove(self, key: KeyFolder, groups: Sequence[Group]) -> list[ProofFile]:
        """Proofs of groups of one tensor."""
        ...


class KeyFinder(Protocol):
    def __call__(self, kind: str, depth: int) -> KeyFolder: ...


def prove_stage(stage: Stage, run_id: bytes, ledger: ModelLedger, address: str, keys: KeyFinder, folder: RunFolder,
                progress: Progress) -> Record:
    """Anchor, draw, prove, submit; returns the `sample` record to log.

    Raises:
        RejectedError: the contract did not accept the anchoring, or the draw was missed.
        InputError: the weights are not what the stage claims, or lie outside a proof's window.
    """
    anchoring = stage.anchoring
    name = samples.STAGES[anchoring.stage]
    progress(f"{name}: anchoring {stage.tables['merged'].size} tensors, {anchoring.blocks} blocks")
    number = ledger.anchor_model(run_id, anchoring.stage, anchoring.calldata())
    out = folder.samples(name, number)
    write_json(out / "tables.json", {what: table.to_json() for what, table in stage.tables.items()})
    progress(f"{name}: waiting for the draw")
    seed = ledger.draw_model(run_id, anchoring.stage, number)
    wanted = samples.groups(seed, stage.tables["merged"], anchoring.draws, anchoring.slots)
    proofs = make_proofs(stage, wanted, keys, out, progress)
    _submit(stage, run_id, number, list(zip(wanted, proofs, strict=True)), ledger, progress)
    facts = ledger.latest().model_anchoring(run_id, anchoring.stage, number)
    if facts is None:
        raise UnavailableError("chain does not show the anchoring yet", where=name)
    if not facts.accepted:
        raise RejectedError("contract did not accept the proofs", where=f"{name} anchoring {number}")
    digest = anchoring.digest(facts.log_size, facts.log_root)
    return Record.make("sample", stage=name, number=number, ledger=address, anchoring="0x" + digest.hex())


def make_proofs(stage: Stage, wanted: Sequence[Group], keys: KeyFinder, out: Path, progress: Progress) -> list[ProofFile]:
    """Every proof in the order of the groups, made or found; a file appears when its proof is made."""
    proofs: dict[int, ProofFile] = {}
    begin, made = time.monotonic(), 0
    numbered = list(enumerate(wanted))
    for t, entries in groupby(numbered, key=lambda entry: entry[1].tensor):
        tensor = stage.tables["merged"].tensors[t]
        key = keys(stage.anchoring.kind, samples.key_depth(stage.anchoring.kind, tensor, stage.rank))
        mine = list(entries)
        found = {i: proof for i, group in mine if (proof := _found(out, i, key, stage.inputs(group))) is not None}
        missing = [(i, group) for i, group in mine if i not in found]
        fresh = stage.prove(key, [group for _, group in missing]) if missing else []
        for (i, _), proof in zip(missing, fresh, strict=True):
            write_atomically(out / f"proof-{i}.json", proof.to_bytes())
            found[i] = proof
        proofs |= found
        made += len(fresh)
        left = _left(begin, made, len(wanted) - len(proofs))
        progress(f"{samples.STAGES[stage.anchoring.stage]}: {len(proofs)} of {len(wanted)} proofs{left}")
    _remove_others(out, len(wanted))
    return [proofs[i] for i in range(len(wanted))]


def _remove_others(out: Path, count: int) -> None:
    """Proofs of an earlier, longer anchoring are no evidence of this one."""
    while (stale := out / f"proof-{count}.json").exists():
        stale.unlink()
        count += 1


def _left(begin: float, made: int, missing: int) -> str:
    return f", about {(time.monotonic() - begin) / made * missing:.0f} s left" if made and missing else ""


def _found(out: Path, number: int, key: KeyFolder, inputs: tuple[int, ...]) -> ProofFile | None:
    """A proof made before for the very same statement and key; anything else there is overwritten."""
    try:
        proof = ProofFile.from_json(read_json(out / f"proof-{number}.json"))
    except ProvenanceError:
        return None
    return proof if (proof.vk_id, proof.public) == (key.vk_id, inputs) else None


def _submit(stage: Stage, run_id: bytes, number: int, pairs: Sequence[tuple[Group, ProofFile]], ledger: ModelLedger,
            progress: Progress) -> None:
    name, done, receipt = samples.STAGES[stage.anchoring.stage], 0, None
    for batch in _batches(pairs):
        done += len(batch)
        progress(f"{name}: submitting proofs, {done} of {len(pairs)}")
        calls = [_sample(stage, group, proof).calldata() for group, proof in batch]
        receipt = ledger.prove_samples(run_id, stage.anchoring.stage, number, calls)
    if receipt is not None:
        ledger.final(receipt)


def _batches(pairs: Sequence[tuple[Group, ProofFile]]) -> Iterator[Sequence[tuple[Group, ProofFile]]]:
    """Runs of proofs in order, each of one key."""
    for _, same in groupby(pairs, key=lambda pair: pair[1].vk_id):
        run = list(same)
        yield from (run[at : at + BATCH] for at in range(0, len(run), BATCH))


def _sample(stage: Stage, group: Group, proof: ProofFile) -> Sample:
    t, tensor = group.tensor, stage.tables["merged"].tensors[group.tensor]
    places = [("merged", t)] if "base" not in stage.tables else [("base", t), ("adapter", 2 * t), ("adapter", 2 * t + 1), ("merged", t)]
    openings = tuple(Opening(stage.tables[what].tensors[i].root, tuple(stage.tables[what].path(i))) for what, i in places)
    rank = stage.tables["adapter"].tensors[2 * t].rows if "adapter" in stage.tables else 0
    return Sample(t, group.number, proof.vk_id, tensor.name, tensor.rows, tensor.columns, openings, calldata(proof), stage.codes(group),
                  rank)
