"""The stages merge and quantize with their weights on disk.

For each there are the tables of its tensors, what is anchored, and jobs for proofs of its blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from provenance.artifacts.tensors import DType, Layout, Tensor, TensorTable
from provenance.digest import Digest
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.weights import samples
from provenance_zk.weights.commit import TensorCommitment, TensorWanted, commit_weights
from provenance_zk.weights.jobs import (
    QuantizedBlocks,
    StoredMerge,
    StoredPair,
    StoredTensor,
    merge_job,
    quantize_job,
)
from provenance_zk.weights.merge_tables import MergeTables, anchored_scale
from provenance_zk.weights.samples import NO_TABLE, Anchoring, Group, name_of
from provenance_zk.workers.jobs import Job


class StageWeights(Protocol):
    """A merge or a quantization with its weights on disk."""

    @property
    def anchoring(self) -> Anchoring:
        """What is fixed on chain before the draw."""
        ...

    @property
    def tables(self) -> Mapping[str, TensorTable]:
        """The table `merged`, and for a merge also `base` and `adapter`."""
        ...

    @property
    def rank(self) -> int:
        """Padded rank of the adapter; 0 for a quantization."""
        ...

    def inputs(self, group: Group) -> tuple[int, ...]:
        """Public inputs of a group's proof."""
        ...

    def codes(self, group: Group) -> tuple[int, ...]:
        """The code words among a group's public inputs; none for a merge."""
        ...

    def job(self, key: KeyFolder, group: Group) -> Job:
        """The job that proves a group; key and public inputs tell its statement from others."""
        ...


@dataclass(frozen=True)
class SampleSize:
    """How many blocks are drawn in all (`draws`), and how many one proof opens (`slots`)."""

    draws: int
    slots: int


@dataclass(frozen=True)
class StoredModel:
    """A folder of safetensors: the file of each tensor, and the tables made of it so far."""

    files: Mapping[str, Path]
    _made: dict[tuple[str, ...], TensorTable] = field(default_factory=dict, repr=False)

    def commit(self, prover: ZkProver, names: Sequence[str]) -> TensorTable:
        """Table of these tensors, in layout `rows`.

        It is made once, since the files do not change during a command.
        """
        wanted = tuple(sorted(names))
        if wanted not in self._made:
            files = sorted(set(self.files.values()))
            made = commit_weights(prover, files, [TensorWanted(name) for name in wanted])
            self._made[wanted] = TensorTable.of([_tensor(entry, entry.name) for entry in made])
        return self._made[wanted]


@dataclass(frozen=True)
class Factors:
    """A LoRA adapter: its file, and the names of A and B by the name of the adapted tensor."""

    file: Path
    pairs: Mapping[str, tuple[str, str]]

    def commit(self, prover: ZkProver, merged: TensorTable) -> TensorTable:
        """Table of the factors A and B of a merged table's tensors, with these tensors' depths."""
        wanted, names = [], {}
        for tensor in merged.tensors:
            for side, layout in zip(
                self.pairs[tensor.name], (Layout.LORA_A, Layout.LORA_B), strict=True
            ):
                wanted.append(TensorWanted(side, layout.name.lower(), tensor.depth))
                names[side] = f"{tensor.name}:{layout.name.lower()}"
        made = commit_weights(prover, [self.file], wanted)
        return TensorTable.of([_tensor(entry, names[entry.name]) for entry in made])


def commit_tensors(
    prover: ZkProver, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
) -> list[Tensor]:
    """Recompute the commitments to tensors of safetensors files.

    Args:
        tensors: (name in the files, the entry that a table has for it).

    Returns:
        The entries that the tensors in the files really have, in the order of `tensors`.
    """
    wanted = [
        TensorWanted(source, t.layout.name.lower(), 0 if t.layout is Layout.ROWS else t.depth)
        for source, t in tensors
    ]
    made = {entry.name: entry for entry in commit_weights(prover, files, wanted)}
    return [_tensor(made[source], tensor.name) for source, tensor in tensors]


def _tensor(entry: TensorCommitment, name: str) -> Tensor:
    return Tensor(
        name,
        DType[entry.dtype],
        Layout[entry.layout.upper()],
        entry.rows,
        entry.columns,
        entry.depth,
        entry.blocks,
        entry.root,
    )


@dataclass(frozen=True)
class MergedModel:
    """A merge on disk, W' = round(W + s*B*A), and the content digest of the merged model."""

    base: StoredModel
    factors: Factors
    merged: StoredModel
    scale: Fraction
    content: Digest


