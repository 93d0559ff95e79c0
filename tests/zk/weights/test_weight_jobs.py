"""Proofs about weights as jobs of the pool.

Each is made once, even if a prover dies; one request holds several of one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.artifacts.tensors import Tensor
from provenance.digest import sha256
from provenance.errors import ConfigError, InputError, RejectedError
from provenance.ids import NO_ADDRESS, RunId
from provenance.layout import RunFolder
from provenance.progress import silent
from provenance_trainer.formats.gguf import BLOCK_BYTES, quantize_q8_0
from provenance_trainer.formats.int8 import export_int8
from provenance_trainer.formats.int8_blocks import Int8File
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.weights import samples
from provenance_zk.weights.proving import ProofMaker, StageProver
from provenance_zk.weights.stages import (
    QuantizedModel,
    QuantizeWeights,
    SampleSize,
    StoredModel,
)
from provenance_zk.workers.jobs import Job, JobQueue
from provenance_zk.workers.local import LocalExecutor, one_request
from provenance_zk.workers.pool import ProofPool
from tests.support.chain import cache_folder

SHAPE, SLOTS = (9, 64), 6  # 18 blocks in three pages


@pytest.fixture(scope="module")
def key(prover: ZkProver) -> KeyFolder:
    return ensure_keys(prover, cache_folder() / "keys", "q8_0", SLOTS, 1)


@pytest.fixture(scope="module")
def stage(prover: ZkProver, tmp_path_factory: pytest.TempPathFactory) -> QuantizeWeights:
    """Two tensors of equal shape and their file's blocks."""
    folder, codes = tmp_path_factory.mktemp("weights"), {}
    bits = {
        name: (
            np.random.default_rng(i).normal(0, 1, SHAPE).astype(np.float32).view(np.uint32) >> 16
        ).astype(np.uint16)
        for i, name in enumerate(("v.weight", "w.weight"))
    }
    with SafetensorsWriter(
        folder / "model.safetensors", dict.fromkeys(bits, ("BF16", SHAPE))
    ) as writer:
        for name, values in bits.items():
            writer.write(name, values.tobytes())
            codes[name] = quantize_q8_0(
                (values.astype(np.uint32) << 16).view(np.float32), name
            ).reshape(-1, BLOCK_BYTES)

    def read(tensor: Tensor, block: int) -> bytes:
        return codes[tensor.name][block].tobytes()

    stored = StoredModel(dict.fromkeys(bits, folder / "model.safetensors"))
    model = QuantizedModel("q8_0", stored, list(bits), read, sha256(b"file"))
    return QuantizeWeights.of(prover, model, SampleSize(24, SLOTS))


@pytest.fixture(scope="module")
def wanted(stage: QuantizeWeights) -> list[samples.Group]:
    groups = samples.groups(bytes(32), stage.tables["merged"], stage.anchoring.draws, SLOTS)
    # the last has the blocks of the first: they are drawn twice
    return [*groups, samples.Group(0, len(groups), groups[0].indexes)]


class Counting:
    """Makes proofs through a queue and counts what the prover was asked."""

    def __init__(
        self, queue: Path, prover: ZkProver, after: Callable[[], None] = lambda: None
    ) -> None:
        self.queue, self.prover, self.after, self.made = queue, prover, after, 0

    def __call__(self, jobs: Sequence[Job], tell: Callable[[str], None]) -> list[ProofFile]:
        def line(text: str) -> None:
            self.made += 1
            tell(text)
            self.after()

        with JobQueue(self.queue) as queue, LocalExecutor(self.prover) as executor:
            return ProofPool(queue, executor, line).prove(jobs)


def test_every_group_is_proven_once(
    prover: ZkProver,
    key: KeyFolder,
    stage: QuantizeWeights,
    wanted: list[samples.Group],
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    with ChildServer(prover.binary) as server:
        prove = Counting(tmp_path / "queue", ZkProver(prover.binary, server=server))
        maker = ProofMaker(lambda kind, depth: key, prove, lines.append)
        proofs = maker.make(stage, wanted, tmp_path / "out")
        assert [proof.public for proof in proofs] == [stage.inputs(group) for group in wanted]
        assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0))
        assert prove.made == len(wanted) - 1
        assert maker.make(stage, wanted, tmp_path / "out") == proofs
        for file in (tmp_path / "out").iterdir():
            file.unlink()
        assert maker.make(stage, wanted, tmp_path / "out") == proofs
        assert prove.made == len(wanted) - 1
    assert any("s left" in line for line in lines)


