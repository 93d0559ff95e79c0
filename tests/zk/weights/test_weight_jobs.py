"""Proofs about weights as jobs of the pool: once each, whatever dies, several of one tensor in one
request.
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
from provenance.layout import RunFolder
from provenance_trainer.formats.gguf import BLOCK_BYTES, quantize_q8_0
from provenance_trainer.formats.int8 import export_int8
from provenance_trainer.formats.int8_blocks import Int8File
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.statements import ProofFile
from provenance_zk.weights import samples
from provenance_zk.weights.proving import make_proofs, prove_stage
from provenance_zk.weights.stages import Model, QuantizeStage
from provenance_zk.workers.jobs import Job, JobQueue
from provenance_zk.workers.pool import LocalExecutor, ProofPool, split
from tests.support.chain import cache_folder

SHAPE, SLOTS = (9, 64), 6  # 18 blocks in three pages


@pytest.fixture(scope="module")
def key(prover: ZkProver) -> KeyFolder:
    return ensure_keys(prover, cache_folder() / "keys", "q8_0", SLOTS, 1)


@pytest.fixture(scope="module")
def stage(prover: ZkProver, tmp_path_factory: pytest.TempPathFactory) -> QuantizeStage:
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

    model = Model(dict.fromkeys(bits, folder / "model.safetensors"))
    return QuantizeStage.of(
        prover, model, list(bits), read, file=sha256(b"file"), draws=24, slots=SLOTS
    )


@pytest.fixture(scope="module")
def wanted(stage: QuantizeStage) -> list[samples.Group]:
    groups = samples.groups(bytes(32), stage.tables["merged"], stage.anchoring.draws, SLOTS)
    return [
        *groups,
        samples.Group(0, len(groups), groups[0].indexes),
    ]  # the same blocks drawn twice


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
    stage: QuantizeStage,
    wanted: list[samples.Group],
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    with ChildServer(prover.binary) as server:
        prove = Counting(tmp_path / "queue", ZkProver(prover.binary, server=server))
        proofs = make_proofs(
            stage, wanted, lambda kind, depth: key, prove, tmp_path / "out", lines.append
        )
        assert [proof.public for proof in proofs] == [stage.inputs(group) for group in wanted]
        assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0))
        assert prove.made == len(wanted) - 1
        assert (
            make_proofs(
                stage, wanted, lambda kind, depth: key, prove, tmp_path / "out", lines.append
            )
            == proofs
        )
        for file in (tmp_path / "out").iterdir():
            file.unlink()
        assert (
            make_proofs(
                stage, wanted, lambda kind, depth: key, prove, tmp_path / "out", lines.append
            )
            == proofs
        )
        assert prove.made == len(wanted) - 1
    assert any("s left" in line for line in lines)


def test_a_killed_prover_loses_nothing(
    prover: ZkProver,
    key: KeyFolder,
    stage: QuantizeStage,
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
        proofs = make_proofs(
            stage, wanted, lambda kind, depth: key, prove, tmp_path / "out", lambda _: None
        )
        assert server.process is not None
        assert killed != [server.process.pid]
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0))


def test_a_proof_about_other_blocks_is_refused(
    prover: ZkProver,
    key: KeyFolder,
    stage: QuantizeStage,
    wanted: list[samples.Group],
    tmp_path: Path,
) -> None:
    honest = Counting(tmp_path / "queue", prover)

    def exchanged(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[ProofFile]:
        return honest(jobs, tell)[::-1]

    with pytest.raises(RejectedError, match="something else"):
        make_proofs(
            stage, wanted[:2], lambda kind, depth: key, exchanged, tmp_path / "out", lambda _: None
        )


def test_without_a_key_nothing_is_anchored(stage: QuantizeStage, tmp_path: Path) -> None:
    def no_key(kind: str, depth: int) -> KeyFolder:
        raise ConfigError("contracts have no such key", expected=f"{kind} {depth}")

    ledger: Any = None  # whatever is asked of it fails
    with pytest.raises(ConfigError, match="q8_0 1"):
        prove_stage(
            stage,
            bytes(32),
            ledger,
            "0x",
            no_key,
            lambda jobs, tell: [],
            RunFolder(tmp_path),
            lambda _: None,
        )


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

    stage = QuantizeStage.of(
        prover,
        Model({name: tmp_path / "model" / "model.safetensors"}),
        [name],
        read,
        kind="int8",
        file=sha256(b"file"),
        draws=SLOTS,
        slots=SLOTS,
    )
    group = samples.Group(0, 0, (0, 1, 2, 3, 5, 6))  # the last is a row of zeros
    prove = Counting(tmp_path / "queue", prover)
    if provable:
        file.require_provable([name])
        assert (
            len(
                make_proofs(
                    stage, [group], lambda kind, depth: key, prove, tmp_path / "out", lambda _: None
                )
            )
            == 1
        )
        return
    with pytest.raises(InputError, match="row 0"):
        file.require_provable([name])
    with pytest.raises(RejectedError, match="no proof can be made"):
        make_proofs(
            stage, [group], lambda kind, depth: key, prove, tmp_path / "out", lambda _: None
        )


def test_one_request_holds_jobs_of_one_tensor(
    key: KeyFolder, stage: QuantizeStage, wanted: list[samples.Group]
) -> None:
    jobs = [stage.job(key, group) for group in wanted[:4]]
    assert [job.together == jobs[0].together for job in jobs] == [
        group.tensor == 0 for group in wanted[:4]
    ]
    request = split(jobs[:1], lambda data: "file", lambda i: f"out-{i}")
    assert request["tensor"] == "v.weight"
    assert request["jobs"] == [
        {"indexes": list(wanted[0].indexes), "codes": "file", "out": "out-0"}
    ]
