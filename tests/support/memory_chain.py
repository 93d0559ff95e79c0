"""The contracts in memory: a `ChainReader`, and writes that keep each contract's rules.

State is a list of facts with the block each came in; a snapshot shows those up to its block. Only
`reorg` removes anything: it takes whole blocks back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from provenance.encoding import release_entry
from provenance.errors import RejectedError, UnavailableError, VerificationError
from provenance.ids import Address, RunId
from provenance.judgement.facts import (
    MAX_ATTESTED,
    ZERO_WORD,
    AnchoringFacts,
    Attested,
    AttestedDigest,
    BlockRef,
    ChainIdentity,
    ClaimFacts,
    Contract,
    DatasetFacts,
    HeadFacts,
    ModelAnchoringFacts,
    Revocation,
    RunFacts,
    SignerRevocation,
)
from provenance.merkle import EMPTY_ROOT, verify_inclusion
from provenance.statements import STAGES, kind_numbered
from tests.support.core.consistency import verify_consistency

REGISTRY = Contract(Address("0x" + "aa" * 20), "0x" + "22" * 32)
LEDGER = Contract(Address("0x" + "bb" * 20), "0x" + "33" * 32)
IDENTITY = ChainIdentity(31337, "0x" + "11" * 32, {"registry": REGISTRY, "ledger": LEDGER})
FINALITY_BLOCKS = 2


def hashed(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def require(condition: bool, error: str) -> None:
    if not condition:
        raise RejectedError("contract refuses the call", actual=error)


@dataclass
class MemoryChain:
    """`provenance.judgement.facts.ChainReader`; every write makes one block."""

    block_number: int = 1
    answering: ChainIdentity = IDENTITY
    down: bool = False
    opened: list[tuple[int, RunFacts]] = field(default_factory=list)
    seeds: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    heads: list[tuple[bytes, int, HeadFacts]] = field(default_factory=list)
    released: list[tuple[bytes, ClaimFacts]] = field(default_factory=list)
    revoked: list[tuple[bytes, int, Revocation]] = field(default_factory=list)
    dataset_revoked: list[tuple[bytes, str, Revocation]] = field(default_factory=list)
    signers_revoked: list[tuple[str, str, SignerRevocation]] = field(default_factory=list)
    wallets: dict[str, tuple[str, set[tuple[bytes, bytes]]]] = field(default_factory=dict)
    is_earlier: bool = False  # a registry of an earlier release, without what is newer
    datasets: list[tuple[int, bytes, DatasetFacts]] = field(default_factory=list)
    anchored: list[tuple[bytes, int, AnchoringFacts]] = field(default_factory=list)
    models: list[tuple[bytes, int, int, list[tuple[int, ModelAnchoringFacts]]]] = field(
        default_factory=list
    )

    attested: list[tuple[bytes, str, AttestedDigest]] = field(default_factory=list)

    # Reading

    def _answer(self) -> None:
        if self.down:
            raise UnavailableError("chain does not answer")

    def identity(self) -> ChainIdentity:
        self._answer()
        return self.answering

    def final(self) -> MemorySnapshot:
        return self.at(max(0, self.block_number - FINALITY_BLOCKS))

    def latest(self) -> MemorySnapshot:
        return self.at(self.block_number)

    def at(self, number: int) -> MemorySnapshot:
        self._answer()
        return MemorySnapshot(self, self.block(number))

    def block(self, number: int) -> BlockRef:
        self._answer()
        if number > self.block_number:
            raise UnavailableError("endpoint does not have this block", where=str(number))
        return BlockRef(number, hashed("block", number), 1_700_000_000 + 12 * number)

    def agreement(self) -> None:
        """There is one such chain."""

    # Writing

    def mine(self, blocks: int = 1) -> int:
        self.block_number += blocks
        return self.block_number

    def attest(self, auditor: str, run_id: bytes, digest: bytes) -> int:
        """Send the digest of an attestation; returns the block."""
        before = [e.digest for r, a, e in self.attested if (r, a) == (run_id, auditor)]
        require(digest != ZERO_WORD, "ZeroDigest")
        require(digest not in before, "AlreadyAttested")
        self.attested.append((run_id, auditor, AttestedDigest(digest, self.mine())))
        return self.block_number

    def open_run(self, owner: str, preregistration: bytes, dataset_id: bytes) -> bytes:
        require(preregistration != ZERO_WORD, "ZeroPreregistration")
        nonce = sum(r.owner == owner for _, r in self.opened)
        run_id, block = RunId(hashed("run", owner, nonce)), self.mine()
        self.opened.append(
            (
                block,
                RunFacts(
                    run_id,
                    owner,
                    block + 2,
                    0,
                    0,
                    ZERO_WORD,
                    preregistration,
                    dataset_id,
                    ZERO_WORD,
                ),
            )
        )
        return run_id

    def draw_seed(self, run_id: bytes) -> bytes:
        run = self._run(run_id)
        require(run.seed == ZERO_WORD, "AlreadyDrawn")
        self.mine(max(1, run.draw_block + 1 - self.block_number))
        seed = hashed(
            "seed", run_id, run.preregistration, run.dataset_id, self.block(run.draw_block).hash
        )
        self.seeds.append((self.block_number, run_id, seed))
        return seed

    def _run(self, run_id: bytes) -> RunFacts:
        run = self.latest().run(run_id)
        require(run is not None, "UnknownRun")
        assert run is not None
        return run

    def commit(
        self, sender: str, run_id: bytes, seq: int, root: bytes, size: int, proof: Sequence[bytes]
    ) -> None:
        run = self._run(run_id)
        require(run.owner == sender, "NotWriter")
        require(seq == run.seq + 1, "WrongSequence")
        require(size > run.size, "SizeNotGrown")
        try:
            verify_consistency(run.size, size, proof, run.root if run.size else EMPTY_ROOT, root)
        except VerificationError as error:
            raise RejectedError("contract refuses the call", actual="NotConsistent") from error
        block = self.mine()
        self.heads.append((run_id, seq, HeadFacts(root, size, block, self.block(block).timestamp)))

    def release(
        self,
        sender: str,
        run_id: bytes,
        seq: int,
        model: bytes,
        manifest: bytes,
        record: bytes,
        index: int,
        proof: Sequence[bytes],
    ) -> None:
        run, head = self._run(run_id), self.latest().head(run_id, seq)
        require(run.owner == sender, "NotOwner")
        require(head is not None, "UnknownHead")
        assert head is not None
        require(
            not any(c.run_id == run_id and c.index == index for _, c in self.released),
            "AlreadyReleased",
        )
        try:
            verify_inclusion(
                release_entry(run_id, model, manifest, record), index, head.size, proof, head.root
            )
        except VerificationError as error:
            raise RejectedError("contract refuses the call", actual="NotIncluded") from error
        self.released.append(
            (model, ClaimFacts(run_id, sender, seq, index, self.mine(), 0, manifest, record))
        )

    def revoke(self, sender: str, run_id: bytes, index: int, reason: str) -> None:
        run = self._run(run_id)
        require(run.owner == sender, "NotOwner")
        require(index < run.size, "IndexOutOfRange")
        require(self.latest().revocation(run_id, index) is None, "AlreadyRevoked")
        self.revoked.append((run_id, index, Revocation(self.mine(), reason)))

    def revoke_dataset(self, sender: str, dataset_id: bytes, reason: str) -> None:
        require(self.latest().dataset_revocation(dataset_id, sender) is None, "AlreadyRevoked")
        self.dataset_revoked.append((dataset_id, sender, Revocation(self.mine(), reason)))

    def revoke_signer(self, sender: str, signer: str, from_block: int, reason: str) -> None:
        require(from_block <= self.block_number + 1, "FromBlockAhead")
        old = self.latest().signer_revocation(signer, sender, self.block_number)
        require(old is None or from_block < old.from_block, "AlreadyRevoked")
        said = SignerRevocation(self.mine(), from_block, reason)
        self.signers_revoked.append((signer, sender, said))

    def register(self, dataset_id: bytes, facts: DatasetFacts) -> None:
        require(self.latest().dataset(dataset_id) is None, "DatasetExists")
        self.datasets.append((self.mine(), dataset_id, facts))

    def anchor_epoch(
        self, sender: str, run_id: bytes, epoch: int, consumed: int, *, accepted: bool = True
    ) -> int:
        run = self._run(run_id)
        require(run.owner == sender, "NotRunWriter")
        require(run.seed != ZERO_WORD, "SeedNotDrawn")
        require(run.seq > 0, "LogIsEmpty")
        dataset = self.latest().dataset(run.dataset_id)
        require(dataset is not None and dataset.finished, "DatasetNotFinished")
        assert dataset is not None
        require(consumed > 0, "NothingConsumed")
        require(consumed <= dataset.count, "TooManyConsumed")
        number = self.latest().anchoring_count(run_id, epoch)
        facts = AnchoringFacts(
            run.dataset_id,
            hashed("epoch", run_id, epoch, number),
            consumed,
            run.size,
            run.root,
            accepted,
            self.mine(),
        )
        self.anchored.append((run_id, epoch, facts))
        return number

    def anchor_model(
        self, sender: str, run_id: bytes, stage: int, facts: ModelAnchoringFacts
    ) -> int:
        """Anchor `facts`, not drawn and not proven.

        Log, block numbers and progress are set here, whatever `facts` say of them.
        """
        run = self._run(run_id)
        require(run.owner == sender, "NotRunWriter")
        require(run.seq > 0, "LogIsEmpty")
        require(stage == STAGES.get(kind_numbered(facts.kind).stage), "WrongStage")
        number, block = self.latest().model_anchoring_count(run_id, stage), self.mine()
        fresh = replace(
            facts,
            seed=ZERO_WORD,
            codes_hash=ZERO_WORD,
            log_root=run.root,
            log_size=run.size,
            block_number=block,
            draw_block=block + 2,
            next_tensor=0,
            next_group=0,
            blocks_proved=0,
            accepted=False,
            void=False,
        )
        self.models.append((run_id, stage, number, [(block, fresh)]))
        return number

    def draw_model(self, run_id: bytes, stage: int, number: int) -> bytes:
        states = self._model_states(run_id, stage, number)
        facts = states[-1][1]
        require(facts.seed == ZERO_WORD, "AlreadyDrawn")
        require(not facts.void, "DrawMissed")
        self.mine(max(1, facts.draw_block + 1 - self.block_number))
        seed = hashed("draw", run_id, stage, number, facts, self.block(facts.draw_block).hash)
        states.append((self.block_number, replace(facts, seed=seed)))
        return seed

    def miss_draw(self, run_id: bytes, stage: int, number: int) -> None:
        states = self._model_states(run_id, stage, number)
        require(states[-1][1].seed == ZERO_WORD, "AlreadyDrawn")
        states.append((self.mine(8_194), replace(states[-1][1], void=True)))

    def accept_model(self, run_id: bytes, stage: int, number: int, codes_hash: bytes) -> None:
        """Accept all samples at once."""
        states = self._model_states(run_id, stage, number)
        facts = states[-1][1]
        require(facts.seed != ZERO_WORD, "NotDrawn")
        states.append(
            (
                self.mine(),
                replace(
                    facts,
                    codes_hash=codes_hash,
                    next_tensor=facts.merged.entries,
                    blocks_proved=facts.blocks,
                    accepted=True,
                ),
            )
        )

    def _model_states(
        self, run_id: bytes, stage: int, number: int
    ) -> list[tuple[int, ModelAnchoringFacts]]:
        found = next(
            (s for r, g, n, s in self.models if (r, g, n) == (run_id, stage, number)), None
        )
        require(found is not None, "UnknownAnchoring")
        assert found is not None
        return found

    def reorg(self, blocks: int) -> None:
        """Take the last blocks back with everything in them."""
        self.block_number -= blocks
        top = self.block_number
        self.opened = [x for x in self.opened if x[0] <= top]
        self.seeds = [x for x in self.seeds if x[0] <= top]
        self.heads = [x for x in self.heads if x[2].block_number <= top]
        self.released = [x for x in self.released if x[1].block_number <= top]
        self.revoked = [x for x in self.revoked if x[2].block_number <= top]
        self.dataset_revoked = [x for x in self.dataset_revoked if x[2].block_number <= top]
        self.signers_revoked = [x for x in self.signers_revoked if x[2].block_number <= top]
        self.datasets = [x for x in self.datasets if x[0] <= top]
        self.anchored = [x for x in self.anchored if x[2].block_number <= top]
        states = [(r, g, n, [s for s in states if s[0] <= top]) for r, g, n, states in self.models]
        self.models = [x for x in states if x[3]]


@dataclass(frozen=True)
class MemorySnapshot:
    """`provenance.judgement.facts.ChainSnapshot` at one block."""

    chain: MemoryChain
    block: BlockRef

    def run(self, run_id: bytes) -> RunFacts | None:
        found = next(
            (r for b, r in self.chain.opened if b <= self.block.number and r.run_id == run_id), None
        )
        if found is None:
            return None
        seed = next(
            (s for b, r, s in self.chain.seeds if r == run_id and b <= self.block.number), ZERO_WORD
        )
        heads = [
            (q, h)
            for r, q, h in self.chain.heads
            if r == run_id and h.block_number <= self.block.number
        ]
        seq, head = heads[-1] if heads else (0, HeadFacts(ZERO_WORD, 0, 0, 0))
        return replace(found, seed=seed, seq=seq, size=head.size, root=head.root)

    def head(self, run_id: bytes, seq: int) -> HeadFacts | None:
        return next(
            (
                h
                for r, q, h in self.chain.heads
                if (r, q) == (run_id, seq) and h.block_number <= self.block.number
            ),
            None,
        )

    def claims(self, model: bytes) -> list[ClaimFacts]:
        result = []
        for digest, claim in self.chain.released:
            if digest == model and claim.block_number <= self.block.number:
                revoked = self.revocation(claim.run_id, claim.index)
                result.append(replace(claim, revoked_block=revoked.block_number if revoked else 0))
        return result

    def revocation(self, run_id: bytes, index: int) -> Revocation | None:
        return next(
            (
                v
                for r, i, v in self.chain.revoked
                if (r, i) == (run_id, index) and v.block_number <= self.block.number
            ),
            None,
        )

    def revoked_entries(self, run_id: bytes) -> list[int] | None:
        if self.chain.is_earlier:
            return None
        return [
            i
            for r, i, v in self.chain.revoked
            if r == run_id and v.block_number <= self.block.number
        ]

    def signer_revocation(self, signer: str, by: str, until: int) -> SignerRevocation | None:
        if self.chain.is_earlier:
            return None
        last = min(until, self.block.number)
        said = [v for s, b, v in self.chain.signers_revoked if (s, b) == (signer, by)]
        return next((v for v in reversed(said) if v.block_number <= last), None)

    def dataset_revocation(self, dataset_id: bytes, owner: str) -> Revocation | None:
        return next(
            (
                v
                for d, o, v in self.chain.dataset_revoked
                if (d, o) == (dataset_id, owner) and v.block_number <= self.block.number
            ),
            None,
        )

    def contract_code(self, account: str) -> str | None:
        return self.chain.wallets[account][0] if account in self.chain.wallets else None

    def accepts_signature(self, account: str, digest: bytes, signature: bytes) -> bool:
        return (digest, signature) in self.chain.wallets[account][1]

    def dataset(self, dataset_id: bytes) -> DatasetFacts | None:
        return next(
            (f for b, d, f in self.chain.datasets if d == dataset_id and b <= self.block.number),
            None,
        )

    def _anchorings(self, run_id: bytes, epoch: int) -> list[AnchoringFacts]:
        return [
            f
            for r, e, f in self.chain.anchored
            if (r, e) == (run_id, epoch) and f.block_number <= self.block.number
        ]

    def anchoring(self, run_id: bytes, epoch: int, number: int) -> AnchoringFacts | None:
        found = self._anchorings(run_id, epoch)
        return found[number] if number < len(found) else None

    def anchoring_count(self, run_id: bytes, epoch: int) -> int:
        return len(self._anchorings(run_id, epoch))

    def runs_of(self, owner: str) -> list[bytes]:
        return [
            r.run_id for b, r in self.chain.opened if r.owner == owner and b <= self.block.number
        ]

    # This chain has no contract of audits, so nothing about a dataset is shown on it.

    def sorted_complete(self, dataset_id: bytes, vk_id: bytes) -> bool:
        return False

    def is_sorted(self, dataset_id: bytes) -> bool:
        return False

    def is_shown(self, dataset_id: bytes, kind: str, digest: bytes) -> bool:
        return False

    def model_anchoring(self, run_id: bytes, stage: int, number: int) -> ModelAnchoringFacts | None:
        states = [s for r, g, n, s in self.chain.models if (r, g, n) == (run_id, stage, number)]
        seen = [
            facts for block, facts in (states[0] if states else []) if block <= self.block.number
        ]
        return seen[-1] if seen else None

    def model_anchoring_count(self, run_id: bytes, stage: int) -> int:
        return sum(
            (r, g) == (run_id, stage) and s[0][0] <= self.block.number
            for r, g, _, s in self.chain.models
        )

    def attested(self, run_id: bytes, auditor: str) -> Attested:
        found = [
            e
            for r, a, e in self.chain.attested
            if (r, a) == (run_id, auditor) and e.block_number <= self.block.number
        ]
        return Attested(tuple(found[:MAX_ATTESTED]), len(found))
