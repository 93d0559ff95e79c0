"""Proving sampled blocks of a run's merge and quantization, and logging the result.

The commands `provenance prove RUN --weights` and `provenance proof open RUN` call this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from provenance.artifacts.tensors import Tensor
from provenance.chain.deploy import Deployment
from provenance.digest import Digest
from provenance.errors import Conflict, InputError
from provenance.ids import Address, KeyId, to_hex
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.log.anchoring import HeadCommitter
from provenance.log.graph.folders import folder_of, merged_of
from provenance.log.history import History
from provenance.log.record import Record
from provenance.log.records import Merge, Quantize, Sample
from provenance.log.run_log import OpenLog, anchor, open_log, run_id_of
from provenance.progress import Say, silent
from provenance.statements import STAGES, quantization_kind
from provenance.verify.protocols import FormatInspector
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, find_key
from provenance_zk.weights import samples
from provenance_zk.weights.keys import adapter_keys, require_keys
from provenance_zk.weights.ledger import ModelLedger
from provenance_zk.weights.proving import ProofMaker, StageProver
from provenance_zk.weights.stages import (
    Factors,
    MergedModel,
    MergeWeights,
    QuantizedModel,
    QuantizeWeights,
    SampleSize,
    StageWeights,
    StoredModel,
)
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.local import Executor
from provenance_zk.workers.pool import proof_pool


class ModelChain(ModelLedger, HeadCommitter, Protocol):
    """What the prover needs of an account's session on a chain.

    `provenance.chain.session.Session` is the real implementation.
    """

    @property
    def deployment(self) -> Deployment:
        """The contracts, and the keys that they pin."""
        ...


@dataclass(frozen=True)
class WeightProver:
    """Proves sampled blocks for the owner of runs.

    Attributes:
        prover: computes commitments to weights.
        executor: its workers make the proofs.
        key_cache: folder of proving keys.
        say: gets a line for each step.
    """

    chain: ModelChain
    prover: ZkProver
    executor: Executor
    key_cache: Path
    inspector: FormatInspector
    say: Say = silent

    def prove(self, run: Path, draws: int) -> dict[str, Any]:
        """Prove the last merge and its quantization, each in its own anchoring.

        A stage that is proven already is left as it is.

        Args:
            draws: blocks drawn of each stage, in all.

        Returns:
            `provenance-proved-weights/1`.

        Raises:
            Conflict: the run was not merged and quantized yet.
            VerificationError: weights beside the log are not the logged ones.
            InputError: the deployed file holds blocks that no proof can open.
            ConfigError: the contracts pin no key for some of it; nothing was sent then.
        """
        folder = RunFolder(run).require()
        with open_log(folder) as log:
            run_id, address = run_id_of(folder), self.chain.deployment.models
            weights = RunWeights(log, self, draws)
            weights.require_provable()
            proven = [name for name in STAGES if is_stage_proven(log.history, name, address)]
            weights.require_keys([name for name in STAGES if name not in proven])
            self.say("anchoring the log")
            anchor(self.chain, log)
            for name in STAGES:
                if name not in proven:
                    stage = weights.stage(name)
                    maker = self._maker(folder, stage)
                    log.append(StageProver(run_id, folder, self.chain, address, maker).prove(stage))
            self.say("anchoring the sample records")
            head = anchor(self.chain, log)
            found = _last_samples(log.history)
        return {
            "format": "provenance-proved-weights/1",
            "run_id": to_hex(run_id),
            "records": head.size,
            "anchorings": {name: record.fields["number"] for name, record in found.items()},
        }

    def open(self, run: Path, nonce: bytes, draws: int, out: Path) -> dict[str, Any]:
        """Prove blocks that a verifier demands, of every proven stage. Nothing is anchored.

        Args:
            nonce: 32 bytes that the verifier chose.
            out: folder for the proofs, which are public.

        Returns:
            `provenance-opened/1`.

        Raises:
            Conflict: no stage was proven yet.
        """
        folder, made = RunFolder(run).require(), {}
        with open_log(folder) as log:
            weights = RunWeights(log, self, draws)
            models = self.chain.deployment.models
            proven = {
                name: record
                for name, record in _last_samples(log.history).items()
                if record.fields["ledger"] == models
            }
            weights.require_keys(list(proven))
            for name, record in proven.items():
                stage = weights.stage(name)
                seed = samples.opening_seed(record.body(Sample).anchoring, nonce)
                wanted = samples.groups(seed, stage.tables["merged"], draws, stage.anchoring.slots)
                demand = {"format": "provenance-opening/1", "nonce": to_hex(nonce), "draws": draws}
                write_json(out / name / "opening.json", demand)
                made[name] = len(self._maker(folder, stage).make(stage, wanted, out / name))
        if not made:
            raise Conflict(
                "nothing to open: no stage of this run was proven",
                where=str(run),
                hint="provenance prove RUN --weights",
            )
        return {
            "format": "provenance-opened/1",
            "out": str(out),
            "nonce": to_hex(nonce),
            "draws": draws,
            "proofs": made,
        }

    def _maker(self, folder: RunFolder, stage: StageWeights) -> ProofMaker:
        """Makes proofs through the run's queue, under keys that the contract pins."""
        queue = folder.secrets / "proofs.sqlite"

        def prove(jobs: Sequence[Job], say: Say) -> list[ProofFile]:
            with proof_pool(queue, self.prover, self.executor, say) as pool:
                return pool.prove(jobs)

        @cache
        def find(kind: str, depth: int) -> KeyFolder:
            """Find a key in the cache, and write its words to the run's evidence."""
            vk_id = self.chain.deployment.key(kind, stage.anchoring.slots, depth).vk_id
            key = find_key(self.key_cache, KeyId.parse(vk_id))
            write_atomically(folder.key(vk_id) / "vk.words", key.words)
            return key

        return ProofMaker(find, prove, self.say)


