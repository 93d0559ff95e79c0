"""Shapes of the explorer's answers. Pages show the same values that programs get.

Times, names, configuration and figures of a record are the owner's word. Digests are `sha256:..`,
ids and roots `0x..`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

ChainStatus = Literal["on_chain", "not_on_chain", "differs", "missing_records", "unanswered"]


class OnChain(BaseModel):
    """The run's newest head in the registry at a final block, compared with the records here.

    on_chain: the first `size` records here have that root. missing_records: there are fewer here.
    not_on_chain: the registry has no head of the run, or does not know the run. unanswered: the
    chain did not answer in time or is not the pinned one, so nothing was compared; `problem` says.
    """

    status: ChainStatus
    head: int | None = None
    size: int | None = None
    root: str | None = None
    committed_block: int | None = None
    final_block: int | None = None
    problem: str | None = None


class Answered(BaseModel):
    """Whether the chain answered, and at which final block."""

    final_block: int | None
    problem: str | None = None


class Head(BaseModel):
    """A signed head, as heads.jsonl has it.

    holds: its root is that of the run's first `size` records here. Signatures are not checked here.
    transaction: the one that committed a head of this number, size and root to the registry, where
    that was asked and the endpoint told of it.
    """

    position: int
    seq: int
    size: int
    root: str
    digest: str
    holds: bool
    transaction: str | None = None


class Source(BaseModel):
    """Where the records shown come from: a journal in an evidence folder of this service.

    head: the longest signed head beside the journal whose root is that of its records.
    """

    records: int
    head: Head | None
    chain: OnChain


class RunLine(BaseModel):
    """A run in a list."""

    run_id: str
    opened: str | None
    state: Literal["open", "closed", "unknown"]
    size: int
    signer: str | None
    publisher: str | None = Field(
        description="The name that the trust file gives the address that record 0 claims. Anybody "
        "can write an address: `registry.signer_is_owner` of the run says more."
    )


class Setting(BaseModel):
    """One value of the configuration; `meaning` in plain words where we have them."""

    name: str
    value: str
    meaning: str | None


class CheckpointLine(BaseModel):
    """A checkpoint record."""

    index: int
    step: int
    epoch: int
    weights: str


class ReleaseLine(BaseModel):
    """A release record. It is no verdict: `verdict` is where that is."""

    run_id: str
    index: int
    name: str
    version: str | None
    model: str
    manifest: str
    time: str
    verdict: str


class EvalLine(BaseModel):
    """What an evaluation measured, by the owner's word."""

    index: int
    step: int
    subject: str
    metrics: dict[str, str]


class NamedDataset(BaseModel):
    """The dataset that a run names."""

    dataset_id: str | None
    root: str | None
    depth: int | None
    count: int | None


class RegistryRun(BaseModel):
    """The run in the registry, at the final block that `source.chain` names.

    opening_matches: record 0 is the one that was fixed before the seed was drawn.
    signer_is_owner: the run's owner is the address that record 0 says signs the heads.
    """

    owner: str
    heads: int
    dataset_id: str
    seed_drawn: bool
    opening_matches: bool
    signer_is_owner: bool


class RunDetail(RunLine):
    """A run, as its records tell it."""

    source: Source
    registry: RegistryRun | None
    dataset: NamedDataset
    base: dict[str, str]
    code: dict[str, str]
    configuration: list[Setting]
    counts: dict[str, int]
    checkpoints: list[CheckpointLine]
    heads: int
    releases: list[ReleaseLine]
    evaluations: list[EvalLine]
    summary: dict[str, str]
    closed: str | None
    cut: list[str] = Field(description="Lists above that are longer than what is shown.")
    damage: str | None = Field(description="Why the folder cannot be read any more, if it cannot.")


class RecordLine(BaseModel):
    """A record in a list."""

    index: int
    type: str
    time: str | None
    digest: str
    says: str | None = Field(description="A few words; of a batch its positions, never contents.")


