"""Sampled statements about weights: what an anchoring fixes, which blocks its draw picks, and what
each proof's public inputs must be.

Everything a verifier recomputes stands here once; the contracts have their own copy and read the
same vectors.
Source: docs/formats/statements.md, "Anchorings, draws".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from provenance.artifacts.tensors import SCALE_UNIT, DType, Layout, Tensor, TensorTable
from provenance.errors import InputError, VerificationError
from provenance.judgement.facts import ZERO_WORD, TableFacts
from provenance.statements import STAGES as STAGE_NUMBERS
from provenance_zk.kinds import (
    BYTES_PER_WORD,
    INDEXES_PER_WORD,
    KINDS,
    RANK_UNIT,
    RANKS,
)
from provenance_zk.statements import tag

MERGE, QUANTIZE = STAGE_NUMBERS["merge"], STAGE_NUMBERS["quantize"]
STAGES = {number: name for name, number in STAGE_NUMBERS.items()}
STAGE_OF = {kind.name: STAGE_NUMBERS[kind.stage] for kind in KINDS.values() if kind.stage}
DEFAULT_DRAWS = 459  # 99 % detection of tampering with 1 % of all blocks

CodeReader = Callable[[Tensor, int], bytes]
"""(tensor, block) -> its bytes as they stand in the deployed file."""


NO_TABLE = TableFacts(ZERO_WORD, 0)


def name_of(table: TensorTable) -> TableFacts:
    """What names a table on chain."""
    return TableFacts(table.root, table.size)


@dataclass(frozen=True)
class Anchoring:
    """What is fixed on chain before the draw; the fields' order is that of the preimage."""

    base: TableFacts
    adapter: TableFacts
    merged: TableFacts
    artifact: bytes
    kind: str
    slots: int
    scale: int
    draws: int
    blocks: int

    @property
    def stage(self) -> int:
        return STAGE_OF[self.kind]

    def calldata(self) -> tuple[Any, ...]:
        """The contract's struct."""
        tables = ((name.root, name.entries) for name in (self.base, self.adapter, self.merged))
        return (
            *tables,
            self.artifact,
            KINDS[self.kind].number,
            self.slots,
            self.scale,
            self.draws,
            self.blocks,
        )

    def digest(self, log_size: int, log_root: bytes) -> bytes:
        """Anchoring digest, with the head that the run's log had on chain."""
        struct = (
            "((bytes32,uint256),(bytes32,uint256),(bytes32,uint256),"
            "bytes32,uint256,uint256,uint256,uint256,uint256)"
        )
        return bytes(
            keccak(encode([struct, "uint256", "bytes32"], [self.calldata(), log_size, log_root]))
        )


def draw_seed(
    chain_id: int,
    contract: bytes,
    run_id: bytes,
    stage: int,
    number: int,
    anchoring: bytes,
    block_hash: bytes,
) -> bytes:
    """Seed of a draw: `block_hash` is that of a block nobody knew when the anchoring was made."""
    return bytes(
        keccak(
            encode(
                [
                    "bytes32",
                    "uint256",
                    "address",
                    "bytes32",
                    "uint256",
                    "uint256",
                    "bytes32",
                    "bytes32",
                ],
                [tag("draw"), chain_id, contract, run_id, stage, number, anchoring, block_hash],
            )
        )
    )


def opening_seed(anchoring: bytes, nonce: bytes) -> bytes:
    """Seed of the blocks that a verifier demands at its own nonce, of an anchoring by its
    digest.
    """
    return bytes(keccak(encode(["bytes32", "bytes32", "bytes32"], [tag("open"), anchoring, nonce])))


