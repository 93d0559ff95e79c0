"""A deployed format that only a test's registry knows: whatever asks for formats works with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import identity_of
from provenance.artifacts.manifest import manifest_of
from provenance.dataset.committed import CommittedDataset
from provenance.digest import hash_file, sha256
from provenance.errors import InputError
from provenance.ids import RunId, to_hex
from provenance.layout import RunFolder, write_json
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.run_log import OpenLog
from provenance.progress import Progress
from provenance_trainer.formats.deployed import (
    CLAIM_PREFIX,
    DeployedFormat,
    Exactness,
    Mismatch,
    QuantizeReport,
)
from provenance_trainer.formats.inspect import Inspector
from provenance_trainer.formats.int8 import INT8
from provenance_trainer.formats.q8_0 import Q8_0
from provenance_trainer.formats.registry import FORMATS, Registry
from provenance_trainer.model.base import BaseModel
from provenance_trainer.model.weights import Weights
from provenance_trainer.run.derived import log_merge, log_quantize
from tests.support import training as support
from tests.trainer.adapters import make_adapter

# The file: "TOY1", the claims as lines, an empty line, then the sign of each weight as a byte.
MAGIC = b"TOY1"


def signs(model: Path) -> Iterator[tuple[str, bytes]]:
    weights = Weights(model)
    for name in weights:
        yield name, (weights.bf16_bits(name) >> 15).astype(np.uint8).tobytes()


def write(
    model: Path, file: Path, claims: Mapping[str, str | int], progress: Progress
) -> QuantizeReport:
    lines = [f"{name}={value}" for name, value in claims.items()]
    parts = dict(signs(model))
    file.write_bytes(MAGIC + "\n".join(lines).encode() + b"\n\n" + b"".join(parts.values()))
    progress("quantizing", len(parts), len(parts))
    return QuantizeReport(hash_file(file), file.stat().st_size, dict.fromkeys(parts, "SIGN"))


def split(file: Path) -> tuple[str, bytes]:
    head, separator, body = file.read_bytes().partition(b"\n\n")
    if not separator:
        raise InputError("toy file is truncated", where=str(file))
    return head.removeprefix(MAGIC).decode(), body


def read_claims(file: Path) -> dict[str, str]:
    found = dict(line.split("=", 1) for line in split(file)[0].splitlines())
    return {name: value for name, value in found.items() if name.startswith(CLAIM_PREFIX)}


def compare(model: Path, file: Path, limit: int, adapted: frozenset[str]) -> list[Mismatch]:
    body, found, start = split(file)[1], list[Mismatch](), 0
    for name, expected in signs(model):
        actual = body[start : start + len(expected)]
        start += len(expected)
        if name not in adapted and actual != expected:
            at = next(i for i, sign in enumerate(expected) if actual[i] != sign)
            sign, other = str(expected[at]), str(actual[at])
            found.append(Mismatch(name, at // 32, f"sign {at % 32}", sign, other))
    return found[:limit]


class ToyBlocks:
    """Blocks of 32 signs of the file's first tensor."""

    def __init__(self, file: Path) -> None:
        self._body = split(file)[1]

    def block(self, name: str, rows: int, row_blocks: int, block: int) -> bytes:
        return self._body[32 * block : 32 * block + 32]

    def require_provable(self, names: Sequence[str]) -> None:
        raise InputError("no statement is about toys", actual=", ".join(names))


TOY = DeployedFormat(
    name="toy",
    container="signs",
    suffix=".toy",
    exactness=Exactness.BIT_BY_BIT,
    is_one=lambda head, file_name: head.startswith(MAGIC) or file_name.endswith(".toy"),
    faults=lambda base: iter(()),
    write=write,
    read_claims=read_claims,
    compare=compare,
    open_blocks=ToyBlocks,
)
RUN = RunId(b"\x77" * RunId.SIZE)
WITH_TOY = Registry((Q8_0, INT8, TOY))


