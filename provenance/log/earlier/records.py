"""Earlier versions of types of record. None ever changes, since records of them are still read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provenance.digest import Digest
from provenance.ids import Address, Word
from provenance.log.forms import Decimal


@dataclass(frozen=True)
class RunOpenFirst:
    """The pre-registration as runs wrote it before they said what is fed; still read."""

    TYPE: ClassVar[str] = "run.open"
    VERSION: ClassVar[int] = 1

    dataset: Mapping[str, Any]
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
class RunOpenSecond:
    """The pre-registration before it bound the files beside the base's weights; still read."""

    TYPE: ClassVar[str] = "run.open"
    VERSION: ClassVar[int] = 2

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
class CheckpointFirst:
    """`checkpoint` before it bound the files beside the weights one by one; still read."""

    TYPE: ClassVar[str] = "checkpoint"
    VERSION: ClassVar[int] = 1

    step: int
    path: str
    manifest: Digest
    weights: Digest
    epoch: int
    consumed: int
    optimizer: Digest | None = None
    scheduler: Digest | None = None
    rng: Digest | None = None
    previous: int | None = None
    last_batch: int | None = None


@dataclass(frozen=True)
class ResumeFirst:
    """`resume` as it was when it listed only the batches that no longer count; still read."""

    TYPE: ClassVar[str] = "resume"
    VERSION: ClassVar[int] = 1

    from_: int
    abandons: tuple[int, ...]
    step: int


@dataclass(frozen=True)
class MergeFirst:
    """`merge` as it was when it named weights, and files only by manifests; still read."""

    TYPE: ClassVar[str] = "merge"
    VERSION: ClassVar[int] = 1

    base: Digest
    adapter: Digest
    adapter_manifest: Digest
    merged: Digest
    merged_manifest: Digest
    scale: Decimal
    adapted: tuple[str, ...]
    checkpoint: int | None = None
    max_ulp_to_peft: int | None = None


@dataclass(frozen=True)
class QuantizeFirst:
    """`quantize` as it was when `source` was the content digest of the weights; still read."""

    TYPE: ClassVar[str] = "quantize"
    VERSION: ClassVar[int] = 1

    source: Digest
    format: str
    quantization: str
    file: Digest
    size: int
    tensors: Mapping[str, Any]
