"""A released run in memory, with a checker that believes every proof.

It serves tests of everything but the proofs.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_account import Account

from provenance.artifacts.identity import NamedFolder
from provenance.artifacts.tensors import Tensor
from provenance.digest import Digest, sha256
from provenance.judgement.facts import DatasetFacts
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Key, Publisher, Trust
from provenance.judgement.verdict import Verdict
from provenance.log.anchoring import SignedHead
from provenance.log.audit.attestation import Attestation
from provenance.log.earlier.records import RunOpenFirst
from provenance.log.record import Record
from provenance.log.tree import Head
from provenance.log.witness.kept import CosignedHead
from provenance.merkle import Tree
from provenance.order import epoch_order
from provenance.signing import Domain, sign_head
from provenance.verify import Options, Verifier, verify
from provenance.verify.protocols import (
    CommittedTensors,
    DataChecker,
    EpochEvidence,
    EvidenceSource,
    RegistrationEvidence,
    SampleEvidence,
    Sampling,
    TrainingReplayer,
)
from tests.support.memory_chain import IDENTITY, LEDGER, REGISTRY, MemoryChain, hashed
from tests.support.plain import CONFIG, FED

TIME = "2026-01-02T03:04:05Z"
KEY = Account.from_key(b"\x01" * 32)
OWNER = KEY.address.lower()
DOMAIN = Domain(IDENTITY.chain_id, REGISTRY.address)
COUNT = 12
MEMORY_FED = FED | {"records": COUNT, "tokens": 300, "predicted": 288}
_CHECKPOINT = 6  # behind opening, seed, three batches and the end of the epoch
EPOCH_KEY, TREE_KEY, DATASET = b"\xe0" * 32, b"\xe1" * 32, b"\xda" * 32
MODEL, BASE, ADAPTER, MERGED = (sha256(x) for x in (b"model", b"base", b"adapter", b"merged"))
MERGED_NAME = NamedFolder("merged", str(MERGED), {}).name
TRUST = Trust(
    "local",
    IDENTITY.chain_id,
    IDENTITY.genesis,
    None,
    IDENTITY.contracts,
    (Key("0x" + EPOCH_KEY.hex(), "epoch", "dev"), Key("0x" + TREE_KEY.hex(), "tree", "dev")),
    (Publisher(OWNER, "me"),),
    sha256(b"trust"),
)


def word(data: bytes) -> str:
    return "0x" + data.hex()


def leaf(index: int) -> bytes:
    return bytes(4) + hashed("leaf", index)[4:]


class Believer:
    """A `ProofVerifier` that remembers what it was asked and believes it."""

    def __init__(self) -> None:
        self.epochs: list[EpochEvidence] = []
        self.registrations: list[RegistrationEvidence] = []
        self.samples: list[SampleEvidence] = []
        self.draws = 6
        self.roots: int | None = None  # root of every tensor; None: as in the table
        self.kept = 0  # as in `CommittedTensors`
        self.since: datetime.date | None = None

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        self.registrations.append(evidence)

    def check_epoch(self, evidence: EpochEvidence) -> None:
        self.epochs.append(evidence)

    def check_samples(self, evidence: SampleEvidence) -> Sampling:
        self.samples.append(evidence)
        return Sampling(2, self.draws, evidence.anchorings, "w", 3, 0.7, 0.8, 0.5)

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        made = [tensor for _, tensor in tensors]
        if self.roots is not None:
            made = [replace(t, root=self.roots) for t in made]
        return CommittedTensors(made, self.kept, self.since)


@dataclass(eq=False)
class MemoryEvidence:
    """`Evidence` and `EvidenceSource` of one run. A copy of it is another folder."""

    run_id: bytes = b""
    log: list[Record] = field(default_factory=list)
    signed: list[SignedHead] = field(default_factory=list)
    cosigned: list[CosignedHead] = field(default_factory=list)
    keys: dict[str, bytes] = field(
        default_factory=lambda: {word(EPOCH_KEY): b"epoch words", word(TREE_KEY): b"tree words"}
    )
    registered: Mapping[str, Any] | None = field(
        default_factory=lambda: {"points": [["0x1", "0x2"]], "trees": [], "links": []}
    )

    attested: list[Attestation] = field(default_factory=list)
    tables: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    merged_at: Path | None = None
    adapter_at: Path | None = None

    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None:
        return self.tables.get(stage)

    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]:
        return []

    def candidates(self, run_id: bytes) -> list[MemoryEvidence]:
        return [self] if run_id == self.run_id else []

    def records(self, most: int | None = None) -> Sequence[Record]:
        return self.log[:most]

    def makers(self, artifact: str) -> list[MemoryEvidence]:
        wanted = f'"{artifact}"'.encode()
        return [self] if any(wanted in record.to_bytes() for record in self.log) else []

    def heads(self) -> Sequence[SignedHead]:
        return self.signed

    def cosignatures(self) -> Sequence[CosignedHead]:
        return self.cosigned

    def attestations(self) -> Sequence[Attestation]:
        return self.attested

    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]:
        return []

    def registration(self) -> Mapping[str, Any] | None:
        return self.registered

    def key_words(self, vk_id: str) -> bytes | None:
        return self.keys.get(vk_id)

    def key_bases(self, vk_id: str) -> bytes | None:
        return b"bases" if vk_id in self.keys else None

    def merged(self) -> Path | None:
        return self.merged_at

    def adapter(self) -> Path | None:
        return self.adapter_at


Change = Callable[[list[Record]], list[Record]]


class MemoryRun:
    """An honest run, committed in two heads and released.

    change: Rewrites the records behind `run.open` before they are committed.
    opening: Replaces fields of `run.open`; without `fed` (None) it is of the first version.
    number: The anchoring that the epoch's record names; None leaves the epoch unanchored.
    """

    def __init__(
        self,
        change: Change | None = None,
        opening: Mapping[str, Any] | None = None,
        *,
        number: int | None = 0,
        chain: MemoryChain | None = None,
    ) -> None:
        self.chain, self.evidence, self.believer, self.trust = (
            chain or MemoryChain(),
            MemoryEvidence(),
            Believer(),
            TRUST,
        )
        self.source: EvidenceSource = self.evidence
        facts = DatasetFacts(
            OWNER, EPOCH_KEY, TREE_KEY, 7, 5, COUNT, 256, 1, True, bytes(32), bytes(32)
        )
        if self.chain.latest().dataset(DATASET) is None:
            self.chain.register(DATASET, facts)
        first = self._opening(opening or {})
        self.run_id = self.chain.open_run(OWNER, first.digest, DATASET)
        self.seed = self.chain.draw_seed(self.run_id)
        self.evidence.run_id = self.run_id
        self.evidence.log = [first, *self._training()]
        self.commit()
        if number is not None:
            self.chain.anchor_epoch(OWNER, self.run_id, 0, COUNT)
            self.evidence.log.append(self._proof(number))
        self.evidence.log += self._later()
        if change:
            self.evidence.log[1:] = change(self.evidence.log[1:])
            self._restart(first)
        self.release()
        self.chain.mine(3)

    def _restart(self, first: Record) -> None:
        """Commit the changed log from its beginning: only the final log matters to a verifier."""
        self.chain.heads[:] = [head for head in self.chain.heads if head[0] != self.run_id]
        self.evidence.signed.clear()
        self.commit()

    @staticmethod
    def _opening(change: Mapping[str, Any]) -> Record:
        fields: dict[str, Any] = {
            "dataset": {"root": f"0x{7:064x}", "depth": 5, "count": COUNT},
            "fed": MEMORY_FED,
            "base": {"content": str(BASE), "files": {}},
            "config": CONFIG,
            "config_digest": str(sha256(b"c")),
            "code": {},
            "environment": {},
            "signer": OWNER,
            "evaluation": {},
            "registered": True,
        }
        fields |= change
        fields["base"] = {"files": {}} | fields["base"]
        fields["config"] = CONFIG | fields["config"]
        if fields["fed"] is not None:
            return Record.make("run.open", TIME, **fields)
        del fields["fed"]
        return Record("run.open", TIME, fields, RunOpenFirst.VERSION)

    def _training(self) -> list[Record]:
        order = epoch_order(self.seed, 0, COUNT)
        batches = [
            Record.make(
                "batch",
                TIME,
                epoch=0,
                step=b // 4 + 1,
                micro=0,
                rank=0,
                positions=list(range(b, b + 4)),
                tensors=str(sha256(b"t")),
                leaves=[word(leaf(int(order[h]))) for h in range(b, b + 4)],
            )
            for b in range(0, COUNT, 4)
        ]
        run = self.chain.latest().run(self.run_id)
        assert run is not None
        seed = Record.make(
            "seed",
            TIME,
            seed=word(self.seed),
            source="chain",
            draw_block=run.draw_block,
            run_id=word(self.run_id),
        )
        end = Record.make("epoch", TIME, epoch=0, consumed=COUNT, remainder=[])
        checkpoint = Record.make(
            "checkpoint",
            TIME,
            step=3,
            path="c",
            manifest=str(ADAPTER),
            weights=str(ADAPTER),
            files={},
            epoch=0,
            consumed=COUNT,
            last_batch=len(batches) + 1,
        )
        close = Record.make("run.close", TIME, status="completed", step=3, summary={})
        return [seed, *batches, end, checkpoint, close]

    def _proof(self, number: int) -> Record:
        return Record.make(
            "epoch",
            TIME,
            epoch=0,
            consumed=COUNT,
            remainder=[],
            number=number,
            ledger=LEDGER.address,
            u_hash="0x" + "01" * 32,
            p_hash="0x" + "02" * 32,
            dataset_id=word(DATASET),
            vk_id=word(EPOCH_KEY),
            log_size=len(self.evidence.log),
        )

    def _later(self) -> list[Record]:
        merge = Record.make(
            "merge",
            TIME,
            base=str(BASE),
            base_files={},
            adapter=str(ADAPTER),
            adapter_files={},
            merged=str(MERGED),
            merged_files={},
            checkpoint=_CHECKPOINT,
            scale="2",
            adapted=[],
        )
        quantize = Record.make(
            "quantize",
            TIME,
            source=MERGED_NAME,
            format="gguf",
            quantization="Q8_0",
            file=str(MODEL),
            size=5,
            tensors={},
        )
        release = Record.make(
            "release",
            TIME,
            run_id=word(self.run_id),
            model=str(MODEL),
            manifest=str(sha256(b"m")),
            name="model",
        )
        return [merge, quantize, release]

    def commit(self) -> int:
        """Sign and commit the whole log."""
        tree = Tree(r.entry for r in self.evidence.log)
        run = self.chain.latest().run(self.run_id)
        assert run is not None
        head = Head(self.run_id, len(tree), tree.root())
        self.evidence.signed.append(SignedHead(head, run.seq + 1, sign_head(KEY, head, DOMAIN)))
        self.chain.commit(
            OWNER, self.run_id, run.seq + 1, head.root, head.size, tree.consistency_proof(run.size)
        )
        return run.seq + 1

    def release(self) -> None:
        run = self.chain.latest().run(self.run_id)
        assert run is not None
        seq = self.commit() if run.size < len(self.evidence.log) else run.seq
        index = max(i for i, r in enumerate(self.evidence.log) if r.type == "release")
        record = self.evidence.log[index]
        tree = Tree(r.entry for r in self.evidence.log)
        self.chain.release(
            OWNER,
            self.run_id,
            seq,
            Digest.parse(record.fields["model"]),
            Digest.parse(record.fields["manifest"]),
            record.digest,
            index,
            tree.inclusion_proof(index),
        )

    def judge(
        self,
        policy: Policy | None = None,
        subject: str | None = None,
        release: bytes | None = None,
        data: DataChecker | None = None,
        replayer: TrainingReplayer | None = None,
    ) -> Verdict:
        options = Options(release=release, data=data, replayer=replayer)
        return verify(subject or str(MODEL), self.verifier(policy), options)

    def verifier(self, policy: Policy | None = None) -> Verifier:
        return Verifier(
            trust=self.trust,
            reader=self.chain,
            source=self.source,
            prover=self.believer,
            policy=policy or Policy(),
        )
