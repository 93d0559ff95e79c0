"""What `provenance prove RUN --weights` does: prove sampled blocks of a run's merge and
quantization, and log it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from provenance.artifacts.content import content_digest
from provenance.artifacts.tensors import Tensor
from provenance.chain.deploy import Deployment
from provenance.chain.session import Session
from provenance.digest import Digest
from provenance.errors import Conflict, VerificationError
from provenance.layout import RunFolder, read_json, write_atomically, write_json
from provenance.log.record import Record
from provenance.log.run_log import OpenLog, anchor, open_log, run_id_of
from provenance.settings import Settings
from provenance.statements import STAGES, quantization_kind
from provenance.verify.protocols import FormatInspector
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, find_key
from provenance_zk.statements import ProofFile
from provenance_zk.weights import samples
from provenance_zk.weights.proving import Progress, Prove, Stage, make_proofs, prove_stage
from provenance_zk.weights.stages import Factors, MergeStage, Model, QuantizeStage
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.pool import Executor, proof_pool

Workers = tuple[ZkProver, Executor]  # what commits, and what makes proofs


def prove_weights(
    run: Path,
    draws: int,
    session: Session,
    workers: Workers,
    settings: Settings,
    inspector: FormatInspector,
    progress: Progress,
) -> dict[str, Any]:
    """Prove the last merge and its quantization, each in its own anchoring; what is proven already
    is left alone.

    Raises:
        Conflict: the run was not merged and quantized yet.
        VerificationError: weights beside the log are not the logged ones.
        InputError: the deployed file holds what no proof can open.
    """

    folder = RunFolder(run).require()
    with open_log(folder) as log:
        run_id, address = run_id_of(folder), session.deployment.models
        weights = _Weights(log, folder, draws, workers[0], inspector, session.deployment)
        weights.require_provable()
        progress("anchoring the log")
        anchor(session, log)
        for name in STAGES:
            if not _is_proven(log, name):
                stage = weights.stage(name)
                keys = _KeyFinder(settings, session.deployment, folder, stage)
                log.append(
                    prove_stage(
                        stage,
                        run_id,
                        session,
                        address,
                        keys,
                        _proving(folder, workers),
                        folder,
                        progress,
                    )
                )
        progress("anchoring the sample records")
        head = anchor(session, log)
        numbers = {name: _last_sample(log, name) for name in STAGES}
    return {
        "format": "provenance-proved-weights/1",
        "run_id": "0x" + run_id.hex(),
        "records": head.size,
        "anchorings": {
            name: record.fields["number"] for name, record in numbers.items() if record is not None
        },
    }


def open_weights(
    run: Path,
    nonce: bytes,
    draws: int,
    out: Path,
    session: Session,
    workers: Workers,
    settings: Settings,
    inspector: FormatInspector,
    progress: Progress,
) -> dict[str, Any]:
    """Open blocks at a nonce that somebody demands, of every stage that was proven; nothing is
    anchored.

    Raises:
        Conflict: no stage was proven yet.
    """

    folder, made = RunFolder(run).require(), {}
    with open_log(folder) as log:
        weights = _Weights(log, folder, draws, workers[0], inspector, session.deployment)
        for name in STAGES:
            record = _last_sample(log, name)
            if record is None or not _is_proven(log, name):
                continue
            stage = weights.stage(name)
            seed = samples.opening_seed(bytes.fromhex(record.fields["anchoring"][2:]), nonce)
            wanted = samples.groups(seed, stage.tables["merged"], draws, stage.anchoring.slots)
            keys = _KeyFinder(settings, session.deployment, folder, stage)
            write_json(
                out / name / "opening.json",
                {"format": "provenance-opening/1", "nonce": "0x" + nonce.hex(), "draws": draws},
            )
            made[name] = len(
                make_proofs(stage, wanted, keys, _proving(folder, workers), out / name, progress)
            )
    if not made:
        raise Conflict(
            "nothing to open: no stage of this run was proven",
            where=str(run),
            hint="provenance prove RUN --weights",
        )
    return {
        "format": "provenance-opened/1",
        "out": str(out),
        "nonce": "0x" + nonce.hex(),
        "draws": draws,
        "proofs": made,
    }


def _last_sample(log: OpenLog, name: str) -> Record | None:
    return next(
        (r for r in reversed(log.records) if r.type == "sample" and r.fields["stage"] == name), None
    )


def _is_proven(log: OpenLog, name: str) -> bool:
    """Whether the stage's last record is followed by a proof of it."""
    sample = _last_sample(log, name)
    return sample is not None and log.records.index(sample) > log.records.index(log.last(name))