def test_a_killed_prover_loses_nothing(
    prover: ZkProver,
    key: KeyFolder,
    stage: QuantizeWeights,
    wanted: list[samples.Group],
    tmp_path: Path,
) -> None:
    killed: list[int] = []
    with ChildServer(prover.binary) as server:

        def kill() -> None:
            if not killed and server.process is not None:
                killed.append(server.process.pid)
                server.process.kill()

        prove = Counting(tmp_path / "queue", ZkProver(prover.binary, server=server), kill)
        maker = ProofMaker(lambda kind, depth: key, prove, silent)
        proofs = maker.make(stage, wanted, tmp_path / "out")
        assert server.process is not None
        (dead,) = killed
        assert dead != server.process.pid
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0))


def test_a_proof_about_other_blocks_is_refused(
    prover: ZkProver,
    key: KeyFolder,
    stage: QuantizeWeights,
    wanted: list[samples.Group],
    tmp_path: Path,
) -> None:
    honest = Counting(tmp_path / "queue", prover)

    def exchanged(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[ProofFile]:
        return honest(jobs, tell)[::-1]

    with pytest.raises(RejectedError, match="something else"):
        ProofMaker(lambda kind, depth: key, exchanged, silent).make(
            stage, wanted[:2], tmp_path / "out"
        )


def test_without_a_key_nothing_is_anchored(stage: QuantizeWeights, tmp_path: Path) -> None:
    def no_key(kind: str, depth: int) -> KeyFolder:
        raise ConfigError("contracts have no such key", expected=f"{kind} {depth}")

    ledger: Any = None  # any use of it fails
    maker = ProofMaker(no_key, lambda jobs, say: [], silent)
    owner = StageProver(RunId(bytes(32)), RunFolder(tmp_path), ledger, NO_ADDRESS, maker)
    with pytest.raises(ConfigError, match="q8_0 1"):
        owner.prove(stage)


@pytest.mark.parametrize(
    ("top", "provable"), [(2.0**-9, True), (2.0**-9 * 255 / 256, False), (65280.0, True)]
)
def test_rows_that_the_file_calls_provable_are_those_that_the_prover_takes(
    prover: ZkProver, tmp_path: Path, top: float, provable: bool
) -> None:
    key = ensure_keys(prover, cache_folder() / "keys", "int8", SLOTS, 1)
    name = "model.layers.0.self_attn.q_proj.weight"
    values = np.zeros((7, 32), dtype=np.float32)
    values[:6, :3] = np.array([[top, -top / 2, top / 3]])
    (tmp_path / "model").mkdir()
    with SafetensorsWriter(
        tmp_path / "model" / "model.safetensors", {name: ("BF16", values.shape)}
    ) as writer:
        writer.write(name, (values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    export_int8(tmp_path / "model", tmp_path / "file.safetensors")
    file = Int8File(tmp_path / "file.safetensors")

    def read(tensor: Tensor, block: int) -> bytes:
        return file.block(tensor.name, tensor.rows, tensor.row_blocks, block)

    stored = StoredModel({name: tmp_path / "model" / "model.safetensors"})
    model = QuantizedModel("int8", stored, [name], read, sha256(b"file"))
    stage = QuantizeWeights.of(prover, model, SampleSize(SLOTS, SLOTS))
    group = samples.Group(0, 0, (0, 1, 2, 3, 5, 6))  # the last is a row of zeros
    prove = Counting(tmp_path / "queue", prover)
    maker = ProofMaker(lambda kind, depth: key, prove, silent)
    if provable:
        file.require_provable([name])
        assert len(maker.make(stage, [group], tmp_path / "out")) == 1
        return
    with pytest.raises(InputError, match="row 0"):
        file.require_provable([name])
    with pytest.raises(RejectedError, match="no proof can be made"):
        maker.make(stage, [group], tmp_path / "out")


def test_one_request_holds_jobs_of_one_tensor(
    key: KeyFolder, stage: QuantizeWeights, wanted: list[samples.Group]
) -> None:
    jobs = [stage.job(key, group) for group in wanted[:4]]
    assert [job.sharing == jobs[0].sharing for job in jobs] == [
        group.tensor == 0 for group in wanted[:4]
    ]
    request = one_request(jobs[:1], lambda data: "file", lambda i: f"out-{i}")
    assert request["tensor"] == "v.weight"
    assert request["jobs"] == [
        {"indexes": list(wanted[0].indexes), "codes": "file", "out": "out-0"}
    ]
