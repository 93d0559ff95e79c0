"""One account at work on one deployment: the writes of a run's life, each safe to repeat after a crash."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from provenance.chain.anvil import EmbeddedChain
from provenance.chain.contracts import Point, Reader, Writer
from provenance.chain.deploy import Deployment, require_same_chain
from provenance.chain.transactions import TransactionManager, wait_final
from provenance.chain.web3_adapter import Receipt, Rpc, keccak
from provenance.digest import sha256
from provenance.errors import NotFound, RejectedError, UnavailableError
from provenance.judgement.facts import ZERO_WORD, ChainSnapshot, ModelAnchoringFacts
from provenance.log.anchoring import Committed
from provenance.log.tree import Head
from provenance.progress import Say, silent
from provenance.settings import Settings
from provenance.signing import Domain, load_key, read_password


def embedded(settings: Settings) -> EmbeddedChain:
    return EmbeddedChain(settings.home / "chain")


def connect(settings: Settings) -> tuple[Rpc, Callable[[int], None] | None]:
    """The configured endpoint, or the embedded chain with its way to mine.

    Raises:
        UnavailableError: neither is there.
    """
    if settings.rpc_url:
        return Rpc(settings.rpc_url), None
    chain = embedded(settings)
    return chain.rpc(), chain.mine


def deployment_path(settings: Settings) -> Path:
    return settings.home / "deployment.json"


def load_deployment(settings: Settings) -> Deployment:
    try:
        return Deployment.load(deployment_path(settings))
    except NotFound as error:
        raise NotFound(
            "no contracts are deployed", where=error.where, hint="provenance chain deploy"
        ) from error


def key_path(settings: Settings, name: str = "default") -> Path:
    return settings.home / "keystore" / f"{name}.json"


def manager_for(settings: Settings, rpc: Rpc, account: LocalAccount) -> TransactionManager:
    folder = settings.home / "attempts" / f"{rpc.chain_id()}-{rpc.block(0).hash.hex()[:16]}"
    return TransactionManager(rpc, account, folder)


@dataclass(frozen=True)
class OpenedRun:
    run_id: bytes
    draw_block: int
    tx_hash: bytes


class Session:
    """Writes for one account. Every method may be repeated: what is on chain already is found, not sent again."""

    def __init__(self, settings: Settings, key: str = "default", say: Say = silent) -> None:
        self.rpc, self.mine = connect(settings)
        self.deployment = load_deployment(settings)
        require_same_chain(self.rpc, self.deployment)
        self.account = load_key(key_path(settings, key), read_password(settings.password_file))
        self.manager = manager_for(settings, self.rpc, self.account)
        self.writer = Writer(self.rpc, self.deployment.addresses, self.manager, self.mine)
        self.reader = Reader(self.rpc, self.deployment.addresses)
        self._say = say

    @property
    def address(self) -> str:
        return str(self.account.address).lower()

    @property
    def domain(self) -> Domain:
        return Domain(self.deployment.chain_id, self.deployment.registry)

    def final(self, receipt: Receipt) -> None:
        wait_final(self.rpc, receipt, mine=self.mine)

    def open_run(self, preregistration: bytes, dataset_id: bytes) -> OpenedRun:
        label = f"open:{preregistration.hex()}:{dataset_id.hex()}"
        receipt = self.writer.registry(label, "openRun", preregistration, dataset_id)
        event = self.writer.event(receipt, "ProvenanceRegistry", "RunOpened")
        return OpenedRun(event["runId"], event["drawBlock"], receipt.tx_hash)

    def draw_seed(self, run: OpenedRun) -> bytes:
        """Wait for the draw block, draw, wait until the draw is final; returns the seed.

        Raises:
            RejectedError: the draw was missed; the run is dead and stays listed.
        """
        facts = self.writer.latest().run(run.run_id)
        if facts is None:
            raise UnavailableError("chain does not know the run", where="0x" + run.run_id.hex())
        if facts.seed != ZERO_WORD:
            return facts.seed
        self._await_block(run.draw_block + 1)
        receipt = self.writer.registry(f"draw:{run.run_id.hex()}", "drawSeed", run.run_id)
        self.final(receipt)
        return bytes(self.writer.event(receipt, "ProvenanceRegistry", "SeedDrawn")["seed"])

    def _await_block(self, number: int) -> None:
        while (latest := self.rpc.block("latest").number) < number:
            if self.mine is not None:
                self.mine(number - latest)
            else:
                self._say(f"waiting for block {number} (now {latest})")
                time.sleep(2.0)

    def committed(self, run_id: bytes) -> Committed:
        facts = self.writer.latest().run(run_id)
        if facts is None:
            raise RejectedError("registry does not know the run", where="0x" + run_id.hex())
        return Committed(facts.seq, facts.size, facts.root)

    def commit(self, run_id: bytes, seq: int, head: Head, proof: list[bytes]) -> None:
        label = f"commit:{run_id.hex()}:{seq}:{head.root.hex()}"
        self.writer.registry(label, "commit", run_id, seq, head.root, head.size, proof)

    def release(
        self,
        run_id: bytes,
        seq: int,
        model: bytes,
        manifest: bytes,
        record: bytes,
        index: int,
        proof: Sequence[bytes],
    ) -> Receipt:
        label = f"release:{run_id.hex()}:{index}"
        return self.writer.registry(
            label, "release", run_id, seq, model, manifest, record, index, list(proof)
        )

    def revoke(self, run_id: bytes, index: int, reason: str) -> Receipt:
        return self.writer.registry(
            f"revoke:{run_id.hex()}:{index}", "revoke", run_id, index, reason
        )

    def revoke_dataset(self, dataset_id: bytes, reason: str) -> Receipt:
        return self.writer.registry(
            f"revoke:{dataset_id.hex()}", "revokeDataset", dataset_id, reason
        )

    def begin_dataset(
        self,
        epoch_key: str,
        tree_key: str,
        root: int,
        depth: int,
        count: int,
        points: list[Point],
        poks: list[Point],
    ) -> bytes:
        """Register a dataset's commitments; returns the dataset id, the known one if this very registration exists."""
        label = f"dataset:{self.deployment.ledger}:{epoch_key}:{tree_key}:{root:x}:{points[0][0]:x}"
        try:
            receipt = self.writer.ledger(
                label,
                "beginDataset",
                _word(epoch_key),
                _word(tree_key),
                root,
                depth,
                count,
                points,
                poks,
            )
        except RejectedError as error:
            known = re.fullmatch(r"DatasetExists\((0x[0-9a-f]{64})\)", error.actual or "")
            if known is None:
                raise
            return _word(known[1])  # begun before, by attempts that this machine no longer knows
        return bytes(self.writer.event(receipt, "ProofLedger", "DatasetBegun")["datasetId"])

    def prove_tree(self, dataset_id: bytes, k: int, t: int, z: int, proof: Any) -> Receipt:
        return self.writer.ledger(
            f"tree:{dataset_id.hex()}:{k}", "proveTree", dataset_id, k, t, z, proof
        )

    def prove_link(
        self, dataset_id: bytes, c: int, d: Point, a: int, b: int, proof: Any
    ) -> Receipt:
        return self.writer.ledger(
            f"link:{dataset_id.hex()}:{c}", "proveLink", dataset_id, c, d, a, b, proof
        )

    def finish_dataset(self, dataset_id: bytes) -> Receipt:
        return self.writer.ledger(f"finish:{dataset_id.hex()}", "finishDataset", dataset_id)

    def anchor_epoch(
        self,
        run_id: bytes,
        epoch: int,
        dataset_id: bytes,
        consumed: int,
        u: list[Point],
        p: list[Point],
    ) -> int:
        """Anchor an epoch's commitments; returns the number of the anchoring."""
        label = f"anchor:{run_id.hex()}:{epoch}:{u[0][0]:x}:{u[0][1]:x}:{consumed}"
        receipt = self.writer.ledger(
            label, "anchorEpoch", run_id, epoch, dataset_id, consumed, u, p
        )
        return int(self.writer.event(receipt, "ProofLedger", "EpochAnchored")["number"])

    def prove_epoch(
        self,
        run_id: bytes,
        epoch: int,
        number: int,
        c: int,
        a: int,
        b: int,
        commitments: list[Point],
        poks: list[Point],
        proof: Any,
    ) -> Receipt:
        label = f"epoch:{run_id.hex()}:{epoch}:{number}:{c}"
        return self.writer.ledger(
            label, "proveEpoch", run_id, epoch, number, c, a, b, commitments, poks, proof
        )

    def prove_epochs(self, items: Sequence[tuple[Any, ...]]) -> Receipt:
        """Prove several chunks in one transaction; each item has the arguments of `prove_epoch`. All are accepted or none."""
        ids = ";".join(
            f"{run_id.hex()}:{epoch}:{number}:{c}" for run_id, epoch, number, c, *_ in items
        )
        return self.writer.ledger(
            f"epochs:{sha256(ids.encode()).hex()}", "proveEpochs", list(items)
        )

    def is_chunk_proved(self, run_id: bytes, epoch: int, number: int, c: int) -> bool:
        return self.writer.latest().is_chunk_proved(run_id, epoch, number, c)

    def prove_sorted(
        self, dataset_id: bytes, vk_id: bytes, k: int, first: int, following: int, proof: Any
    ) -> Receipt:
        """Submit a sorted chunk; `following` is the public input `next`."""
        label = f"sorted:{self.deployment.audits}:{dataset_id.hex()}:{vk_id.hex()}:{k}:{first:x}:{following:x}"
        return self.writer.audits(
            label, "proveSorted", dataset_id, vk_id, k, first, following, proof
        )

    def prove_member(self, dataset_id: bytes, vk_id: bytes, digest: bytes, proof: Any) -> Receipt:
        """Submit a proof that a record is in the dataset. The digest becomes public."""
        label = f"member:{self.deployment.audits}:{dataset_id.hex()}:{digest.hex()}"
        return self.writer.audits(label, "proveMember", dataset_id, vk_id, digest, proof)

    def prove_absent(self, dataset_id: bytes, vk_id: bytes, digest: bytes, proof: Any) -> Receipt:
        """Submit a proof that no record has this digest. The digest becomes public."""
        label = f"absent:{self.deployment.audits}:{dataset_id.hex()}:{digest.hex()}"
        return self.writer.audits(label, "proveAbsent", dataset_id, vk_id, digest, proof)

    def anchor_model(self, run_id: bytes, stage: int, anchoring: Any) -> int:
        """Anchor a model under a stage; returns the number, the known one if this very anchoring exists and can still be drawn.

        An anchoring that missed its draw is void: the same model is then anchored anew, under the next number.
        """
        content = keccak(repr(anchoring).encode()).hex()
        attempt = 0
        while True:
            label = f"model:{self.deployment.models}:{run_id.hex()}:{stage}:{content}:{attempt}"
            receipt = self.writer.models(label, "anchorModel", run_id, stage, anchoring)
            number = int(self.writer.event(receipt, "ModelLedger", "ModelAnchored")["number"])
            if not self._model(run_id, stage, number).void:
                return number
            attempt += 1

    def draw_model(self, run_id: bytes, stage: int, number: int) -> bytes:
        """Wait for the draw block, draw unless somebody did, wait until the draw is final; returns the draw seed.

        Raises:
            RejectedError: the draw was missed; the anchoring is void and stays listed.
        """
        facts = self._model(run_id, stage, number)
        if facts.seed != ZERO_WORD:
            return facts.seed
        self._await_block(facts.draw_block + 1)
        label = f"draw-model:{self.deployment.models}:{run_id.hex()}:{stage}:{number}"
        try:
            self.final(self.writer.models(label, "drawModel", run_id, stage, number))
        except RejectedError as error:
            if not (error.actual or "").startswith("AlreadyDrawn"):
                raise
        return self._model(run_id, stage, number).seed

    def prove_samples(
        self, run_id: bytes, stage: int, number: int, items: Sequence[Any]
    ) -> Receipt:
        """Submit proofs in the order of (tensor, group); those that are accepted already have no effect."""
        (tensor, group), (last_tensor, last_group) = items[0][:2], items[-1][:2]
        label = f"samples:{self.deployment.models}:{run_id.hex()}:{stage}:{number}:{tensor}.{group}-{last_tensor}.{last_group}"
        return self.writer.models(label, "proveSamples", run_id, stage, number, list(items))

    def _model(self, run_id: bytes, stage: int, number: int) -> ModelAnchoringFacts:
        facts = self.writer.latest().model_anchoring(run_id, stage, number)
        if facts is None:
            raise UnavailableError(
                "chain does not know the anchoring",
                where=f"0x{run_id.hex()}, stage {stage}, number {number}",
            )
        return facts

    def latest(self) -> ChainSnapshot:
        return self.writer.latest()


def _word(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