def _proving(folder: RunFolder, workers: Workers) -> Prove:
    """Proofs through the run's queue."""

    def prove(jobs: Sequence[Job], tell: Progress) -> list[ProofFile]:
        with proof_pool(folder.secrets / "proofs.sqlite", *workers, tell) as pool:
            return pool.prove(jobs)

    return prove


class _Weights:
    """A run's last merge and quantization; what both stages speak about is hashed once.

    Raises:
        Conflict: the run was not merged and quantized yet.
    """

    def __init__(
        self,
        log: OpenLog,
        folder: RunFolder,
        draws: int,
        prover: ZkProver,
        inspector: FormatInspector,
        deployment: Deployment,
    ) -> None:
        self._log, self._folder, self._draws = log, folder, draws
        self._prover, self._inspector, self._deployment = prover, inspector, deployment
        self._merge, self._quantize = log.last("merge").fields, log.last("quantize").fields
        if self._quantize["source"] != self._merge["merged"]:
            raise Conflict(
                "the last quantization is not of the last merge",
                where=str(folder.root),
                hint="provenance quantize",
            )
        self._merged: Model | None = None

    def require_provable(self) -> None:
        """Check what would come to light by an unlucky draw only, before an anchoring is paid for.

        Raises:
            InputError: the deployed file holds what no proof can open.
        """
        self._inspector.deployed(self._log.quantized_file()).require_provable(
            self._merge["adapted"]
        )

    def stage(self, name: str) -> Stage:
        """A stage with its weights at hand.

        Raises:
            VerificationError: weights beside the log are not the logged ones.
            ConfigError: the contract pins no key for it.
        """

        if self._merged is None:
            self._merged = Model(
                self._inspector.tensor_files(_require(self._folder.merged, self._merge["merged"]))
            )
        return (
            self._merge_stage(self._merged)
            if name == "merge"
            else self._quantize_stage(self._merged)
        )

    def _merge_stage(self, merged: Model) -> Stage:

        merge, inspector = self._merge, self._inspector
        base = Model(
            inspector.tensor_files(
                _require(Path(str(read_json(self._folder.info)["base"])), merge["base"])
            )
        )
        adapter = _require(self._folder.adapter, merge["adapter"])
        (file,) = set(inspector.tensor_files(adapter).values())
        return MergeStage.of(
            self._prover,
            base,
            Factors(file, inspector.adapter_factors(adapter)),
            merged,
            scale=Fraction(merge["scale"]),
            content=Digest.parse(merge["merged"]),
            draws=self._draws,
            slots=self._deployment.key("merge").slots,
        )

    def _quantize_stage(self, merged: Model) -> Stage:

        kind = quantization_kind(self._quantize["quantization"]).name
        slots = self._deployment.key(kind).slots
        deployed = self._inspector.deployed(self._log.quantized_file())

        def read(tensor: Tensor, block: int) -> bytes:
            return deployed.block(tensor.name, tensor.rows, tensor.row_blocks, block)

        return QuantizeStage.of(
            self._prover,
            merged,
            self._merge["adapted"],
            read,
            kind=kind,
            file=Digest.parse(self._quantize["file"]),
            draws=self._draws,
            slots=slots,
        )


def _require(path: Path, expected: str) -> Path:
    """A folder of weights with the logged content digest."""
    actual = str(content_digest(path))
    if actual != expected:
        raise VerificationError(
            "weights are not the logged ones", where=str(path), expected=expected, actual=actual
        )
    return path


class _KeyFinder:
    """Proving keys that the deployed contract pins; their words are laid beside the evidence."""

    def __init__(
        self, settings: Settings, deployment: Deployment, folder: RunFolder, stage: Stage
    ) -> None:
        self._cache = settings.cache / "keys"
        self._deployment, self._folder, self._slots = deployment, folder, stage.anchoring.slots

    def __call__(self, kind: str, depth: int) -> KeyFolder:

        vk_id = self._deployment.key(kind, self._slots, depth).vk_id
        key = find_key(self._cache, bytes.fromhex(vk_id[2:]))
        write_atomically(self._folder.key(vk_id) / "vk.words", key.words)
        return key
