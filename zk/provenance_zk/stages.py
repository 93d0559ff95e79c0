"""A run's merge and quantization as stages of `model_proofs`: weights on disk, tables over them, proofs of one tensor's blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from provenance.digest import Digest
from provenance.errors import VerificationError
from provenance.tensors import DType, Layout, Tensor, TensorTable
from provenance_zk import samples
from provenance_zk.client import ZkProver
from provenance_zk.keys import KeyFolder
from provenance_zk.merging import StoredPair, StoredTensor, prove_merge
from provenance_zk.samples import NO_TABLE, Anchoring, Group, name_of
from provenance_zk.statements import ProofFile
from provenance_zk.weights import QuantizedBlocks, TensorCommitment, TensorWanted, commit_weights, prove_int8, prove_q8_0


@dataclass(frozen=True)
class Model:
    """A folder of safetensors: file of each tensor."""

    files: Mapping[str, Path]

    def commit(self, prover: ZkProver, names: Sequence[str]) -> TensorTable:
        """Table of these tensors, in layout `rows`."""
        made = commit_weights(prover, sorted(set(self.files.values())), [TensorWanted(name) for name in names])
        return TensorTable.of([_tensor(entry, entry.name) for entry in made])


@dataclass(frozen=True)
class Factors:
    """A LoRA adapter: its file, and the names of A and B for each adapted tensor."""

    file: Path
    pairs: Mapping[str, tuple[str, str]]

    def commit(self, prover: ZkProver, merged: TensorTable) -> TensorTable:
        """Table of the factors of a merged table's tensors, with their depths."""
        wanted, names = [], {}
        for tensor in merged.tensors:
            for side, layout in zip(self.pairs[tensor.name], (Layout.LORA_A, Layout.LORA_B), strict=True):
                wanted.append(TensorWanted(side, layout.name.lower(), tensor.depth))
                names[side] = f"{tensor.name}:{layout.name.lower()}"
        made = commit_weights(prover, [self.file], wanted)
        return TensorTable.of([_tensor(entry, names[entry.name]) for entry in made])


def commit_tensors(prover: ZkProver, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]) -> list[Tensor]:
    """Commit anew to tensors of safetensors files: (name in the files, entry that it should have) -> entry that it has."""
    wanted = [TensorWanted(source, t.layout.name.lower(), 0 if t.layout is Layout.ROWS else t.depth) for source, t in tensors]
    made = {entry.name: entry for entry in commit_weights(prover, files, wanted)}
    return [_tensor(made[source], tensor.name) for source, tensor in tensors]


def _tensor(entry: TensorCommitment, name: str) -> Tensor:
    return Tensor(name, DType[entry.dtype], Layout[entry.layout.upper()], entry.rows, entry.columns, entry.depth, entry.blocks, entry.root)


@dataclass(frozen=True)
class MergeStage:
    """Sampled blocks of W' = round(W + s*B*A). Build it with `of`."""

    prover: ZkProver
    base: Model
    factors: Factors
    merged: Model
    scale: Fraction
    anchoring: Anchoring
    tables: dict[str, TensorTable] = field(repr=False)
    rank: int

    @classmethod
    def of(cls, prover: ZkProver, base: Model, factors: Factors, merged: Model, *, scale: Fraction, content: Digest, draws: int,
           slots: int) -> MergeStage:
        """Commit to the adapted tensors of base and merged model and to the adapter.

        Raises:
            VerificationError: the three do not belong together.
            InputError: weights that cannot be read, or a scale that no proof can hold.
        """
        names = list(factors.pairs)
        merged_table = merged.commit(prover, names)
        tables = {"base": base.commit(prover, names), "adapter": factors.commit(prover, merged_table), "merged": merged_table}
        rank = samples.require_tables(tables["base"], tables["adapter"], tables["merged"])
        anchoring = Anchoring(name_of(tables["base"]), name_of(tables["adapter"]), name_of(merged_table), bytes(content),
                              "merge", slots, samples.scale_integer(scale), draws, merged_table.blocks)
        return cls(prover, base, factors, merged, scale, anchoring, tables, rank)

    def inputs(self, group: Group) -> tuple[int, ...]:
        return samples.merge_inputs(self.tables["base"], self.tables["adapter"], self.tables["merged"], group, self.anchoring.scale)

    def codes(self, group: Group) -> tuple[int, ...]:
        return ()

    def prove(self, key: KeyFolder, groups: Sequence[Group]) -> list[ProofFile]:
        name = self.tables["merged"].tensors[groups[0].tensor].name
        a, b = self.factors.pairs[name]
        return prove_merge(self.prover, key.dir, StoredTensor(self.base.files[name], name), StoredPair(self.factors.file, a, b),
                           StoredTensor(self.merged.files[name], name), self.scale, [group.indexes for group in groups])


@dataclass(frozen=True)
class QuantizeStage:
    """Sampled blocks of a deployed file, `q8_0` or `int8` by the anchoring's kind. `read` gives a block's bytes in the file. Build it
    with `of`."""

    prover: ZkProver
    merged: Model
    read: Callable[[Tensor, int], bytes]
    anchoring: Anchoring
    tables: dict[str, TensorTable] = field(repr=False)
    rank: int = 0

    @classmethod
    def of(cls, prover: ZkProver, merged: Model, names: Sequence[str], read: Callable[[Tensor, int], bytes], *, file: Digest, draws: int,
           slots: int, kind: str = "q8_0") -> QuantizeStage:
        table = merged.commit(prover, names)
        anchoring = Anchoring(NO_TABLE, NO_TABLE, name_of(table), bytes(file), kind, slots, 0, draws, table.blocks)
        return cls(prover, merged, read, anchoring, {"merged": table})

    def _blocks(self, group: Group) -> list[bytes]:
        tensor = self.tables["merged"].tensors[group.tensor]
        return [self.read(tensor, index) for index in group.indexes]

    def inputs(self, group: Group) -> tuple[int, ...]:
        return samples.sampled_inputs(self.anchoring.kind, self.tables["merged"].tensors[group.tensor], group, self.read)

    def codes(self, group: Group) -> tuple[int, ...]:
        return tuple(samples.code_words(self.anchoring.kind, self._blocks(group)))

    def prove(self, key: KeyFolder, groups: Sequence[Group]) -> list[ProofFile]:
        tensor = self.tables["merged"].tensors[groups[0].tensor]
        if any(group.tensor != groups[0].tensor for group in groups):
            raise VerificationError("groups of several tensors in one call", where=tensor.name)
        jobs = [QuantizedBlocks(group.indexes, b"".join(self._blocks(group))) for group in groups]
        prove = prove_int8 if self.anchoring.kind == "int8" else prove_q8_0
        return prove(self.prover, key.dir, StoredTensor(self.merged.files[tensor.name], tensor.name), jobs)