def _last_samples(history: History) -> dict[str, Record]:
    """The last `sample` record of the last merge and of the last quantization, where there is one.

    It is the one that counts for a verifier.
    """
    stages = {Merge.TYPE: history.merges, Quantize.TYPE: history.quantizations}
    found = {name: history.sample_of(stages[name][-1]) for name in STAGES if stages[name]}
    return {name: sample.record for name, sample in found.items() if sample is not None}


def is_stage_proven(history: History, name: str, models: Address) -> bool:
    """Whether the last merge (or quantization, by `name`) was proven on this model ledger."""
    sample = _last_samples(history).get(name)
    return sample is not None and sample.fields["ledger"] == models


def stale_samples(history: History, models: Address) -> list[Address]:
    """The other model ledgers on which a stage was proven last."""
    found = _last_samples(history).values()
    return [r.fields["ledger"] for r in found if r.fields["ledger"] != models]


class RunWeights:
    """A run's last merge and quantization. The merged model, which both need, is hashed once.

    Raises:
        Conflict: the run was not merged and quantized yet, or the quantization is not of the last
            merge.
    """

    def __init__(self, log: OpenLog, owner: WeightProver, draws: int) -> None:
        self._log, self._owner, self._draws = log, owner, draws
        self._made, self._quantized = log.last_merge().record, log.last_quantization().record
        self._merge, self._quantize = self._made.fields, self._quantized.fields
        if self._quantize["source"] != merged_of(self._made).name:
            raise Conflict(
                "the last quantization is not of the last merge",
                where=str(log.folder.root),
                hint="provenance quantize",
            )

    def require_provable(self) -> None:
        """Check all blocks before an anchoring is paid for; else only an unlucky draw would fail.

        Raises:
            InputError: the deployed file holds blocks that no proof can open.
        """
        deployed = self._owner.inspector.deployed(self._log.quantized_file())
        deployed.require_provable(self._merge["adapted"])

    def require_keys(self, names: Sequence[str]) -> None:
        """Find every key that proofs of these stages need before the first is paid for.

        Raises:
            ConfigError: the contracts pin none for some; it names all of them.
            NotFound: the cache lacks some; it names all of them.
        """
        if not names:
            return
        quantization = quantization_kind(self._quantize["quantization"]).name
        kinds = {"merge": "merge", "quantize": quantization}
        owner, adapter = self._owner, self._log.folder.adapter
        wanted = adapter_keys(owner.inspector, adapter, [kinds[name] for name in names])
        require_keys(owner.chain.deployment, owner.key_cache, wanted)

    def stage(self, name: str) -> StageWeights:
        """A stage with its weights.

        Raises:
            InputError: no weights are known for this stage.
            VerificationError: weights beside the log are not the logged ones.
            ConfigError: the contract pins no key for the stage.
        """
        makers = {"merge": self._merge_weights, "quantize": self._quantize_weights}
        if name not in makers:
            raise InputError(
                "no weights are known for this stage", expected=" or ".join(makers), actual=name
            )
        return makers[name]()

    def _merge_weights(self) -> StageWeights:
        return MergeWeights.of(self._owner.prover, self._merged_model(), self._size("merge"))

    def _quantize_weights(self) -> StageWeights:
        model = self._quantized_model()
        return QuantizeWeights.of(self._owner.prover, model, self._size(model.kind))

    def _size(self, kind: str) -> SampleSize:
        return SampleSize(self._draws, self._owner.chain.deployment.key(kind).slots)

    @cached_property
    def _merged(self) -> StoredModel:
        folder = self._required("merged", self._log.folder.merged)
        return StoredModel(self._owner.inspector.tensor_files(folder))

    def _merged_model(self) -> MergedModel:
        folder, inspector = self._log.folder, self._owner.inspector
        base = self._required("base", Path(str(read_json(folder.info)["base"])))
        adapter = self._required("adapter", folder.adapter)
        (file,) = set(inspector.tensor_files(adapter).values())
        return MergedModel(
            StoredModel(inspector.tensor_files(base)),
            Factors(file, inspector.adapter_factors(adapter)),
            self._merged,
            Fraction(self._merge["scale"]),
            Digest.parse(self._merge["merged"]),
        )

    def _required(self, what: str, folder: Path) -> Path:
        """A folder that the merge names; raises VerificationError if it is another one."""
        folder_of(self._made, what).require(folder)
        return folder

    def _quantized_model(self) -> QuantizedModel:
        deployed = self._owner.inspector.deployed(self._log.quantized_file())

        def read(tensor: Tensor, block: int) -> bytes:
            return deployed.block(tensor.name, tensor.rows, tensor.row_blocks, block)

        return QuantizedModel(
            quantization_kind(self._quantize["quantization"]).name,
            self._merged,
            self._merge["adapted"],
            read,
            Digest.parse(self._quantize["file"]),
        )
