"""What verification needs from the outside; the edge (command line, API) injects implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.judgement.facts import (
    AnchoringFacts,
    ChainIdentity,
    DatasetFacts,
    ModelAnchoringFacts,
)
from provenance.log.anchoring import SignedHead
from provenance.log.record import Record


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


@dataclass(frozen=True)
class Opening:
    """Blocks opened at a nonce that the verifier chose, in the place of the anchored draw: `draws` in all."""

    nonce: bytes
    draws: int
    proofs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class SampleEvidence:
    """Everything that a sampled statement is about.

    base, adapter, merged: the tables whose names the anchoring holds (base and adapter only for a merge). words: a pinned key's words
    by its id and kind; codes: bytes of a block of the deployed file (quantization only). proofs: one proof JSON per group. opening: check
    these blocks instead of the drawn ones. The proofs, and the tables until their roots were compared, are attacker-controlled.
    """

    run_id: bytes
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
    opening: Opening | None = None


@dataclass(frozen=True)
class Sampling:
    """What a sampled statement detects.

    `worst` is the tensor with the fewest draws; `worst_95`, `worst_99` are the fractions of its blocks from which tampering is caught
    with 95 % and 99 %, `overall_99` that of all blocks. Misses are multiplied by the number of anchorings.
    """

    proofs: int
    draws: int
    anchorings: int
    worst: str
    worst_draws: int
    worst_95: float
    worst_99: float
    overall_99: float


class ProofVerifier(Protocol):
    """Checks Groth16 evidence off chain.

    Raises (all): VerificationError naming the first thing that does not hold; UnavailableError if the prover binary is missing.
    """

    def check_registration(self, evidence: RegistrationEvidence) -> None: ...
    def check_epoch(self, evidence: EpochEvidence) -> None: ...
    def check_samples(self, evidence: SampleEvidence) -> Sampling: ...

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> list[Tensor]:
        """Commit anew to tensors of safetensors files: (name in the files, entry that it should have) -> entry that it has.

        Raises:
            NotFound: this checker cannot (pure Python hashes too slowly for weights).
        """
        ...


@dataclass(frozen=True)
class Difference:
    """One place where a file is not what recomputation gives."""

    where: str
    expected: str
    actual: str


class Deployed(Protocol):
    """A deployed file, block by block."""

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        """Bytes of one block of 32 weights, by the merged model's tensor name and row order.

        Raises:
            InputError: the file has no such tensor.
        """
        ...

    def require_provable(self, names: Sequence[str]) -> None:
        """Check that proofs can open every block of these tensors, by the merged model's names.

        Raises:
            InputError: one cannot be proven; names it and why.
        """
        ...


class FormatInspector(Protocol):
    """Reads deployed files and recomputes them from their source."""

    def metadata(self, path: Path) -> Mapping[str, str]:
        """`provenance.*` keys of a model file; empty for a format that carries none.

        Raises:
            InputError: a malformed or truncated file.
        """
        ...

    def quantization(self, path: Path) -> str | None:
        """Format of a file by its bytes or name, as `quantize` records say it (`Q8_0`, `int8`); None for one that is not known."""
        ...

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the merged weights, first ones first; empty if equal."""
        ...

    def compare_unadapted(self, base: Path, adapted: Sequence[str], path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the base, but for the values of adapted tensors."""
        ...

    def deployed(self, path: Path) -> Deployed: ...

    def tensor_files(self, folder: Path) -> Mapping[str, Path]:
        """File of each tensor of a folder of weights."""
        ...

    def adapter_factors(self, adapter: Path) -> Mapping[str, tuple[str, str]]:
        """Adapted tensor -> names of its factors A and B in the adapter's file."""
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
    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None: ...
    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]: ...
    def key_words(self, vk_id: str) -> bytes | None: ...
    def key_bases(self, vk_id: str) -> bytes | None: ...
    def merged(self) -> Path | None: ...
    def adapter(self) -> Path | None: ...


class EvidenceSource(Protocol):
    def candidates(self, run_id: bytes) -> Sequence[Evidence]:
        """Everything at hand that says it is this run's evidence. Several may: whoever can drop a folder must not make an honest
        one unseen, so verification takes the one whose records are under the anchored head."""
        ...
