"""What verification needs from outside. The edge (command line, API) injects implementations.

Unless a docstring says otherwise, their arguments and what they return are attacker-controlled.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.errors import VerificationError
from provenance.ids import DatasetId, RunId
from provenance.judgement.facts import (
    AnchoringFacts,
    ChainIdentity,
    DatasetFacts,
    ModelAnchoringFacts,
)
from provenance.log.anchoring import SignedHead
from provenance.log.audit.attestation import Attestation
from provenance.log.record import Record
from provenance.log.witness.kept import CosignedHead


@dataclass(frozen=True)
class EpochEvidence:
    """Everything that the proofs of one epoch are checked against.

    U are the commitments to the leaves as they were fed, P those to the positions of the order.

    u_hash, p_hash: Keccak-256 of the points U and of the points P, as the log's epoch record names
        them; the anchoring's seed binds both.
    order: leaf index at each position, a permutation, shape `(count,)`.
    leaves: the leaf at each position as logged, the remainder included, shape `(count, 32)`.
    words, p_bases: the verifying key, and the bases of the points P.
    proofs: one proof JSON per chunk.
    """

    run_id: RunId
    seed: bytes
    epoch: int
    number: int
    anchoring: AnchoringFacts
    u_hash: bytes
    p_hash: bytes
    dataset: DatasetFacts
    identity: ChainIdentity
    order: npt.NDArray[np.uint64]
    leaves: npt.NDArray[np.uint8]
    words: bytes
    p_bases: bytes
    proofs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RegistrationEvidence:
    """The proofs behind a dataset's registration.

    points: the commitments D to the dataset's leaves, one point per chunk.
    trees, links: tree proofs and link proofs, one JSON per chunk.
    """

    dataset_id: DatasetId
    dataset: DatasetFacts
    identity: ChainIdentity
    epoch_words: bytes
    tree_words: bytes
    points: Sequence[tuple[int, int]]
    trees: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class NonceOpening:
    """Proofs of blocks that follow from a nonce of the verifier's own, not from the chain's draw.

    nonce: the verifier's 32 bytes; not attacker-controlled.
    draws: the number of draws K that the prover says it used.
    proofs: one proof JSON per group of blocks.
    """

    nonce: bytes
    draws: int
    proofs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class SampleEvidence:
    """Everything that the proofs of a stage's drawn blocks are checked against.

    anchorings: how many anchorings of this stage the run has.
    draw_hash: hash of the block that the draw seed comes from, 32 bytes.
    base, adapter, merged: the tables that the anchoring names; the first two only for a merge.
        Their roots have been compared with the anchored ones.
    words: (key id, kind) -> words of a pinned key. Raises VerificationError.
    codes: (tensor, block number) -> bytes of a block of the deployed file; only for a quantization.
    proofs: one proof JSON per group of blocks.
    opening: check the blocks of this opening instead of the drawn ones.
    """

    run_id: RunId
    number: int
    anchoring: ModelAnchoringFacts
    anchorings: int
    chain_id: int
    contract: str
    draw_hash: bytes
    base: TensorTable | None
    adapter: TensorTable | None
    merged: TensorTable
    words: Callable[[bytes, str], bytes]
    codes: Callable[[Tensor, int], bytes] | None
    proofs: Sequence[Mapping[str, Any]]
    opening: NonceOpening | None = None


@dataclass(frozen=True)
class Sampling:
    """What the draws of a sampled statement detect.

    draws: drawn blocks of all tensors.
    worst: the tensor with the fewest draws; worst_draws: how many.
    worst_95, worst_99: fractions (0..1) of that tensor's blocks; tampering with so many or more is
        caught with a probability of 95 % and 99 %.
    overall_99: the fraction for 99 %, where the same fraction of every tensor is tampered with.

    The probability of a miss is multiplied by the number of anchorings.
    """

    proofs: int
    draws: int
    anchorings: int
    worst: str
    worst_draws: int
    worst_95: float
    worst_99: float
    overall_99: float


@dataclass(frozen=True)
class CommittedTensors:
    """Table entries that were computed from weights.

    tensors: in the order asked for.
    kept: how many of them this machine computed in earlier verifications, of the same bytes.
    since: the earliest day (UTC) on which it did; None if `kept` is 0.
    """

    tensors: Sequence[Tensor]
    kept: int = 0
    since: datetime.date | None = None


class ProofVerifier(Protocol):
    """Checks Groth16 evidence off chain. The verifier believes its answers.

    Raises (every method): VerificationError naming the first thing that does not hold;
    MissingEvidence if a proof or a table is not among the evidence; UnavailableError if the prover
    binary is missing.
    """

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        """Check that the points D commit to the very leaves under the dataset's root."""
        ...

    def check_epoch(self, evidence: EpochEvidence) -> None:
        """Check that the logged leaves are the dataset's, in the order that the seed gives."""
        ...

    def check_samples(self, evidence: SampleEvidence) -> Sampling:
        """Check that each drawn block follows from the committed weights.

        A block of a merge is the exactly rounded merge; a block of a quantized file has the nearest
        codes.
        """
        ...

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        """Compute the table entries of tensors from safetensors files.

        Args:
            tensors: for each tensor its name in the files, and the table entry to compare with.

        Raises:
            NotFound: this checker cannot do it (pure Python hashes too slowly for weights).
        """
        ...


