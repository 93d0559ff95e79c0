"""Sampled statements about weights: what an anchoring fixes, and which blocks its draw picks.

All that a verifier recomputes is here, and only here. The contracts have their own copy, which is
tested with the same vectors.

Source: docs/formats/statements.md, "Anchorings, draws".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.errors import InputError, VerificationError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ZERO_WORD, TableFacts
from provenance.statements import STAGES as STAGE_NUMBERS
from provenance_zk.kinds import (
    BYTES_PER_WORD,
    INDEX_BITS,
    INDEXES_PER_WORD,
    KINDS,
    RANK_UNIT,
    RANKS,
)
from provenance_zk.statements import tag

STAGES = {number: name for name, number in STAGE_NUMBERS.items()}
STAGE_OF = {kind.name: STAGE_NUMBERS[kind.stage] for kind in KINDS.values() if kind.stage}
_ANCHORING = f"({'(bytes32,uint256),' * 3}bytes32,{','.join(['uint256'] * 5)})"

CodeReader = Callable[[Tensor, int], bytes]
"""(tensor, number of a block) -> the block's bytes in the deployed file."""


NO_TABLE = TableFacts(ZERO_WORD, 0)


def name_of(table: TensorTable) -> TableFacts:
    """The root and the number of entries of a table, as an anchoring holds them."""
    return TableFacts(table.root, table.size)


@dataclass(frozen=True)
class Anchoring:
    """What is fixed on chain before the draw. The fields have the order of the preimage.

    Attributes:
        base: table of the tensors before the merge; `NO_TABLE` for a quantization.
        adapter: table of the adapter's A and B; `NO_TABLE` for a quantization.
        merged: table of the merged tensors.
        artifact: what the stage made: content digest of the merged model, or the deployed file's
            SHA-256.
        kind: of the proofs.
        slots: blocks that each proof opens.
        scale: the adapter's scale times 2^16; 0 for a quantization.
        draws: blocks drawn in all, before rounding up in each tensor.
        blocks: blocks of the merged table.
    """

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
    def stage(self) -> str:
        """`merge` or `quantize`."""
        return STAGES[self.stage_number]

    @property
    def stage_number(self) -> int:
        """The stage as the contract numbers it."""
        return STAGE_OF[self.kind]

    def require_content(self) -> None:
        """Refuse an anchoring that any adapter would fit, or that opens nothing.

        The contract refuses it too. Here it may come from a chain that does not.

        Raises:
            VerificationError: no draws; a merge with scale 0, or whose base table is the merged
                one; a quantization with a scale.
        """
        merges = self.kind == "merge"
        for what, wrong, expected, actual in (
            ("draws no blocks", self.draws < 1, ">= 1", self.draws),
            ("has scale 0", merges and self.scale < 1, ">= 1", self.scale),
            ("has a scale, but merges nothing", not merges and self.scale != 0, 0, self.scale),
            (
                "changes nothing: base and merged table are one",
                merges and self.base.root == self.merged.root,
                "two roots",
                to_hex(self.merged.root),
            ),
        ):
            if wrong:
                raise VerificationError(
                    f"anchoring {what}",
                    where=self.stage,
                    expected=expected,
                    actual=actual,
                    hint="anchor and prove the run again",
                )

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
        """keccak256 of the anchoring and of the log's head on chain when it was anchored."""
        values = [self.calldata(), log_size, log_root]
        return bytes(keccak(encode([_ANCHORING, "uint256", "bytes32"], values)))


@dataclass(frozen=True)
class Draw:
    """The names in the preimage of a draw's seed; `contract` is an address of 20 bytes."""

    chain_id: int
    contract: bytes
    run_id: RunId
    stage_number: int
    number: int

    def seed(self, anchoring: bytes, block_hash: bytes) -> bytes:
        """Seed of the draw.

        Args:
            anchoring: the anchoring's digest.
            block_hash: hash of the draw block, which nobody knew when the model was anchored.
        """
        types = "bytes32 uint256 address bytes32 uint256 uint256 bytes32 bytes32"
        names = [tag("draw"), self.chain_id, self.contract, self.run_id]
        values = [*names, self.stage_number, self.number, anchoring, block_hash]
        return bytes(keccak(encode(types.split(), values)))


