"""What verification needs from the outside; the edge (command line, API) injects implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from provenance.anchoring import SignedHead
from provenance.facts import AnchoringFacts, ChainIdentity, DatasetFacts
from provenance.record import Record


@dataclass(frozen=True)
class EpochEvidence:
    """Everything that one epoch's proof is about.

    u_hash, p_hash: keccak of the points as the log's epoch record names them; the anchoring's seed binds them.
    order: a[h], shape `(count,)`; leaves: logged leaf at each position, shape `(count, 32)` (remainder included).
    words, p_bases: the verifying key and the bases of P; proofs: one proof JSON per chunk. All attacker-controlled.
    """

    run_id: bytes
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
    """The proofs behind a dataset's registration: tree proofs by chunk, link proofs by chunk, the D points."""

    dataset_id: bytes
    dataset: DatasetFacts
    identity: ChainIdentity
    epoch_words: bytes
    tree_words: bytes
    points: Sequence[tuple[int, int]]
    trees: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, Any]]


class ProofVerifier(Protocol):
    """Checks Groth16 evidence off chain.

    Raises (both): VerificationError naming the first thing that does not hold; UnavailableError if the prover binary is missing.
    """

    def check_registration(self, evidence: RegistrationEvidence) -> None: ...
    def check_epoch(self, evidence: EpochEvidence) -> None: ...


@dataclass(frozen=True)
class Difference:
    """One place where a file is not what recomputation gives."""

    where: str
    expected: str
    actual: str


class FormatInspector(Protocol):
    """Reads deployed files and recomputes them from their source."""

    def metadata(self, path: Path) -> Mapping[str, str]:
        """`provenance.*` keys of a model file; empty for a format that carries none.

        Raises:
            InputError: a malformed or truncated file.
        """
        ...

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the merged weights, first ones first; empty if equal."""
        ...

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> list[Difference]:
        """Differences between merged weights and the merge of base and adapter."""
        ...


@dataclass(frozen=True)
class BatchCount:
    """Batches whose tensors were recomputed and are equal, and those that erasure made impossible to recompute."""

    recomputed: int
    undetermined: int


class DataChecker(Protocol):
    """Recomputes what only the holder of the data can: the tensors of each batch from records, tokenizer and salts."""

    def check_batches(self, records: Sequence[Record]) -> BatchCount:
        """Recompute every batch that can be.

        Raises:
            VerificationError: the first batch that differs.
        """
        ...


class Evidence(Protocol):
    """A run's records and proofs, from a folder or a service. All of it is attacker-controlled."""

    def records(self) -> Sequence[Record]: ...
    def heads(self) -> Sequence[SignedHead]: ...
    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]: ...
    def registration(self) -> Mapping[str, Any] | None: ...
    def key_words(self, vk_id: str) -> bytes | None: ...
    def key_bases(self, vk_id: str) -> bytes | None: ...
    def merged(self) -> Path | None: ...
    def adapter(self) -> Path | None: ...


class EvidenceSource(Protocol):
    def candidates(self, run_id: bytes) -> Sequence[Evidence]:
        """Everything at hand that says it is this run's evidence. Several may: whoever can drop a folder must not make an honest
        one unseen, so verification takes the one whose records are under the anchored head."""
        ...
