"""Sampled statements about weights: what an anchoring fixes, what its draw picks, what is shown.

Everything that a verifier recomputes stands here once; the contracts have their own copy and read
the same vectors.

Source: docs/formats/statements.md, "Anchorings, draws".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.errors import InputError
from provenance.ids import RunId
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

STAGES = {number: name for name, number in STAGE_NUMBERS.items()}
STAGE_OF = {kind.name: STAGE_NUMBERS[kind.stage] for kind in KINDS.values() if kind.stage}
DEFAULT_DRAWS = 459  # 99 % detection of tampering with 1 % of all blocks
_ANCHORING = f"({'(bytes32,uint256),' * 3}bytes32,{','.join(['uint256'] * 5)})"

CodeReader = Callable[[Tensor, int], bytes]
"""(tensor, block) -> its bytes as they stand in the deployed file."""


NO_TABLE = TableFacts(ZERO_WORD, 0)


def name_of(table: TensorTable) -> TableFacts:
    """What names a table on chain."""
    return TableFacts(table.root, table.size)


@dataclass(frozen=True)
class Anchoring:
    """What is fixed on chain before the draw; the fields' order is that of the preimage.

    `artifact` is the digest of what the stage made: the merged content, or the deployed file.
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
        values = [self.calldata(), log_size, log_root]
        return bytes(keccak(encode([_ANCHORING, "uint256", "bytes32"], values)))


@dataclass(frozen=True)
class Draw:
    """What names a draw: chain, contract (20 bytes), run, stage and number of the anchoring."""

    chain_id: int
    contract: bytes
    run_id: RunId
    stage_number: int
    number: int

    def seed(self, anchoring: bytes, block_hash: bytes) -> bytes:
        """Seed of the draw.

        Args:
            anchoring: the anchoring's digest.
            block_hash: of a block that nobody knew when the anchoring was made.
        """
        types = "bytes32 uint256 address bytes32 uint256 uint256 bytes32 bytes32"
        names = [tag("draw"), self.chain_id, self.contract, self.run_id]
        values = [*names, self.stage_number, self.number, anchoring, block_hash]
        return bytes(keccak(encode(types.split(), values)))


def opening_seed(anchoring: bytes, nonce: bytes) -> bytes:
    """Seed of the blocks that a verifier demands at its own 32-byte nonce.

    Args:
        anchoring: the anchoring's digest.
    """
    return bytes(keccak(encode(["bytes32", "bytes32", "bytes32"], [tag("open"), anchoring, nonce])))


def draw_count(blocks: int, total: int, draws: int, slots: int) -> int:
    """k_t: draws of a tensor with `blocks` of `total` blocks, at least two and whole proofs."""
    return slots * -(-max(2, -(-draws * blocks // total)) // slots)


def drawn_block(seed: bytes, tensor: int, j: int, blocks: int) -> int:
    """Block number of draw j of a tensor; with repetition, so misses multiply."""
    digest = keccak(encode(["bytes32", "uint256", "uint256"], [seed, tensor, j]))
    return int.from_bytes(digest, "big") % blocks


@dataclass(frozen=True)
class Group:
    """One proof's work: draws `number * slots ..` of a tensor.

    `tensor` is its place in the merged table, `indexes` are block numbers.
    """

    tensor: int
    number: int
    indexes: tuple[int, ...]


def groups(seed: bytes, table: TensorTable, draws: int, slots: int) -> list[Group]:
    """Every proof that an anchoring asks for, tensor by tensor."""
    total = table.blocks
    return [
        Group(t, g, tuple(drawn_block(seed, t, g * slots + i, tensor.blocks) for i in range(slots)))
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
    """Blocks of a deployed file as public inputs.

    The highest bit of each code is flipped, and all is cut into words of 31 bytes.

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
    """What the chain keeps of all accepted codes.

    H_0 = 0, H_i = keccak(H_{i-1} || code words of proof i).
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
