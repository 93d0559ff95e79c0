"""An owner's session: one account that writes to one deployment; every call is safe to repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.chain.abi import checksum_address, keccak
from provenance.chain.anvil import EmbeddedChain
from provenance.chain.artifact import provides
from provenance.chain.calls import (
    EpochPoints,
    EpochProof,
    EpochsAtOnce,
    LinkProof,
    Point,
    SortedProof,
)
from provenance.chain.contracts import Reader
from provenance.chain.deploy import Deployment, require_same_chain
from provenance.chain.endpoint import PATIENT, Endpoint, Patience
from provenance.chain.quorum import Quorum
from provenance.chain.rpc import Receipt, Rpc
from provenance.chain.transactions import TransactionManager
from provenance.chain.waits import Waits
from provenance.chain.writer import Writer
from provenance.dataset.manifest import DatasetRoot
from provenance.digest import sha256
from provenance.errors import InputError, NotFound, RejectedError, UnavailableError
from provenance.ids import Address, DatasetId, KeyId, RunId
from provenance.judgement.facts import (
    ZERO_WORD,
    ChainIdentity,
    ChainSnapshot,
    ModelAnchoringFacts,
)
from provenance.log.anchoring import Committed
from provenance.log.record import Record
from provenance.log.records import Release
from provenance.log.tree import Head
from provenance.progress import Say, silent
from provenance.settings import Settings
from provenance.signing import Domain, sign_head
from provenance.signing.keystore import load_key, read_password

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def embedded(settings: Settings) -> EmbeddedChain:
    """The embedded chain of this installation, running or not."""
    return EmbeddedChain(settings.home / "chain")


def connect(settings: Settings, say: Say = silent, patience: Patience = PATIENT) -> Rpc:
    """The configured endpoint, else the embedded chain.

    Args:
        say: told of each wait for an endpoint that limits requests.

    Raises:
        UnavailableError: no endpoint is configured, and the embedded chain does not run.
    """
    if settings.rpc_url:
        return Rpc(settings.rpc_url, patience=patience, say=say)
    return embedded(settings).rpc()


def connect_for_reading(
    settings: Settings,
    needed: Callable[[int], int],
    say: Say = silent,
    patience: Patience = PATIENT,
) -> Rpc:
    """What a verdict's facts are read from: PROVENANCE_READ_URLS, else as `connect`.

    Args:
        needed: of so many endpoints, how many must agree (`Trust.needed`).

    Raises:
        UnavailableError: fewer endpoints than must agree, or as `connect`.
        ConfigError: they are no quorum, or one stands twice.
    """
    urls = settings.read_urls
    count = needed(max(1, len(urls)))
    if not urls:
        return connect(settings, say, patience)
    endpoints = [Endpoint(url, patience=patience, say=say) for url in urls]
    return Rpc(endpoints[0] if len(endpoints) == 1 else Quorum(endpoints, count))


def miner(settings: Settings, rpc: Rpc) -> Callable[[int], None] | None:
    """What makes blocks on the chain behind `rpc`, None if that chain makes them by itself.

    The embedded chain makes no block until it is told to, also if it is reached through a proxy or
    under another name. So an endpoint is known by its genesis block, not by its URL.

    Raises:
        UnavailableError: the endpoint does not answer.
    """
    chain = embedded(settings)
    if settings.rpc_url is None:
        return chain.mine
    if chain.running() is None:
        return None
    return chain.mine if rpc.block(0).hash == chain.genesis() else None


def deployment_path(settings: Settings) -> Path:
    """The file that says where this installation's contracts are."""
    return settings.home / "deployment.json"


def load_deployment(settings: Settings) -> Deployment:
    """Where this installation's contracts are.

    Raises:
        NotFound: none were deployed.
        ConfigError: the file is of another version.
    """
    try:
        return Deployment.load(deployment_path(settings))
    except NotFound as error:
        raise NotFound(
            "no contracts are deployed", where=error.where, hint="provenance init"
        ) from error


def key_path(settings: Settings, name: str = "default") -> Path:
    """The keystore file of a named key.

    Raises:
        InputError: a name that is none, such as a path.
    """
    if not _KEY_NAME.fullmatch(name):
        raise InputError(
            "not the name of a key",
            expected="letters, digits, `.`, `_` and `-`, at most 64",
            actual=repr(name[:80]),
        )
    return settings.home / "keystore" / f"{name}.json"


def manager_for(settings: Settings, rpc: Rpc, account: LocalAccount) -> TransactionManager:
    """What sends an account's transactions; each chain has a folder of attempts of its own."""
    folder = settings.home / "attempts" / f"{rpc.chain_id()}-{rpc.block(0).hash.hex()[:16]}"
    return TransactionManager(rpc, account, folder)


