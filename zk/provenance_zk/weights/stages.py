"""A run's merge and quantization as stages of `model_proofs`: weights on disk, tables over them,
proofs of one tensor's blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from provenance.artifacts.tensors import DType, Layout, Tensor, TensorTable
from provenance.digest import Digest
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.weights import samples
from provenance_zk.weights.commit import TensorCommitment, TensorWanted, commit_weights
from provenance_zk.weights.merging import StoredPair, StoredTensor, merge_request
from provenance_zk.weights.samples import NO_TABLE, Anchoring, Group, name_of
from provenance_zk.workers.jobs import Job


@dataclass(frozen=True)
class Model:
    """A folder of safetensors: file of each tensor, and the tables that were made of it."""

    files: Mapping[str, Path]
    _made: dict[tuple[str, ...], TensorTable] = field(default_factory=dict, repr=False)

    def commit(self, prover: ZkProver, names: Sequence[str]) -> TensorTable:
        """Table of these tensors, in layout `rows`; made once, for the files do not change under a
        command.
        """
        wanted = tuple(sorted(names))
        if wanted not in self._made:
            made = commit_weights(
                prover, sorted(set(self.files.values())), [TensorWanted(name) for name in wanted]
            )
            self._made[wanted] = TensorTable.of([_tensor(entry, entry.name) for entry in made])
        return self._made[wanted]


@dataclass(frozen=True)
class Factors:
    """A LoRA adapter: its file, and the names of A and B for each adapted tensor."""

    file: Path
    pairs: Mapping[str, tuple[str, str]]

    def commit(self, prover: ZkProver, merged: TensorTable) -> TensorTable:
        """Table of the factors of a merged table's tensors, with their depths."""
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
    """Commit anew to tensors of safetensors files: (name in the files, entry that it should have)
    -> entry that it has.
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
    def of(
        cls,
        prover: ZkProver,
        base: Model,
        factors: Factors,
        merged: Model,
        *,
        scale: Fraction,
        content: Digest,
        draws: int,
        slots: int,
    ) -> MergeStage:
        """Commit to the adapted tensors of base and merged model and to the adapter.

        Raises:
            VerificationError: the three do not belong together.
            InputError: weights that cannot be read, or a scale that no proof can hold.
        """
        names = list(factors.pairs)
        merged_table = merged.commit(prover, names)
        tables = {
            "base": base.commit(prover, names),
            "adapter": factors.commit(prover, merged_table),
            "merged": merged_table,
        }
        rank = samples.require_tables(tables["base"], tables["adapter"], tables["merged"])
        anchoring = Anchoring(
            name_of(tables["base"]),
            name_of(tables["adapter"]),
            name_of(merged_table),
            bytes(content),
            "merge",
            slots,
            samples.scale_integer(scale),
            draws,
            merged_table.blocks,
        )
        return cls(prover, base, factors, merged, scale, anchoring, tables, rank)

    def inputs(self, group: Group) -> tuple[int, ...]:
        return samples.merge_inputs(
            self.tables["base"],
            self.tables["adapter"],
            self.tables["merged"],
            group,
            self.anchoring.scale,
        )

    def codes(self, group: Group) -> tuple[int, ...]:
        return ()

    def job(self, key: KeyFolder, group: Group) -> Job:
        name = self.tables["merged"].tensors[group.tensor].name
        a, b = self.factors.pairs[name]
        request = merge_request(
            StoredTensor(self.base.files[name], name),
            StoredPair(self.factors.file, a, b),
            StoredTensor(self.merged.files[name], name),
            self.scale,
        )
        return _job(
            key,
            "prove-merge",
            name,
            self.inputs(group),
            {**request, "indexes": list(group.indexes)},
        )


@dataclass(frozen=True)
class QuantizeStage:
    """Sampled blocks of a deployed file, `q8_0` or `int8` by the anchoring's kind.

    `read` gives a block's bytes in the file. Build it with `of`.
    """

    prover: ZkProver
    merged: Model
    read: Callable[[Tensor, int], bytes]
    anchoring: Anchoring
    tables: dict[str, TensorTable] = field(repr=False)
    rank: int = 0

    @classmethod
    def of(
        cls,
        prover: ZkProver,
        merged: Model,
        names: Sequence[str],
        read: Callable[[Tensor, int], bytes],
        *,
        file: Digest,
        draws: int,
        slots: int,
        kind: str = "q8_0",
    ) -> QuantizeStage:
        table = merged.commit(prover, names)
        anchoring = Anchoring(
            NO_TABLE, NO_TABLE, name_of(table), bytes(file), kind, slots, 0, draws, table.blocks
        )
        return cls(prover, merged, read, anchoring, {"merged": table})

    def _blocks(self, group: Group) -> list[bytes]:
        tensor = self.tables["merged"].tensors[group.tensor]
        return [self.read(tensor, index) for index in group.indexes]

    def inputs(self, group: Group) -> tuple[int, ...]:
        return samples.sampled_inputs(
            self.anchoring.kind, self.tables["merged"].tensors[group.tensor], group, self.read
        )

    def codes(self, group: Group) -> tuple[int, ...]:
        return tuple(samples.code_words(self.anchoring.kind, self._blocks(group)))

    def job(self, key: KeyFolder, group: Group) -> Job:
        name = self.tables["merged"].tensors[group.tensor].name
        return _job(
            key,
            f"prove-{self.anchoring.kind}",
            name,
            self.inputs(group),
            {
                "file": str(self.merged.files[name]),
                "tensor": name,
                "indexes": list(group.indexes),
                "codes": b"".join(self._blocks(group)),
            },
        )


def _job(
    key: KeyFolder, command: str, tensor: str, inputs: Sequence[int], request: Mapping[str, Any]
) -> Job:
    """A job that shares requests with those about the same tensor: its tree is built once for
    them.
    """
    return Job.make(
        key,
        command,
        request,
        {"inputs": [f"0x{value:064x}" for value in inputs]},
        own=("indexes", "codes"),
        together=f"{request.get('file', '')}:{tensor}",
    )