def draw_count(blocks: int, total: int, draws: int, slots: int) -> int:
    """k_t: draws of a tensor with `blocks` of `total` blocks, at least two and whole proofs."""
    return slots * -(-max(2, -(-draws * blocks // total)) // slots)


def draw(seed: bytes, tensor: int, j: int, blocks: int) -> int:
    """Block number of draw j of a tensor; with repetition, so misses multiply."""
    return (
        int.from_bytes(keccak(encode(["bytes32", "uint256", "uint256"], [seed, tensor, j])), "big")
        % blocks
    )


@dataclass(frozen=True)
class Group:
    """One proof's work: draws `number * slots ..` of tensor `tensor` (its place in the merged
    table).
    """

    tensor: int
    number: int
    indexes: tuple[int, ...]


def groups(seed: bytes, table: TensorTable, draws: int, slots: int) -> list[Group]:
    """Every proof that an anchoring asks for, tensor by tensor."""
    total = table.blocks
    return [
        Group(
            t, g, tuple(draw(seed, t, j, tensor.blocks) for j in range(g * slots, (g + 1) * slots))
        )
        for t, tensor in enumerate(table.tensors)
        for g in range(draw_count(tensor.blocks, total, draws, slots) // slots)
    ]


def index_words(indexes: Sequence[int]) -> list[int]:
    """Block numbers of 32 bits, seven to a word, the first lowest."""
    return [
        sum(index << 32 * i for i, index in enumerate(indexes[at : at + INDEXES_PER_WORD]))
        for at in range(0, len(indexes), INDEXES_PER_WORD)
    ]


def code_words(kind: str, blocks: Sequence[bytes]) -> list[int]:
    """A deployed file's blocks as public inputs: the highest bit of each code flipped, cut into
    words of 31 bytes.

    Raises:
        InputError: a block of another length.
    """
    size, offset, parts = KINDS[kind].block_bytes, KINDS[kind].codes_at, []
    for block in blocks:
        if len(block) != size:
            raise InputError("block has the wrong length", expected=size, actual=len(block))
        parts.append(block[:offset] + bytes(code ^ 0x80 for code in block[offset:]))
    data = b"".join(parts)
    padded = data + bytes(-len(data) % BYTES_PER_WORD)
    return [
        int.from_bytes(padded[at : at + BYTES_PER_WORD], "big")
        for at in range(0, len(padded), BYTES_PER_WORD)
    ]


def codes_hash(codes: Iterable[Sequence[int]]) -> bytes:
    """What the chain keeps of all accepted codes: H_0 = 0, H_i = keccak(H_{i-1} || code words of
    proof i).
    """
    digest = bytes(32)
    for words in codes:
        digest = bytes(keccak(digest + b"".join(word.to_bytes(32, "big") for word in words)))
    return digest


def rank_of(rank: int) -> int:
    """R of an adapter: the smallest rank of a key that holds it.

    Raises:
        InputError: no key is as large.
    """
    for wide in RANKS:
        if 1 <= rank <= wide:
            return wide
    raise InputError("no merge key for this rank", expected=f"1..{RANKS[-1]}", actual=rank)


def key_depth(kind: str, tensor: Tensor, rank: int) -> int:
    """Depth word of the key that proves about a tensor: its levels, for a merge with the rank."""
    return tensor.depth + RANK_UNIT * rank_of(rank) if KINDS[kind].ranked else tensor.depth


def sampled_inputs(kind: str, tensor: Tensor, group: Group, codes: CodeReader) -> tuple[int, ...]:
    """Public inputs of a quantization proof."""
    return (
        tensor.root,
        *index_words(group.indexes),
        *code_words(kind, [codes(tensor, index) for index in group.indexes]),
    )


def merge_inputs(
    base: TensorTable, adapter: TensorTable, merged: TensorTable, group: Group, scale: int
) -> tuple[int, ...]:
    """Public inputs of a merge proof."""
    t = group.tensor
    return (
        base.tensors[t].root,
        adapter.tensors[2 * t].root,
        adapter.tensors[2 * t + 1].root,
        merged.tensors[t].root,
        scale,
        merged.tensors[t].row_blocks,
        *index_words(group.indexes),
    )


def require_tables(base: TensorTable, adapter: TensorTable, merged: TensorTable) -> int:
    """Check that three tables speak of one merge; returns the adapter's padded rank.

    Raises:
        VerificationError: names, shapes, layouts or depths that do not belong together.
    """
    if base.size != merged.size or adapter.size != 2 * merged.size:
        raise VerificationError(
            "tables of a merge have different lengths",
            expected=f"{merged.size}, {2 * merged.size}",
            actual=f"{base.size}, {adapter.size}",
        )
    ranks = set()
    for t, (w, m) in enumerate(zip(base.tensors, merged.tensors, strict=True)):
        a, b = adapter.tensors[2 * t], adapter.tensors[2 * t + 1]
        if (w.name, w.dtype, w.layout, w.rows, w.columns, w.depth) != (
            m.name,
            m.dtype,
            m.layout,
            m.rows,
            m.columns,
            m.depth,
        ) or m.layout is not Layout.ROWS:
            raise VerificationError(
                "base and merged tensor differ in name or shape",
                where=m.name,
                expected=m.name,
                actual=w.name,
            )
        wanted = (
            f"{m.name}:lora_a",
            Layout.LORA_A,
            m.columns,
            m.depth,
            f"{m.name}:lora_b",
            Layout.LORA_B,
            m.rows,
            m.depth,
        )
        if {a.dtype, b.dtype, m.dtype} != {DType.BF16}:
            raise VerificationError(
                "a merge is about bfloat16 tensors",
                where=m.name,
                expected="BF16",
                actual=a.dtype.name,
            )
        if (
            a.name,
            a.layout,
            a.columns,
            a.depth,
            b.name,
            b.layout,
            b.rows,
            b.depth,
        ) != wanted or a.rows != b.columns:
            raise VerificationError(
                "adapter's tensors do not fit the merged one",
                where=m.name,
                expected=wanted[0],
                actual=a.name,
            )
        ranks.add(rank_of(a.rows))
    if len(ranks) != 1:
        raise VerificationError(
            "adapter has several ranks", expected="one rank", actual=sorted(ranks)
        )
    return ranks.pop()


def scale_units(scale: Fraction) -> int:
    """s * 2^16, the public input of a merge proof.

    Raises:
        InputError: no multiple of 2^-16 in [0, 2^16).
    """
    units = scale * SCALE_UNIT
    if units.denominator != 1 or not 0 <= units < 1 << 32:
        raise InputError(
            "scale cannot be stated",
            expected="a multiple of 2^-16 in [0, 2^16)",
            actual=scale,
            hint="choose lora_alpha and rank so that their quotient is such a number",
        )
    return int(units)


def scale_integer(scale: Fraction) -> int:
    """`scale_units` of a merge that merges something: with scale 0 any adapter would fit.

    Raises:
        InputError: 0, or as `scale_units`.
    """
    if scale == 0:
        raise InputError(
            "scale cannot stand in a merge proof",
            expected="a positive multiple of 2^-16 below 2^16",
            actual=scale,
        )
    return scale_units(scale)


@dataclass(frozen=True)
class Confidence:
    """What a draw detects: `worst` names the tensor with the fewest draws per block, `at_95`,
    `at_99` the fraction of its blocks from which tampering is caught with 95 % and 99 %, misses
    multiplied by the number of anchorings; 1.0 means not even in full.
    """

    worst: str
    draws: int
    anchorings: int
    at_95: float
    at_99: float
    overall_99: float


def confidence(table: TensorTable, draws: int, slots: int, anchorings: int) -> Confidence:
    """Detection of the worst tensor, and of a fraction of all blocks spread over the tensors by
    their size.
    """
    total = table.blocks
    counts = [draw_count(tensor.blocks, total, draws, slots) for tensor in table.tensors]
    least = min(range(table.size), key=lambda t: counts[t])
    return Confidence(
        table.tensors[least].name,
        counts[least],
        anchorings,
        detectable(counts[least], 0.95, anchorings),
        detectable(counts[least], 0.99, anchorings),
        detectable(sum(counts), 0.99, anchorings),
    )


def detectable(draws: int, probability: float, anchorings: int = 1) -> float:
    """Smallest tampered fraction f with anchorings * (1-f)^draws <= 1 - probability; 1.0 if there
    is none below.
    """
    return min(1.0, 1.0 - math.exp(math.log((1 - probability) / anchorings) / draws))