@dataclass(frozen=True)
class OpenedRun:
    """A run just opened; its seed will come from the hash of `draw_block`."""

    run_id: RunId
    draw_block: int
    tx_hash: bytes


class Session:
    """Writes for one account. Every method may be repeated: it finds what is on chain already.

    Methods that write raise as `TransactionManager.send`; what they return is mined, not final.
    """

    def __init__(self, settings: Settings, key: str = "default", say: Say = silent) -> None:
        self.rpc = connect(settings, say)
        self.deployment = load_deployment(settings)
        require_same_chain(self.rpc, self.deployment)
        self.mine = miner(settings, self.rpc)
        self.rpc.block("finalized")  # what is sent is waited for until it is final
        self.account = load_key(key_path(settings, key), read_password(settings.password_file))
        self.manager = manager_for(settings, self.rpc, self.account)
        self.writer = Writer(self.rpc, self.deployment.addresses, self.manager, self.mine)
        self.reader = Reader(self.rpc, self.deployment.addresses)
        self.manager.say = say
        self._waits = Waits(self.rpc, self.mine, say)

    @property
    def address(self) -> Address:
        """The account's."""
        return Address(self.account.address)

    @property
    def domain(self) -> Domain:
        """Where this account's signatures count."""
        return Domain(self.deployment.chain_id, self.deployment.registry)

    @property
    def identity(self) -> ChainIdentity:
        """The chain and the contracts that this session writes to."""
        return self.deployment.chain

    def latest(self) -> ChainSnapshot:
        """The contracts' state at the newest block."""
        return self.writer.latest()

    def final(self, receipt: Receipt) -> None:
        """Return once a transaction is in a final block; raises as `Waits.for_final`."""
        self._waits.for_final(receipt)

    # The registry: runs, heads, releases

    def open_run(self, preregistration: bytes, dataset_id: DatasetId) -> OpenedRun:
        """Register a run under the digest of its `run.open` record."""
        label = f"open:{preregistration.hex()}:{dataset_id.hex()}"
        receipt = self.writer.send("registry", label, "openRun", preregistration, dataset_id)
        event = self.writer.event(receipt, "registry", "RunOpened")
        return OpenedRun(RunId(event["runId"]), event["drawBlock"], receipt.tx_hash)

    def draw_seed(self, run: OpenedRun) -> bytes:
        """Wait for the draw block, draw, wait until the draw is final; returns the 32-byte seed.

        Raises:
            RejectedError: the draw was missed; the run can never be used, and stays listed.
        """
        facts = self.writer.latest().run(run.run_id)
        if facts is None:
            raise UnavailableError("chain does not know the run", where=str(run.run_id))
        if facts.seed != ZERO_WORD:
            return facts.seed
        self._waits.for_block(run.draw_block + 1)
        label = f"draw:{run.run_id.hex()}"
        receipt = self.writer.send("registry", label, "drawSeed", run.run_id)
        self.final(receipt)
        return bytes(self.writer.event(receipt, "registry", "SeedDrawn")["seed"])

    def sign_head(self, head: Head) -> bytes:
        """The account's signature of a head under this registry's domain, 65 bytes."""
        return sign_head(self.account, head, self.domain)

    def committed(self, run_id: RunId) -> Committed:
        """What the registry holds of a run at the newest block.

        Raises:
            RejectedError: it knows no such run.
        """
        facts = self.writer.latest().run(run_id)
        if facts is None:
            raise RejectedError("registry does not know the run", where=str(run_id))
        return Committed(facts.seq, facts.size, facts.root)

    def commit(self, seq: int, head: Head, proof: list[bytes]) -> None:
        """Commit head number `seq`; `proof` shows that it extends the one before (RFC 9162)."""
        label = f"commit:{head.run_id.hex()}:{seq}:{head.root.hex()}"
        self.writer.send("registry", label, "commit", head.run_id, seq, head.root, head.size, proof)

    def release(self, record: Record, index: int, seq: int, path: Sequence[bytes]) -> Receipt:
        """Claim on chain that a `release` record is in a run's log.

        Args:
            index: the record's index in the log.
            seq: number of a committed head that covers it.
            path: RFC 6962 inclusion proof of the record under that head.

        Raises:
            InputError: a record of another type.
        """
        release = record.body(Release)
        return self.writer.send(
            "registry",
            f"release:{release.run_id.hex()}:{index}",
            "release",
            release.run_id,
            seq,
            release.model,
            release.manifest,
            record.digest,
            index,
            list(path),
        )

    def revoke(self, run_id: RunId, index: int, reason: str) -> Receipt:
        """Revoke record `index` of a run, for good."""
        label = f"revoke:{run_id.hex()}:{index}"
        return self.writer.send("registry", label, "revoke", run_id, index, reason)

    def revoke_dataset(self, dataset_id: DatasetId, reason: str) -> Receipt:
        """Revoke a dataset in this account's name, for good."""
        label = f"revoke:{dataset_id.hex()}"
        return self.writer.send("registry", label, "revokeDataset", dataset_id, reason)

    def revoke_signer(self, signer: Address, from_block: int | None, reason: str) -> Receipt:
        """Revoke an account's key in this account's name, for what it anchors from a block on.

        Args:
            from_block: None for the next block.

        Raises:
            InputError: the registry is of an earlier release, which knows no such revocations.
        """
        if not provides(self.rpc.code(self.deployment.registry), "registry", "revokeSigner"):
            raise InputError(
                "this registry cannot revoke keys",
                where=f"registry {self.deployment.registry}",
                hint="it is of an earlier release: end the publisher by to_block in trust files",
            )
        first = self.rpc.block("latest").number + 1 if from_block is None else from_block
        label = f"revoke:{signer}:{first}"
        args = (checksum_address(signer), first, reason)
        return self.writer.send("registry", label, "revokeSigner", *args)

    # The ledger: datasets and epochs

    def begin_dataset(
        self,
        epoch_key: KeyId,
        tree_key: KeyId,
        root: DatasetRoot,
        points: Sequence[Point],
        poks: Sequence[Point],
    ) -> DatasetId:
        """Register the commitments D to a dataset's leaves.

        Args:
            points: D of each chunk under `epoch_key`; `poks` are its proofs of knowledge.

        Returns:
            The id of the registration; the known one if this very registration exists.
        """
        keys = f"{self.deployment.ledger}:{epoch_key}:{tree_key}"
        label = f"dataset:{keys}:{root.root:x}:{points[0][0]:x}"
        triple = (root.root, root.depth, root.count)
        arguments = (epoch_key, tree_key, *triple, list(points), list(poks))
        try:
            receipt = self.writer.send("ledger", label, "beginDataset", *arguments)
        except RejectedError as error:
            known = re.fullmatch(r"DatasetExists\((0x[0-9a-f]{64})\)", error.actual or "")
            if known is None:
                raise
            # Begun before, by attempts that this machine no longer knows.
            return DatasetId.parse(known[1])
        return DatasetId(self.writer.event(receipt, "ledger", "DatasetBegun")["datasetId"])

    def prove_tree(self, dataset_id: DatasetId, k: int, t: int, z: int, proof: Any) -> Receipt:
        """Submit the proof of tree chunk `k`; `t`, `z` are its public inputs of these names."""
        label = f"tree:{dataset_id.hex()}:{k}"
        return self.writer.send("ledger", label, "proveTree", dataset_id, k, t, z, proof)

    def prove_link(self, dataset_id: DatasetId, link: LinkProof) -> Receipt:
        """Submit the proof that links one commitment D to the tree."""
        label = f"link:{dataset_id.hex()}:{link.c}"
        arguments = (dataset_id, link.c, link.d, link.a, link.b, link.proof)
        return self.writer.send("ledger", label, "proveLink", *arguments)

    def finish_dataset(self, dataset_id: DatasetId) -> Receipt:
        """Complete a registration: the ledger compares the products of trees and links."""
        label = f"finish:{dataset_id.hex()}"
        return self.writer.send("ledger", label, "finishDataset", dataset_id)

    def anchor_epoch(self, run_id: RunId, epoch: int, points: EpochPoints) -> int:
        """Anchor an epoch's commitments; returns the number of the anchoring."""
        (x, y), consumed = points.u[0], points.consumed
        label = f"anchor:{run_id.hex()}:{epoch}:{x:x}:{y:x}:{consumed}"
        arguments = (run_id, epoch, points.dataset_id, consumed, list(points.u), list(points.p))
        receipt = self.writer.send("ledger", label, "anchorEpoch", *arguments)
        return int(self.writer.event(receipt, "ledger", "EpochAnchored")["number"])

    def prove_epoch(self, item: EpochProof) -> Receipt:
        """Submit the proof of one chunk."""
        label = f"epoch:{_chunk_label(item)}"
        return self.writer.send("ledger", label, "proveEpoch", *item.calldata())

    def prove_epochs(self, items: Sequence[EpochProof]) -> Receipt:
        """Submit the proofs of several chunks in one transaction: all are accepted, or none."""
        ids = ";".join(map(_chunk_label, items))
        label = f"epochs:{sha256(ids.encode()).hex()}"
        return self.writer.send("ledger", label, "proveEpochs", [item.calldata() for item in items])

    def anchor_and_prove(self, epochs: EpochsAtOnce) -> Receipt:
        """Anchor epochs and prove all their chunks in one transaction: all or none."""
        seeds = b"".join(epoch.seed for epoch in epochs.epochs)
        label = f"at-once:{epochs.run_id.hex()}:{sha256(seeds).hex()}"
        arguments = (epochs.run_id, epochs.dataset_id, epochs.head_seq, list(epochs.d))
        items = [epoch.calldata() for epoch in epochs.epochs]
        return self.writer.send("ledger", label, "anchorAndProve", *arguments, items)

    def is_chunk_proved(self, run_id: RunId, epoch: int, number: int, c: int) -> bool:
        """Whether the ledger accepted chunk `c` of anchoring `number`."""
        return self.writer.latest().is_chunk_proved(run_id, epoch, number, c)

    # The audits: statements about records. A digest in a submitted statement becomes public.

    def prove_sorted(self, dataset_id: DatasetId, vk_id: KeyId, chunk: SortedProof) -> Receipt:
        """Submit the proof that one chunk of a dataset is sorted."""
        where = f"{self.deployment.audits}:{dataset_id.hex()}:{vk_id.hex()}"
        label = f"sorted:{where}:{chunk.k}:{chunk.first:x}:{chunk.following:x}"
        arguments = (dataset_id, vk_id, chunk.k, chunk.first, chunk.following, chunk.proof)
        return self.writer.send("audits", label, "proveSorted", *arguments)

    def prove_member(
        self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any
    ) -> Receipt:
        """Submit a proof that a record is in the dataset."""
        label = f"member:{self.deployment.audits}:{dataset_id.hex()}:{digest.hex()}"
        return self.writer.send("audits", label, "proveMember", dataset_id, vk_id, digest, proof)

    def prove_absent(
        self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any
    ) -> Receipt:
        """Submit a proof that no record has this digest."""
        label = f"absent:{self.deployment.audits}:{dataset_id.hex()}:{digest.hex()}"
        return self.writer.send("audits", label, "proveAbsent", dataset_id, vk_id, digest, proof)

    # The model ledger: statements about weights

    def anchor_model(self, run_id: RunId, stage: int, anchoring: Any) -> int:
        """Anchor a stage (1 merge, 2 quantize) of a run.

        If this very anchoring exists, it is found and not made again; unless it missed its draw and
        is void: then the same is anchored again, under the next number.

        Returns:
            The anchoring's number.
        """
        content = keccak(repr(anchoring).encode()).hex()
        attempt = 0
        while True:
            label = f"model:{self.deployment.models}:{run_id.hex()}:{stage}:{content}:{attempt}"
            receipt = self.writer.send("models", label, "anchorModel", run_id, stage, anchoring)
            number = int(self.writer.event(receipt, "models", "ModelAnchored")["number"])
            if not self._model(run_id, stage, number).void:
                return number
            attempt += 1

    def draw_model(self, run_id: RunId, stage: int, number: int) -> bytes:
        """Wait for the draw block, draw unless somebody did, wait until the draw is final.

        Returns:
            The 32-byte draw seed.

        Raises:
            RejectedError: the draw was missed; the anchoring is void and stays listed.
        """
        facts = self._model(run_id, stage, number)
        if facts.seed != ZERO_WORD:
            return facts.seed
        self._waits.for_block(facts.draw_block + 1)
        label = f"draw-model:{self.deployment.models}:{run_id.hex()}:{stage}:{number}"
        try:
            self.final(self.writer.send("models", label, "drawModel", run_id, stage, number))
        except RejectedError as error:
            if not (error.actual or "").startswith("AlreadyDrawn"):
                raise
        return self._model(run_id, stage, number).seed

    def prove_samples(
        self, run_id: RunId, stage: int, number: int, items: Sequence[Any], previous: str
    ) -> Receipt:
        """Submit proofs in the order of (tensor, group); the contract skips those it accepted.

        Args:
            previous: name of the tensor before that of the first item; the contract compares the
                names only if the item opens the first group of its tensor.
        """
        (tensor, group), (last_tensor, last_group) = items[0][:2], items[-1][:2]
        where = f"{self.deployment.models}:{run_id.hex()}:{stage}:{number}"
        label = f"samples:{where}:{tensor}.{group}-{last_tensor}.{last_group}"
        arguments = (run_id, stage, number, previous, list(items))
        return self.writer.send("models", label, "proveSamples", *arguments)

    def _model(self, run_id: RunId, stage: int, number: int) -> ModelAnchoringFacts:
        facts = self.writer.latest().model_anchoring(run_id, stage, number)
        if facts is None:
            raise UnavailableError(
                "chain does not know the anchoring",
                where=f"{run_id}, stage {stage}, number {number}",
            )
        return facts


def _chunk_label(item: EpochProof) -> str:
    return f"{item.run_id.hex()}:{item.epoch}:{item.number}:{item.c}"