@dataclass(frozen=True)
class MergeWeights:
    """Sampled blocks of a merge. Build it with `of`."""

    model: MergedModel
    anchoring: Anchoring
    tables: dict[str, TensorTable] = field(repr=False)
    rank: int

    @classmethod
    def of(cls, prover: ZkProver, model: MergedModel, size: SampleSize) -> MergeWeights:
        """Commit to the adapted tensors of base and merged model, and to the adapter.

        Raises:
            VerificationError: the three tables do not belong together, or the merge changed
                nothing.
            InputError: weights that cannot be read, or a scale that no proof takes.
        """
        names = list(model.factors.pairs)
        merged = model.merged.commit(prover, names)
        base, adapter = model.base.commit(prover, names), model.factors.commit(prover, merged)
        rank = MergeTables(base, adapter, merged).require_one_merge()
        anchoring = Anchoring(
            name_of(base),
            name_of(adapter),
            name_of(merged),
            bytes(model.content),
            "merge",
            size.slots,
            anchored_scale(model.scale),
            size.draws,
            merged.blocks,
        )
        anchoring.require_content()
        tables = {"base": base, "adapter": adapter, "merged": merged}
        return cls(model, anchoring, tables, rank)

    def inputs(self, group: Group) -> tuple[int, ...]:
        """As `StageWeights` says."""
        return MergeTables(**self.tables).inputs(group, self.anchoring.scale)

    def codes(self, group: Group) -> tuple[int, ...]:
        """None."""
        return ()

    def job(self, key: KeyFolder, group: Group) -> Job:
        """As `StageWeights` says."""
        name = self.tables["merged"].tensors[group.tensor].name
        a, b = self.model.factors.pairs[name]
        merge = StoredMerge(
            StoredTensor(self.model.base.files[name], name),
            StoredPair(self.model.factors.file, a, b),
            StoredTensor(self.model.merged.files[name], name),
            self.model.scale,
        )
        return merge_job(key, merge, group.indexes, self.inputs(group))


@dataclass(frozen=True)
class QuantizedModel:
    """A deployed file and the merged model that it was made from.

    Attributes:
        kind: of the proofs about the file.
        merged: the merged model.
        names: tensors of the merged model of which blocks are drawn.
        read: gives a block's bytes in the deployed file.
        file: SHA-256 of the deployed file.
    """

    kind: str
    merged: StoredModel
    names: Sequence[str]
    read: Callable[[Tensor, int], bytes]
    file: Digest


@dataclass(frozen=True)
class QuantizeWeights:
    """Sampled blocks of a deployed file. Build it with `of`."""

    model: QuantizedModel
    anchoring: Anchoring
    tables: dict[str, TensorTable] = field(repr=False)
    rank: int = 0

    @classmethod
    def of(cls, prover: ZkProver, model: QuantizedModel, size: SampleSize) -> QuantizeWeights:
        """Commit to the merged tensors of which blocks are drawn.

        Raises:
            InputError: weights that cannot be read.
        """
        table = model.merged.commit(prover, model.names)
        anchoring = Anchoring(
            NO_TABLE,
            NO_TABLE,
            name_of(table),
            bytes(model.file),
            model.kind,
            size.slots,
            0,
            size.draws,
            table.blocks,
        )
        return cls(model, anchoring, {"merged": table})

    def _blocks(self, group: Group) -> list[bytes]:
        tensor = self.tables["merged"].tensors[group.tensor]
        return [self.model.read(tensor, index) for index in group.indexes]

    def inputs(self, group: Group) -> tuple[int, ...]:
        """As `StageWeights` says."""
        tensor = self.tables["merged"].tensors[group.tensor]
        return samples.sampled_inputs(self.model.kind, tensor, group, self.model.read)

    def codes(self, group: Group) -> tuple[int, ...]:
        """As `StageWeights` says."""
        return tuple(samples.code_words(self.model.kind, self._blocks(group)))

    def job(self, key: KeyFolder, group: Group) -> Job:
        """As `StageWeights` says."""
        name = self.tables["merged"].tensors[group.tensor].name
        tensor = StoredTensor(self.model.merged.files[name], name)
        blocks = QuantizedBlocks(group.indexes, b"".join(self._blocks(group)))
        return quantize_job(key, tensor, blocks, self.inputs(group))