@dataclass(frozen=True)
class Difference:
    """One place where a file differs from its recomputation."""

    where: str
    expected: str
    actual: str


class Deployed(Protocol):
    """A deployed file, block by block; tensors are named as in the merged model."""

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        """Bytes of one block of 32 weights, in the merged model's order of rows.

        Raises:
            InputError: the file has no such tensor.
        """
        ...

    def require_provable(self, names: Sequence[str]) -> None:
        """Check that proofs can open every block of these tensors.

        Raises:
            InputError: one cannot be proven; names it and why.
        """
        ...


class FormatInspector(Protocol):
    """Reads deployed files and recomputes them. The verifier believes its answers."""

    def metadata(self, path: Path) -> Mapping[str, str]:
        """`provenance.*` keys of a model file; empty for a format that carries none.

        Raises:
            InputError: a malformed or truncated file.
        """
        ...

    def quantization(self, path: Path) -> str | None:
        """Format of a file as `quantize` records name it (`Q8_0`); None if it is not known."""
        ...

    def exactness(self, quantization: str) -> str:
        """How far a file of a known format must agree with its recomputation: `bit by bit`."""
        ...

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the merged weights; empty if none."""
        ...

    def compare_unadapted(self, base: Path, adapted: Sequence[str], path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the base model.

        The values of `adapted` tensors are not compared.
        """
        ...

    def deployed(self, path: Path) -> Deployed:
        """Single blocks of a file.

        Raises:
            InputError: no known format, or malformed.
        """
        ...

    def tensor_files(self, folder: Path) -> Mapping[str, Path]:
        """File of each tensor of a folder of weights."""
        ...

    def adapter_factors(self, adapter: Path) -> Mapping[str, tuple[str, str]]:
        """Adapted tensor -> names of its factors A and B in the adapter's file."""
        ...

    def adaptable(self, base: Path, targets: Sequence[str]) -> Set[str]:
        """The tensors of a base that an adapter for modules of these names adapts.

        Raises:
            InputError: the base has no known architecture.
        """
        ...

    def adapter_scale(self, adapter: Path) -> Fraction:
        """The scale s in W + s*B*A, by the adapter's configuration.

        Raises:
            InputError: not a readable adapter.
        """
        ...

    def changed_pairs(self, adapter: Path) -> tuple[int, int]:
        """(pairs whose B is not all zero, all pairs) of an adapter's factors.

        Raises:
            InputError: not a readable adapter.
        """
        ...

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> list[Difference]:
        """Differences between merged weights and the merge of base and adapter."""
        ...


