"""The types of record, one frozen dataclass per type and version (docs/formats/records.md).

That page says what each field means, with its range. To change a type, give its dataclass the next
`VERSION` and move the dataclass as it was to `provenance.log.earlier`: records of earlier versions
keep their bytes and are still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provenance.digest import Digest
from provenance.ids import Address, DatasetId, KeyId, RunId, Word
from provenance.log.earlier.records import (
    CheckpointFirst,
    MergeFirst,
    QuantizeFirst,
    ResumeFirst,
    RunOpenFirst,
    RunOpenSecond,
)
from provenance.log.forms import Body, Decimal


@dataclass(frozen=True)
class RunOpen:
    """The pre-registration: record 0 of a run, fixed on chain before its seed is drawn."""

    TYPE: ClassVar[str] = "run.open"
    VERSION: ClassVar[int] = 3

    dataset: Mapping[str, Any]
    fed: Mapping[str, Any]
    base: Mapping[str, Any]
    config: Mapping[str, Any]
    config_digest: Digest
    code: Mapping[str, Any]
    environment: Mapping[str, Any]
    signer: Address
    evaluation: Mapping[str, Any]
    registered: bool
    nonce: Word | None = None


@dataclass(frozen=True)
class Seed:
    """The run's seed, which orders every epoch, and the block it was drawn from."""

    TYPE: ClassVar[str] = "seed"
    VERSION: ClassVar[int] = 1

    seed: Word
    source: str
    draw_block: int | None = None
    run_id: RunId | None = None


@dataclass(frozen=True)
class Batch:
    """One micro batch as it reached the model; `leaves` and `positions` are equally long."""

    TYPE: ClassVar[str] = "batch"
    VERSION: ClassVar[int] = 1

    epoch: int
    step: int
    micro: int
    rank: int
    positions: tuple[int, ...]
    leaves: tuple[Word, ...]
    tensors: Digest
    unmatched: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A folder of weights with what training needs to go on from it."""

    TYPE: ClassVar[str] = "checkpoint"
    VERSION: ClassVar[int] = 2

    step: int
    path: str
    manifest: Digest
    weights: Digest
    files: Mapping[str, Any]
    epoch: int
    consumed: int
    optimizer: Digest | None = None
    scheduler: Digest | None = None
    rng: Digest | None = None
    previous: int | None = None
    last_batch: int | None = None


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch; once it is proven, a second one that names its anchoring on chain."""

    TYPE: ClassVar[str] = "epoch"
    VERSION: ClassVar[int] = 1

    epoch: int
    consumed: int
    remainder: tuple[Word, ...]
    number: int | None = None
    ledger: Address | None = None
    u_hash: Word | None = None
    p_hash: Word | None = None
    dataset_id: DatasetId | None = None
    vk_id: KeyId | None = None
    log_size: int | None = None


@dataclass(frozen=True)
class Eval:
    """What an evaluation measured."""

    TYPE: ClassVar[str] = "eval"
    VERSION: ClassVar[int] = 1

    step: int
    metrics: Mapping[str, Any]
    subject: str
    subject_digest: Digest | None = None


@dataclass(frozen=True)
class Resume:
    """Training went on from record `from_`.

    The batches, checkpoints and ends of epochs in `abandons` no longer count.
    """

    TYPE: ClassVar[str] = "resume"
    VERSION: ClassVar[int] = 2

    from_: int
    abandons: tuple[int, ...]
    step: int


@dataclass(frozen=True)
class Merge:
    """Base and adapter became one model."""

    TYPE: ClassVar[str] = "merge"
    VERSION: ClassVar[int] = 2

    base: Digest
    base_files: Mapping[str, Any]
    adapter: Digest
    adapter_files: Mapping[str, Any]
    merged: Digest
    merged_files: Mapping[str, Any]
    scale: Decimal
    adapted: tuple[str, ...]
    checkpoint: int | None = None
    max_ulp_to_peft: int | None = None


@dataclass(frozen=True)
class Quantize:
    """The merged model became a file to deploy; `source` is its identity."""

    TYPE: ClassVar[str] = "quantize"
    VERSION: ClassVar[int] = 2

    source: Digest
    format: str
    quantization: str
    file: Digest
    size: int
    tensors: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """The owner made or measured something in a way that has no type of record of its own."""

    TYPE: ClassVar[str] = "step"
    VERSION: ClassVar[int] = 1

    kind: str
    inputs: tuple[Digest, ...]
    outputs: tuple[Digest, ...]
    tool: Mapping[str, Any]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """Drawn blocks of the merge or of the quantization were proven."""

    TYPE: ClassVar[str] = "sample"
    VERSION: ClassVar[int] = 1

    stage: str
    number: int
    ledger: Address
    anchoring: Word


@dataclass(frozen=True)
class Release:
    """The owner released a file of this run."""

    TYPE: ClassVar[str] = "release"
    VERSION: ClassVar[int] = 1

    run_id: RunId
    model: Digest
    manifest: Digest
    name: str
    files: int | None = None


@dataclass(frozen=True)
class RunClose:
    """Training ended; `summary` is the owner's word."""

    TYPE: ClassVar[str] = "run.close"
    VERSION: ClassVar[int] = 1

    status: str
    step: int
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Tombstone:
    """The owner erased the record behind a leaf. Never names the record's digest."""

    TYPE: ClassVar[str] = "tombstone"
    VERSION: ClassVar[int] = 1

    dataset: Word
    leaf: Word


# Reserved for an owner's standing log: readers accept these, no command of this version writes one.


@dataclass(frozen=True)
class Dataset:
    """The owner committed a dataset."""

    TYPE: ClassVar[str] = "dataset"
    VERSION: ClassVar[int] = 1

    root: Word
    depth: int
    count: int
    manifest: Digest
    source: str
    licence: str
    duplicates_removed: int
    curation: tuple[str, ...]


@dataclass(frozen=True)
class Curation:
    """The owner changed what a dataset holds."""

    TYPE: ClassVar[str] = "curation"
    VERSION: ClassVar[int] = 1

    dataset: Word
    step: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Attest:
    """The owner states something about an artifact."""

    TYPE: ClassVar[str] = "attest"
    VERSION: ClassVar[int] = 1

    subject: Digest
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Revoke:
    """The owner withdraws record `index` of a run."""

    TYPE: ClassVar[str] = "revoke"
    VERSION: ClassVar[int] = 1

    run_id: RunId
    index: int
    reason: str


@dataclass(frozen=True)
class Adopt:
    """The owner takes over an artifact that was made elsewhere."""

    TYPE: ClassVar[str] = "adopt"
    VERSION: ClassVar[int] = 1

    subject: Digest
    body: Mapping[str, Any]


BODIES: tuple[type[Body], ...] = (
    RunOpenFirst,
    RunOpenSecond,
    RunOpen,
    Seed,
    Batch,
    CheckpointFirst,
    Checkpoint,
    Epoch,
    Eval,
    ResumeFirst,
    Resume,
    MergeFirst,
    Merge,
    QuantizeFirst,
    Quantize,
    Step,
    Sample,
    Release,
    RunClose,
    Tombstone,
    Dataset,
    Curation,
    Attest,
    Revoke,
    Adopt,
)
"""Every version of every type. Closed: whatever is not here is refused."""
