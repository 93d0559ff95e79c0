"""The three tables of a merge, the check that they belong together, and its scale.

Source: docs/formats/statements.md, "merge".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from provenance.artifacts.tensors import SCALE_UNIT, DType, Layout, Tensor, TensorTable
from provenance.errors import InputError, VerificationError
from provenance_zk.weights.samples import Group, index_words, rank_of


@dataclass(frozen=True)
class MergeTables:
    """Tables of W, of the factors A and B, and of W' = round(W + s*B*A).

    Entry t of `base` and `merged` is one tensor, entries 2t and 2t+1 of `adapter` its A and B.
    """

    base: TensorTable
    adapter: TensorTable
    merged: TensorTable

    def require_one_merge(self) -> int:
        """Check that the tables describe one merge; returns the adapter's padded rank.

        Raises:
            InputError: no merge key takes a rank as large.
            VerificationError: names, shapes, layouts or depths do not belong together.
        """
        size = self.merged.size
        if self.base.size != size or self.adapter.size != 2 * size:
            raise VerificationError(
                "tables of a merge have different lengths",
                expected=f"{size}, {2 * size}",
                actual=f"{self.base.size}, {self.adapter.size}",
            )
        ranks = set()
        for t, (base, merged) in enumerate(
            zip(self.base.tensors, self.merged.tensors, strict=True)
        ):
            _require_same_shape(base, merged)
            a, b = self.adapter.tensors[2 * t], self.adapter.tensors[2 * t + 1]
            _require_factors(a, b, merged)
            ranks.add(rank_of(a.rows))
        if len(ranks) != 1:
            raise VerificationError(
                "adapter has several ranks", expected="one rank", actual=sorted(ranks)
            )
        return ranks.pop()

    def inputs(self, group: Group, scale: int) -> tuple[int, ...]:
        """Public inputs of the merge proof of a group.

        Args:
            scale: s * 2^16.
        """
        t = group.tensor
        merged = self.merged.tensors[t]
        return (
            self.base.tensors[t].root,
            self.adapter.tensors[2 * t].root,
            self.adapter.tensors[2 * t + 1].root,
            merged.root,
            scale,
            merged.row_blocks,
            *index_words(group.indexes),
        )


def _shape(tensor: Tensor) -> tuple[object, ...]:
    return tensor.name, tensor.dtype, tensor.layout, tensor.rows, tensor.columns, tensor.depth


def _require_same_shape(base: Tensor, merged: Tensor) -> None:
    if _shape(base) != _shape(merged) or merged.layout is not Layout.ROWS:
        raise VerificationError(
            "base and merged tensor differ in name or shape",
            where=merged.name,
            expected=merged.name,
            actual=base.name,
        )


def _require_factors(a: Tensor, b: Tensor, merged: Tensor) -> None:
    """Require A of shape (rank, columns) and B of (rows, rank), of the merged name and depth."""
    if {a.dtype, b.dtype, merged.dtype} != {DType.BF16}:
        raise VerificationError(
            "a merge is about bfloat16 tensors",
            where=merged.name,
            expected="BF16",
            actual=a.dtype.name,
        )
    first = (f"{merged.name}:lora_a", Layout.LORA_A, merged.columns, merged.depth)
    second = (f"{merged.name}:lora_b", Layout.LORA_B, merged.rows, merged.depth)
    fits = (a.name, a.layout, a.columns, a.depth) == first
    fits = fits and (b.name, b.layout, b.rows, b.depth) == second
    if not fits or a.rows != b.columns:
        raise VerificationError(
            "adapter's tensors do not fit the merged one",
            where=merged.name,
            expected=first[0],
            actual=a.name,
        )


def scale_units(scale: Fraction) -> int:
    """s * 2^16, a public input of a merge proof.

    Raises:
        InputError: the scale is not a multiple of 2^-16 in [0, 2^16).
    """
    units = scale * SCALE_UNIT
    if units.denominator != 1 or not 0 <= units < 1 << 32:
        raise InputError(
            "no merge proof takes this scale",
            expected="a multiple of 2^-16 in [0, 2^16)",
            actual=scale,
            hint="choose lora_alpha and rank so that their quotient is such a number",
        )
    return int(units)


def anchored_scale(scale: Fraction) -> int:
    """`scale_units` of a scale that may be anchored. With scale 0 any adapter would fit.

    Raises:
        InputError: the scale is 0, or `scale_units` refuses it.
    """
    if scale == 0:
        raise InputError(
            "no merge is anchored with this scale",
            expected="a positive multiple of 2^-16 below 2^16",
            actual=scale,
        )
    return scale_units(scale)