class Step(BaseModel):
    """One hash of a path: the neighbour stands left or right of what is known."""

    side: Literal["left", "right"]
    hash: str


class Inclusion(BaseModel):
    """An RFC 6962 path from the record's entry to the root of a head, checked before it is sent."""

    head: int
    size: int
    root: str
    on_chain: bool
    path: list[Step]
    shows: str


class RecordDetail(BaseModel):
    """A record, its place in the log, and how to check both."""

    run_id: str
    index: int
    type: str
    version: int | None
    time: str | None
    digest: str
    entry: str
    bytes: int
    canonical: str | None = Field(description="The very text that is hashed; null if too long.")
    digest_checked: bool = Field(description="The digest was computed from these bytes again.")
    says: str | None
    previous: int | None
    next: int | None
    source: Source
    inclusion: Inclusion | None
    commands: dict[str, str]


class ProofLine(BaseModel):
    """A proof file of an epoch."""

    epoch: int
    chunk: int
    number: int | None
    digest: str


class SampleLine(BaseModel):
    """A record that says that drawn blocks of weights were proven."""

    index: int
    stage: str
    number: int


class AnchoringLine(BaseModel):
    """The anchoring of an epoch, as the ledger has it at the final block."""

    accepted: bool
    block: int
    dataset_id: str
    consumed: int
    log_size: int


class ProofDetail(ProofLine):
    """A proof file: what its kind shows and what not. It is not checked here: a verdict does."""

    run_id: str
    kind: str
    shows: str
    shows_not: list[str]
    vk_id: str | None
    dataset_id: str | None
    ledger: str | None
    anchored_by: int | None = Field(description="Index of the record that names the anchoring.")
    anchoring: AnchoringLine | None
    chain: Answered
    commands: dict[str, str]


class RegisteredDataset(BaseModel):
    """A registration of the dataset on chain."""

    owner: str
    root: str
    depth: int
    count: int
    finished: bool


class DatasetLine(BaseModel):
    """A dataset that runs name."""

    dataset_id: str
    runs: int


class DatasetDetail(BaseModel):
    """A dataset: what runs say of it, and what the chain does. Never contents, never salts."""

    dataset_id: str
    said: list[NamedDataset]
    runs: list[RunLine]
    more_runs: bool
    registered: RegisteredDataset | None
    chain: Answered


class Hit(BaseModel):
    """Something that a handle names."""

    kind: str
    what: str
    href: str
    run_id: str | None = None


class Found(BaseModel):
    """What a search found."""

    query: str
    hits: list[Hit]
    searched: list[str]
    more: bool


class Runs(BaseModel):
    """A page of runs, the newest first by what they say."""

    runs: list[RunLine]
    damaged: list[str]
    next: str | None


class Records(BaseModel):
    """A page of records, in their order."""

    run_id: str
    type: str | None
    records: list[RecordLine]
    source: Source
    next: str | None


class Heads(BaseModel):
    """A page of signed heads, in the order of heads.jsonl."""

    run_id: str
    heads: list[Head]
    source: Source
    registry: RegistryRun | None
    next: str | None


class Proofs(BaseModel):
    """A page of proof files, and the samples of weights."""

    run_id: str
    proofs: list[ProofLine]
    samples: list[SampleLine]
    next: str | None


class Datasets(BaseModel):
    """A page of datasets."""

    datasets: list[DatasetLine]
    next: str | None


class Releases(BaseModel):
    """A page of releases, the newest first by what they say."""

    releases: list[ReleaseLine]
    next: str | None


class Counts(BaseModel):
    """How many things are indexed here."""

    runs: int
    records: int
    heads: int
    releases: int
    datasets: int


class ContractLine(BaseModel):
    """A contract that the trust file pins."""

    name: str
    address: str


class Home(BaseModel):
    """What the front page shows."""

    counts: Counts
    contracts: list[ContractLine]
    runs: list[RunLine]
    releases: list[ReleaseLine]
