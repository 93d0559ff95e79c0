"""Tables of committed tensors: a SHA-256 tree over the Poseidon roots of weight trees.

Source: docs/formats/statements.md, "Tables of tensors".

An entry binds a tensor's name, dtype, layout and shape to the root of its weight tree, so a proof
about a root is a proof about that tensor. A table made for proofs holds only the tensors that a
proof opens, in the order of their names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

from provenance.digest import Digest, sha256, tagged
from provenance.encoding import FIELD_ORDER, u8, u64
from provenance.errors import InputError
from provenance.ids import parse_word, to_hex, to_word
from provenance.merkle import Tree
from provenance.statements import ARITY, MAX_LEVELS
from provenance.text.shown import told

FORMAT = "provenance-tensors/1"
BLOCK = 32  # values of one row
PAGE_BLOCKS = {16: 7, 32: 3}  # blocks of a page by bits of a value
SCALE_UNIT = 1 << 16  # a merge's scale s stands on chain and in proofs as s * 2^16
MAX_TENSORS = 1 << 16
_FIELDS = ("name", "dtype", "layout", "rows", "columns", "depth", "blocks", "root")


class DType(IntEnum):
    """Bit patterns that a weight tree holds."""

    BF16 = 0
    F16 = 1
    F32 = 2

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return 32 if self is DType.F32 else 16


class Layout(IntEnum):
    """Order of the blocks of a tensor."""

    ROWS = 0
    LORA_A = 1
    LORA_B = 2


@dataclass(frozen=True)
class Tensor:
    """One entry of a table.

    `rows`, `columns` are the tensor's shape; `blocks` counts the blocks of its layout; `depth` and
    `root` (a field element) are those of its weight tree.

    Attacker-controlled when it comes from evidence.

    Raises:
        InputError: values that no weight tree can have.
    """

    name: str
    dtype: DType
    layout: Layout
    rows: int
    columns: int
    depth: int
    blocks: int
    root: int

    def __post_init__(self) -> None:
        if not self.name or not 1 <= self.rows < 2**32 or not 1 <= self.columns < 2**32:
            raise InputError(
                "tensor has no name or an impossible shape",
                where=told(self.name),
                actual=f"{self.rows} x {self.columns}",
            )
        if (
            not 1 <= self.depth <= MAX_LEVELS
            or not 1 <= self.blocks <= PAGE_BLOCKS[self.dtype.bits] * ARITY**self.depth
        ):
            raise InputError(
                "tensor does not fit its tree",
                where=told(self.name),
                actual=f"{self.blocks} blocks, depth {self.depth}",
            )
        if not 0 <= self.root < FIELD_ORDER:
            raise InputError(
                "root is not a field element",
                where=told(self.name),
                expected=f"< {FIELD_ORDER}",
                actual=hex(self.root),
            )
        if self.layout is Layout.ROWS and self.blocks != self.rows * self.row_blocks:
            raise InputError(
                "tensor has another number of blocks",
                where=told(self.name),
                expected=self.rows * self.row_blocks,
                actual=self.blocks,
            )

    @property
    def row_blocks(self) -> int:
        """Blocks of one row: ceil(columns / 32)."""
        return -(-self.columns // BLOCK)

    @property
    def name_hash(self) -> bytes:
        """SHA-256 of the name's UTF-8."""
        return bytes(sha256(self.name.encode("utf-8")))

    @property
    def entry(self) -> Digest:
        """The tensor's entry in its table, before the leaf hash."""
        return tagged(
            "tensor",
            self.name_hash
            + u8(self.dtype)
            + u8(self.layout)
            + u64(self.rows)
            + u64(self.columns)
            + u8(self.depth)
            + u64(self.blocks)
            + self.root.to_bytes(32, "big"),
        )

    def to_json(self) -> dict[str, Any]:
        """The entry as tables.json holds it."""
        return {
            "name": self.name,
            "dtype": self.dtype.name,
            "layout": self.layout.name.lower(),
            "rows": self.rows,
            "columns": self.columns,
            "depth": self.depth,
            "blocks": self.blocks,
            "root": to_word(self.root),
        }

    @classmethod
    def from_json(cls, value: Any) -> Tensor:
        """Read `to_json`'s form (attacker-controlled). Raises InputError."""
        if not isinstance(value, dict) or set(value) != set(_FIELDS):
            raise InputError("not a tensor of a table", expected=", ".join(_FIELDS))
        rows, columns, depth, blocks = (
            value[name] for name in ("rows", "columns", "depth", "blocks")
        )
        text = value["name"]
        if any(type(n) is not int for n in (rows, columns, depth, blocks)) or not isinstance(
            text, str
        ):
            raise InputError("tensor has a field of the wrong form", where=str(text)[:80])
        root = parse_word(value["root"], f"{text[:80]} root")
        try:
            dtype, layout = DType[str(value["dtype"])], Layout[str(value["layout"]).upper()]
        except KeyError as error:
            raise InputError(
                "unknown dtype or layout",
                where=text[:80],
                actual=f"{value['dtype']} {value['layout']}"[:80],
            ) from error
        return cls(text, dtype, layout, rows, columns, depth, blocks, root)


@dataclass(frozen=True)
class TensorTable:
    """Tensors in the order of their names. `root` and `size` together identify a table."""

    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        names = [tensor.name.encode("utf-8") for tensor in self.tensors]
        if (
            not names
            or len(names) > MAX_TENSORS
            or any(a >= b for a, b in itertools.pairwise(names))
        ):
            raise InputError(
                "a table lists distinct tensors in the order of their names",
                expected=f"1..{MAX_TENSORS}",
                actual=len(names),
            )

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> TensorTable:
        """The table of these tensors, put into order."""
        return cls(tuple(sorted(tensors, key=lambda tensor: tensor.name.encode("utf-8"))))

    @cached_property
    def _tree(self) -> Tree:
        return Tree(bytes(tensor.entry) for tensor in self.tensors)

    @property
    def root(self) -> bytes:
        """RFC 6962 root over the entries, 32 bytes."""
        return self._tree.root()

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.tensors)

    @property
    def blocks(self) -> int:
        """Blocks of all tensors."""
        return sum(tensor.blocks for tensor in self.tensors)

    def path(self, index: int) -> list[bytes]:
        """RFC 6962 inclusion proof of entry `index`."""
        return self._tree.inclusion_proof(index, self.size)

    def to_json(self) -> dict[str, Any]:
        """The table as tables.json holds it."""
        return {
            "format": FORMAT,
            "root": to_hex(self.root),
            "tensors": [tensor.to_json() for tensor in self.tensors],
        }

    @classmethod
    def from_json(cls, value: Any) -> TensorTable:
        """Read `to_json`'s form (attacker-controlled).

        Raises:
            InputError: another form, or a root that is not the table's.
        """
        if (
            not isinstance(value, dict)
            or set(value) != {"format", "root", "tensors"}
            or value["format"] != FORMAT
            or not isinstance(value["tensors"], list)
        ):
            raise InputError("not a table of tensors", expected=FORMAT)
        if len(value["tensors"]) > MAX_TENSORS:
            raise InputError(
                "table is too long", expected=f"<= {MAX_TENSORS}", actual=len(value["tensors"])
            )
        table = cls(tuple(Tensor.from_json(item) for item in value["tensors"]))
        if value["root"] != to_hex(table.root):
            raise InputError(
                "table does not have its root",
                expected=to_hex(table.root),
                actual=str(value["root"])[:80],
            )
        return table
