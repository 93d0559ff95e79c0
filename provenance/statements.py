"""The closed table of statements: what a prover can show, and what its keys and proofs look like.

The parts between marker comments are generated from `zk/statements.json`; the tables of Go, of
Solidity and of `docs/formats` come from the same file. A kind that is not in the table is an error.

Source: docs/formats/statements.md, "Kinds"; docs/formats/proofs.md, "Verifying key".
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from provenance.errors import InputError

Words = Literal["index", "code"]

# generated: begin constants
ContractName = Literal["ProofLedger", "DatasetAudits", "ModelLedger"]
StageName = Literal["merge", "quantize"]
STAGES: Mapping[str, int] = MappingProxyType({"merge": 1, "quantize": 2})
MAX_SLOTS = 1048576  # most slots of a circuit
ARITY = 16  # children of a node of a Poseidon tree
MAX_DEPTH = 6  # most levels of a dataset's tree
MAX_RECORDS = 16777216  # most records of a dataset: 16^6
MAX_LEVELS = 7  # most levels of a tensor's tree above its pages
MAX_BLOCKS = 64  # most blocks of weights that one proof opens
RANKS = (8, 16, 32, 64)  # ranks of merge keys; an adapter of lower rank is padded with zeros
RANK_UNIT = 16  # depth word of a merge key: levels + 16 * rank
INDEX_BITS = 32  # bits of a block's number in a public input
INDEXES_PER_WORD = 7  # block numbers in one public input
BYTES_PER_WORD = 31  # bytes of a deployed file in one public input
# generated: end constants


@dataclass(frozen=True)
class Kind:
    """One kind of statement.

    Attributes:
        number: word 1 of a key.
        fixed: names of the first public inputs. The inputs that `words` names follow, as many as
            the slots need.
        words: `index`: numbers of blocks, 32 bits each; `code`: bytes of a deployed file's blocks.
        commitments: names of the anchored vectors.
        contract: the contract that pins keys of this kind.
        stage: the anchoring stage that proofs of this kind belong to; None outside `ModelLedger`.
        slots: values that word 2 of a key may have.
        depth: values that word 3 of a key may have. For a ranked kind these are its levels, and
            word 3 is levels + 16 * rank.
        holds_slots: whether the tree must have room for a whole chunk: 16^depth >= slots.
        block_bytes: bytes of one block in a deployed file; 0 if no file is read.
        codes_at: bytes of scale before a block's codes.
        blocks_per_proof: slots of the keys that `chain deploy` makes. With them a proof over trees
            of three levels fills its domain (2^16 constraints for `merge`, 2^15 for the others).
        quantization: the file's format as `quantize` records name it; None if no file is read.
        shows: one line for people.
        not_shown: what a verdict on such proofs must name as not shown by them; often nothing.
    """

    number: int
    name: str
    shows: str
    contract: ContractName
    fixed: tuple[str, ...]
    slots: Container[int]
    depth: Container[int]
    words: tuple[Words, ...] = ()
    commitments: tuple[str, ...] = ()
    holds_slots: bool = False
    ranked: bool = False
    stage: StageName | None = None
    quantization: str | None = None
    block_bytes: int = 0
    codes_at: int = 0
    blocks_per_proof: int = 0
    not_shown: str = ""

    def fits(self, slots: int, depth: int) -> bool:
        """Whether a key may have these words 2 and 3 (attacker-controlled)."""
        rank, levels = divmod(depth, RANK_UNIT) if self.ranked else (None, depth)
        return (
            slots in self.slots
            and levels in self.depth
            and (rank is None or rank in RANKS)
            and (not self.holds_slots or slots <= ARITY**levels)
        )

    def public(self, slots: int) -> tuple[str, ...]:
        """Names of the public inputs of a key with these slots, in order."""
        return (
            *self.fixed,
            *(f"{name}_{i}" for name in self.words for i in range(self._word_count(name, slots))),
        )

    def public_count(self, slots: int) -> int:
        """Public inputs of a key with these slots."""
        return len(self.fixed) + sum(self._word_count(name, slots) for name in self.words)

    def public_names(self, count: int) -> tuple[str, ...]:
        """Names of the public inputs of a proof that has `count` of them (attacker-controlled).

        Raises:
            InputError: no key of this kind has so many.
        """
        for slots in range(1, MAX_BLOCKS + 1 if self.words else 2):
            if self.public_count(slots) == count:
                return self.public(slots)
        raise InputError(
            "proof has another number of inputs than its kind", where=self.name, actual=count
        )

    def _word_count(self, name: Words, slots: int) -> int:
        if name == "index":
            return -(-slots // INDEXES_PER_WORD)
        return -(-slots * self.block_bytes // BYTES_PER_WORD)


# generated: begin kinds
_KINDS = (
    Kind(
        number=1,
        name="epoch",
        shows="the records fed in an epoch are the dataset's, in the drawn order",
        contract="ProofLedger",
        fixed=("gamma", "delta", "start", "a", "b"),
        slots=range(1, MAX_SLOTS + 1),
        depth=(0,),
        commitments=("D", "U", "P"),
    ),
    Kind(
        number=2,
        name="tree",
        shows="the committed leaves are those under the dataset's root",
        contract="ProofLedger",
        fixed=("root", "k", "used", "last", "gamma", "delta", "t", "z"),
        slots=(16, 256, 4096, 65536),
        depth=range(1, MAX_DEPTH + 1),
        holds_slots=True,
    ),
    Kind(
        number=3,
        name="sorted",
        shows="a chunk of the dataset is strictly increasing by the first half of the digest",
        contract="DatasetAudits",
        fixed=("root", "k", "used", "more", "first", "next"),
        slots=(16, 256, 4096, 65536),
        depth=range(1, MAX_DEPTH + 1),
        holds_slots=True,
    ),
    Kind(
        number=4,
        name="member",
        shows="a digest is that of one of the dataset's records",
        contract="DatasetAudits",
        fixed=("root", "count", "hi", "lo"),
        slots=(1,),
        depth=range(1, MAX_DEPTH + 1),
    ),
    Kind(
        number=5,
        name="absent",
        shows="a digest is that of none of a sorted dataset's records",
        contract="DatasetAudits",
        fixed=("root", "count", "hi"),
        slots=(1,),
        depth=range(1, MAX_DEPTH + 1),
    ),
    Kind(
        number=6,
        name="q8_0",
        shows="blocks of a GGUF Q8_0 file are the nearest codes of a tensor's blocks",
        contract="ModelLedger",
        fixed=("root",),
        slots=range(1, MAX_BLOCKS + 1),
        depth=range(1, MAX_LEVELS + 1),
        words=("index", "code"),
        stage="quantize",
        quantization="Q8_0",
        block_bytes=34,
        codes_at=2,
        blocks_per_proof=6,
    ),
    Kind(
        number=7,
        name="int8",
        shows="blocks of a row-wise int8 file are the nearest codes of a tensor's blocks",
        contract="ModelLedger",
        fixed=("root",),
        slots=range(1, MAX_BLOCKS + 1),
        depth=range(1, MAX_LEVELS + 1),
        words=("index", "code"),
        stage="quantize",
        quantization="int8",
        block_bytes=36,
        codes_at=4,
        blocks_per_proof=6,
        not_shown="that each row's stored maximum is that of the whole row",
    ),
    Kind(
        number=8,
        name="merge",
        shows="blocks of the merged weights are the exactly rounded merge of base and adapter",
        contract="ModelLedger",
        fixed=("base", "a", "b", "merged", "scale", "columns"),
        slots=range(1, MAX_BLOCKS + 1),
        depth=range(1, MAX_LEVELS + 1),
        words=("index",),
        ranked=True,
        stage="merge",
        blocks_per_proof=3,
    ),
)
# generated: end kinds

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _KINDS})
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_QUANTIZATION = {kind.quantization: kind for kind in _KINDS if kind.quantization is not None}


def kind_named(name: str) -> Kind:
    """The kind with this name (attacker-controlled).

    Raises:
        InputError: there is none.
    """
    if name not in KINDS:
        raise InputError(
            "unknown kind of statement", expected=", ".join(KINDS), actual=repr(name)[:40]
        )
    return KINDS[name]


def key_text(kind: str, slots: int | None, depth: int | None) -> str:
    """A key as users name it: `merge:3:16` is what `--model-keys` takes.

    Args:
        depth: its word 3; None where any will do.
    """
    known = kind_named(kind)
    if known.contract != "ModelLedger":
        size = "" if slots is None else f", {slots} slots"
        return f"{kind}{size}" + (f", depth {depth}" if depth else "")
    rank, levels = divmod(depth or 0, RANK_UNIT) if known.ranked else (0, depth or 0)
    words = [kind, str(levels) if depth else "LEVELS"]
    if known.ranked:
        words.append(str(rank) if depth else "RANK")
    return ":".join(words)


def kind_numbered(number: int) -> Kind:
    """The kind with this number (attacker-controlled).

    Raises:
        InputError: there is none.
    """
    if number not in _BY_NUMBER:
        raise InputError(
            "unknown kind of statement",
            expected=f"a number from 1 to {len(_BY_NUMBER)}",
            actual=str(number)[:40],
        )
    return _BY_NUMBER[number]


def quantization_kind(quantization: str) -> Kind:
    """The kind whose proofs are about files of this quantization, as `quantize` records name it.

    Raises:
        InputError: no statement is about it.
    """
    if quantization not in _BY_QUANTIZATION:
        raise InputError(
            "no statement is about this quantization",
            expected=", ".join(_BY_QUANTIZATION),
            actual=quantization[:40],
        )
    return _BY_QUANTIZATION[quantization]


def kinds_of(contract: ContractName) -> tuple[str, ...]:
    """Names of the kinds whose keys this contract pins, by number."""
    return tuple(kind.name for kind in _KINDS if kind.contract == contract)