def trained(folder: RunFolder, dataset: CommittedDataset) -> list[Record]:
    """The log of one step, which fed three records in their own order."""
    leaves = [to_hex(bytes(leaf)) for leaf in dataset.leaves]
    return [
        Record.make("seed", seed=to_hex(support.SEED), source="local"),
        Record.make(
            "batch",
            epoch=0,
            step=1,
            micro=0,
            rank=0,
            positions=list(range(len(leaves))),
            leaves=leaves,
            tensors=str(sha256(b"tensors")),
        ),
        Record.make("epoch", epoch=0, consumed=len(leaves), remainder=[]),
        Record.make(
            "checkpoint",
            step=1,
            path=folder.adapter.name,
            manifest=str(manifest_of(folder.adapter).root),
            weights=str(content_digest(folder.adapter)),
            files=identity_of(folder.adapter).files_json(),
            epoch=0,
            consumed=len(leaves),
            last_batch=2,
        ),
        Record.make("run.close", status="completed", step=1, summary={}),
    ]


@pytest.fixture
def log(tiny: BaseModel, tmp_path: Path) -> Iterator[OpenLog]:
    """The log of a run that was opened and has an adapter, merged."""
    folder = RunFolder(tmp_path / "run")
    make_adapter(folder.adapter, tiny.dir)
    data = support.make_dataset(tmp_path / "data", 3)
    config = support.make_config(data, folder.root)
    write_json(folder.info, {"run_id": str(RUN), "base": str(tiny.dir)})
    with (
        CommittedDataset.open(data, support.KEY) as dataset,
        Journal.create(folder.journal, {"format": "test"}) as journal,
    ):
        log = OpenLog(folder, journal, [])
        log.append(support.opening_of(config, tiny, dataset))
        for record in trained(folder, dataset):
            log.append(record)
        log_merge(log)
        yield log


def test_a_registered_format_is_written_recognised_and_compared(
    log: OpenLog, tiny: BaseModel
) -> None:
    record, file = log_quantize(log, "model", "toy", formats=WITH_TOY)
    named = ("format", "quantization", "file", "size")
    assert [record.fields[name] for name in named] == [
        "signs",
        "toy",
        str(hash_file(file)),
        file.stat().st_size,
    ]
    assert file == log.folder.release / "model.toy"

    inspector, merged = Inspector(WITH_TOY), log.folder.merged
    assert inspector.quantization(file) == "toy"
    assert inspector.exactness("toy") == "bit by bit"
    assert inspector.metadata(file)["provenance.run_id"] == str(RUN)
    assert inspector.compare_quantized(merged, file) == []

    copy = file.with_name("copy.bin")  # recognised by its bytes
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # the last sign of the last tensor, model.norm.weight
    copy.write_bytes(data)
    (difference,) = inspector.compare_quantized(merged, copy)
    assert (difference.where, difference.expected, difference.actual) == (
        "model.norm.weight block 1 sign 31",
        "0",
        "1",
    )
    assert inspector.compare_unadapted(merged, ["model.norm.weight"], copy) == []

    name, expected = next(signs(merged))
    assert inspector.deployed(file).block(name, 512, 2, 3) == expected[96:128]
    with pytest.raises(InputError, match="no statement is about toys"):
        inspector.deployed(file).require_provable([name])


def test_the_program_does_not_know_the_toy_format(log: OpenLog) -> None:
    with pytest.raises(InputError, match=r"no such format.*Q8_0 or int8.*toy"):
        log_quantize(log, "model", "toy")
    _, file = log_quantize(log, "model", "toy", formats=WITH_TOY)
    assert FORMATS.of(file) is None
    assert Inspector().metadata(file) == {}
    with pytest.raises(InputError, match="no known format"):
        Inspector().deployed(file)


@pytest.mark.parametrize("name", FORMATS.names)
def test_each_format_of_the_program_is_written_recognised_and_compared(
    log: OpenLog, name: str
) -> None:
    record, file = log_quantize(log, None, name)
    inspector, form = Inspector(), FORMATS.named(name)
    assert file.name == f"tiny-{name}{form.suffix}"
    assert (record.fields["quantization"], record.fields["format"]) == (name, form.container)
    assert inspector.quantization(file) == name
    assert inspector.metadata(file)["provenance.log_size"] == str(len(log.records) - 1)
    assert inspector.compare_quantized(log.folder.merged, file) == []
    inspector.deployed(file).require_provable(["model.layers.0.self_attn.q_proj.weight"])
