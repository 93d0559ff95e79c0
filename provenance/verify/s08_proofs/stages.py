"""What a verification reads, compares and claims of each stage: merge and quantize.

A stage of the table of statements that is not described here is an error, never the other stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from provenance.errors import VerificationError
from provenance.log.history import Placed
from provenance.statements import STAGES
from provenance.verify.s06_lineage import Lineage


@dataclass(frozen=True)
class Stage:
    """One stage of the table of statements.

    Attributes:
        shows: what its proofs show, for people.
        edge: the edge of the lineage that rests on its proofs.
        tables: the tables of tensors that its anchoring names.
        record: the lineage's record of what was done in it.
        artifact: digest of what it made.
        scale: the adapter's scale, as its record has it; None if its proofs have none.
        quantization: the file's format, as its record names it; None if its proofs read no file.
    """

    name: str
    shows: str
    edge: str
    tables: tuple[str, ...]
    record: Callable[[Lineage], Placed]
    artifact: Callable[[Lineage], str]
    scale: Callable[[Lineage], str] | None = None
    quantization: Callable[[Lineage], str] | None = None

    @property
    def number(self) -> int:
        """The stage as the contract numbers it."""
        return STAGES[self.name]

    @property
    def claim(self) -> str:
        """Id of the claim that its proofs hold."""
        return f"{self.name}.proven"

    @property
    def reads_file(self) -> bool:
        """Whether its proofs are compared with the deployed file."""
        return self.quantization is not None


_MERGE = Stage(
    "merge",
    "sampled blocks of every adapted tensor are the exactly rounded merge of base and adapter",
    "merged_from",
    ("base", "adapter", "merged"),
    lambda lineage: lineage.merge,
    lambda lineage: str(lineage.merge.fields["merged"]),
    scale=lambda lineage: str(lineage.merge.fields["scale"]),
)
_QUANTIZE = Stage(
    "quantize",
    "sampled blocks of every adapted tensor of the file are the nearest codes of the merged "
    "weights",
    "quantized_from",
    ("merged",),
    lambda lineage: lineage.quantize,
    lambda lineage: str(lineage.release.fields["model"]),
    quantization=lambda lineage: str(lineage.quantize.fields["quantization"]),
)
_BY_NAME: Mapping[str, Stage] = {stage.name: stage for stage in (_MERGE, _QUANTIZE)}


def stage_named(name: str) -> Stage:
    """The stage with this name.

    Raises:
        VerificationError: no verification knows it.
    """
    if name not in _BY_NAME:
        raise VerificationError(
            "unknown stage of weights", expected=" or ".join(_BY_NAME), actual=repr(name)[:40]
        )
    return _BY_NAME[name]


def all_stages() -> tuple[Stage, ...]:
    """The stages of the table of statements, by number; raises as `stage_named`."""
    return tuple(stage_named(name) for name in STAGES)