def opening_seed(anchoring: bytes, nonce: bytes) -> bytes:
    """Seed of the blocks that a verifier demands to see.

    Args:
        anchoring: the anchoring's digest.
        nonce: 32 bytes that the verifier chose.
    """
    return bytes(keccak(encode(["bytes32", "bytes32", "bytes32"], [tag("open"), anchoring, nonce])))


def draw_count(blocks: int, total: int, draws: int, slots: int) -> int:
    """How many blocks are drawn of a tensor, with repetition.

    It is the tensor's share of `draws`, at least 2, rounded up to whole proofs.

    Args:
        blocks: of the tensor.
        total: blocks of the table.
        draws: blocks drawn of the whole table, before rounding.
        slots: blocks that one proof opens.
    """
    return slots * -(-max(2, -(-draws * blocks // total)) // slots)


def drawn_block(seed: bytes, tensor: int, j: int, blocks: int) -> int:
    """Number of the block that draw j of a tensor picks. Draws are independent and may repeat."""
    digest = keccak(encode(["bytes32", "uint256", "uint256"], [seed, tensor, j]))
    return int.from_bytes(digest, "big") % blocks


@dataclass(frozen=True)
class Group:
    """The draws that one proof opens: `slots` of them, from draw number * slots on, of one tensor.

    Attributes:
        tensor: its place in the merged table.
        number: of the group, from 0 in each tensor.
        indexes: numbers of the drawn blocks.
    """

    tensor: int
    number: int
    indexes: tuple[int, ...]


def groups(seed: bytes, table: TensorTable, draws: int, slots: int) -> list[Group]:
    """All groups of an anchoring, in the order of tensors; each needs one proof."""
    total = table.blocks
    return [
        Group(t, g, tuple(drawn_block(seed, t, g * slots + i, tensor.blocks) for i in range(slots)))
        for t, tensor in enumerate(table.tensors)
        for g in range(draw_count(tensor.blocks, total, draws, slots) // slots)
    ]


def index_words(indexes: Sequence[int]) -> list[int]:
    """Block numbers as public inputs: `INDEXES_PER_WORD` to a word, the first lowest."""
    return [
        sum(index << INDEX_BITS * i for i, index in enumerate(indexes[at : at + INDEXES_PER_WORD]))
        for at in range(0, len(indexes), INDEXES_PER_WORD)
    ]


def code_words(kind: str, blocks: Sequence[bytes]) -> list[int]:
    """Blocks of a deployed file as public inputs.

    The highest bit of each code is flipped. Then the bytes are cut into words of 31.

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
    """The hash of all accepted codes that the contract keeps.

    H_0 = 0, H_i = keccak256(H_{i-1} || code words of proof i).
    """
    digest = bytes(32)
    for words in codes:
        digest = bytes(keccak(digest + b"".join(word.to_bytes(32, "big") for word in words)))
    return digest


def rank_of(rank: int) -> int:
    """Padded rank of an adapter: the smallest rank of a merge key that is at least `rank`.

    Raises:
        InputError: every merge key has a smaller rank.
    """
    for wide in RANKS:
        if 1 <= rank <= wide:
            return wide
    raise InputError("no merge key for this rank", expected=f"1..{RANKS[-1]}", actual=rank)


def key_depth(kind: str, tensor: Tensor, rank: int) -> int:
    """Depth word of the key for proofs about a tensor: its levels; plus 16 * rank for a merge."""
    return tensor.depth + RANK_UNIT * rank_of(rank) if KINDS[kind].ranked else tensor.depth


def sampled_inputs(kind: str, tensor: Tensor, group: Group, codes: CodeReader) -> tuple[int, ...]:
    """Public inputs of the quantization proof of a group."""
    return (
        tensor.root,
        *index_words(group.indexes),
        *code_words(kind, [codes(tensor, index) for index in group.indexes]),
    )