@dataclass(frozen=True)
class BatchCount:
    """Number of batches recomputed and found equal, and of those undetermined after an erasure.

    fed_fault: in what the opening record's word about what is fed differs from what was computed.
    """

    recomputed: int
    undetermined: int
    fed_fault: VerificationError | None = None


class DataChecker(Protocol):
    """Recomputes the tensors of batches; whoever does that needs the dataset and its salts."""

    def check_batches(self, records: Sequence[Record]) -> BatchCount:
        """Recompute every batch whose records and salts are not erased.

        Raises:
            VerificationError: the first batch that differs.
            NotFound: records or salts are not at hand.
            InputError, AuthError: they cannot be read, or the log names rules that nobody can use.
        """
        ...


@dataclass(frozen=True)
class ReplayFacts:
    """What training segments of a run again came to.

    segments: of the run. outcomes: the class of each that was trained again, by its number.
    far: where the bits are not the logged ones, and how far off; None if all are equal.
    different: the first checkpoint that is farther off than `far` can be; None if none is.
    gone: how many checkpoints were gone, not as logged or could not be loaded, so that training
        began before them.
    """

    segments: int
    outcomes: Mapping[int, str]
    far: str | None = None
    different: Difference | None = None
    gone: int = 0

    @property
    def replayed(self) -> int:
        """How many were trained again."""
        return len(self.outcomes)


class TrainingReplayer(Protocol):
    """Trains segments of a run again; whoever does that needs base and dataset with salts."""

    def replay(self, records: Sequence[Record]) -> ReplayFacts:
        """Train all segments again, or some that nobody could know beforehand.

        Raises:
            VerificationError: the log feeds other records than the run's order, or a checkpoint is
                not as logged.
            NotFound: material is not at hand, or this run cannot be replayed.
            InputError, AuthError: it cannot be read.
        """
        ...


class Evidence(Protocol):
    """A run's records and proofs, from a folder or a service.

    Raises (every method): InputError if what is there is malformed or too large.
    """

    def records(self, most: int | None = None) -> Sequence[Record]:
        """The journal, oldest record first; of a longer one the first `most`."""
        ...

    def heads(self) -> Sequence[SignedHead]:
        """Signed heads of the log, oldest first."""
        ...

    def cosignatures(self) -> Sequence[CosignedHead]:
        """What witnesses signed of heads; lines that cannot be read are left out."""
        ...

    def attestations(self) -> Sequence[Attestation]:
        """What auditors signed of the run; lines that cannot be read are left out."""
        ...

    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]:
        """One proof JSON per chunk of an epoch."""
        ...

    def registration(self) -> Mapping[str, Any] | None:
        """The proofs of the dataset's registration: `points`, `trees`, `links`."""
        ...

    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None:
        """Tables of tensors of an anchoring, JSON by `base`, `adapter`, `merged`."""
        ...

    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]:
        """One proof JSON per group of drawn blocks."""
        ...

    def key_words(self, vk_id: str) -> bytes | None:
        """A verifying key's words, by its id as `0x..`."""
        ...

    def key_bases(self, vk_id: str) -> bytes | None:
        """The bases of P of an epoch key, 64 bytes a point."""
        ...

    def merged(self) -> Path | None:
        """The folder of the merged weights, if it is at hand."""
        ...

    def adapter(self) -> Path | None:
        """The folder of the adapter, if it is at hand."""
        ...


class EvidenceSource(Protocol):
    """Where evidence of runs is looked for."""

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        """All evidence at hand that claims to be of this run.

        An attacker who adds a false folder must not hide an honest one. So the verifier gets all of
        them, and takes the first whose records are those under the anchored head.
        """
        ...

    def makers(self, artifact: str) -> Sequence[Evidence]:
        """All evidence at hand whose log names an artifact, by identity or SHA-256.

        A log that cannot be searched for it is among them: what is asked of it next says why.
        """
        ...
