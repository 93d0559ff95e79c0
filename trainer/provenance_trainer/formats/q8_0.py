"""The format Q8_0: a GGUF file, recomputed bit by bit. Normative: docs/formats/gguf.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType, GGUFValueType

from provenance.artifacts.once import known_facts
from provenance.digest import OwnPath, open_regular, sha256
from provenance.errors import InputError, ProvenanceError
from provenance.progress import Progress
from provenance.text.shown import told
from provenance_trainer.formats.deployed import (
    DeployedFormat,
    Exactness,
    Mismatch,
    QuantizeReport,
)
from provenance_trainer.formats.gguf import (
    BLOCK_BYTES,
    FREE_PREFIXES,
    PlannedTensor,
    computed,
    computed_of,
    export_gguf,
    plan_tensors,
    read_claims,
)
from provenance_trainer.formats.gguf_blocks import GgufFile
from provenance_trainer.formats.gguf_file import (
    Field,
    GgufHeader,
    TensorEntry,
    read_header,
    read_tensor,
)
from provenance_trainer.formats.gguf_keys import metadata, sliding_window
from provenance_trainer.formats.gguf_model import (
    Key,
    ModelFolder,
    open_model,
    tensor_bits,
    tensor_names,
)
from provenance_trainer.formats.gguf_rope import rope_of
from provenance_trainer.formats.tokenizer.keys import tokenizer_form_faults, tokenizer_keys

_MAGIC = b"GGUF"
_THREADS = min(4, os.cpu_count() or 1)
_SUFFIX = ".gguf"


def gguf_faults(base: Path) -> Iterator[ProvenanceError]:
    """What of a base model a GGUF file cannot hold, or its readers compute in another way.

    Args:
        base: Folder of the base; links are followed.
    """
    try:
        model = open_model(OwnPath(base))
    except InputError as error:
        yield error
        return
    yield from _decoder_faults(model)
    refused = list(_raised(model))
    yield from refused
    try:
        yield from tokenizer_form_faults(model)
    except InputError as error:
        if str(error) not in map(str, refused):  # the keys tell it as well
            yield error


def _decoder_faults(model: ModelFolder) -> Iterator[InputError]:
    where, config = str(model.path / "config.json"), model.config
    if (activation := config.get("hidden_act", "silu")) != "silu":
        yield InputError(
            "activation is not known to readers of GGUF files",
            where=f"{where} hidden_act",
            expected="silu",
            actual=activation,
        )
    architecture = model.shape.architecture
    if architecture.head_norms and model.shape.biases:
        yield InputError(
            "biases are not known to readers of this architecture",
            where=f"{where} attention_bias",
            expected="false",
            actual=", ".join(model.shape.biases),
        )


def _raised(model: ModelFolder) -> Iterator[InputError]:
    """What the steps of writing refuse, each by itself."""
    steps: tuple[Callable[[ModelFolder], object], ...] = (
        rope_of,
        sliding_window,
        tensor_names,
        tokenizer_keys,
    )
    for step in steps:
        try:
            step(model)
        except InputError as error:
            yield error


def write_gguf(
    model_dir: Path, out_file: Path, claims: Mapping[str, str | int], progress: Progress
) -> QuantizeReport:
    """`export_gguf` of a model that readers of the file compute as transformers does.

    Raises:
        InputError: they do not, or a file cannot hold the model.
        Conflict: `out_file` exists.
        UnavailableError: the disk refused.
    """
    for fault in gguf_faults(model_dir):
        raise fault
    return export_gguf(model_dir, out_file, claims, progress)


def compare_gguf(
    model_dir: Path, gguf_file: Path, limit: int = 20, adapted: frozenset[str] = frozenset()
) -> list[Mismatch]:
    """Recompute a GGUF file from weights; an empty list means that it is exact.

    Exact means that every tensor, and every key that changes what the file computes, is the same
    bit by bit.

    Args:
        model_dir: The merged bfloat16 folder; or the base model, if `adapted` is given.
        gguf_file: Attacker-controlled.
        limit: The largest number of differences to return. Of each tensor only the first is named.
        adapted: Tensors whose types and shapes are compared, but not their values.

    Raises:
        InputError: the file or the folder is malformed. If the file is truncated, the error names
            expected and actual sizes.
    """
    header, model = read_header(gguf_file), open_model(model_dir)
    found = [*_compare_keys(_keys(model), header), *_compare_size(header)]
    plans = {plan.name: plan for plan in plan_tensors(model)}
    for name in sorted(header.tensors.keys() - plans.keys()):
        found.append(Mismatch(name, None, "tensor", "absent", "present"))

    with open_regular(gguf_file) as stream:
        comparison = _Comparison(model, gguf_file, header, adapted, known_facts(stream))
    # numpy computes without Python's lock. Few threads, because each holds a tensor in float32.
    threads = ThreadPoolExecutor(_THREADS)
    try:
        for wrong in threads.map(comparison.of, plans.values()):
            found += wrong
            if len(found) >= limit:
                break
    finally:
        threads.shutdown(cancel_futures=True)
    return found[:limit]


@dataclass(frozen=True)
class _Comparison:
    """Compares tensors of a file with those computed from a model. Threads may share it.

    equal: (tensor, type, SHA-256 of bits) of what was quantized and found in this very file before
        in this verification. Most tensors of base and merged model have the same bits.
    reading: descriptors of a held file may share one position.
    """

    model: ModelFolder
    file: Path
    header: GgufHeader
    adapted: frozenset[str]
    equal: set[Hashable] | None
    reading: Lock = field(default_factory=Lock)

    def of(self, plan: PlannedTensor) -> list[Mismatch]:
        """The differences of one tensor."""
        entry = self.header.tensors.get(plan.name)
        wrong = _compare_shape(plan, entry)
        if entry is None or wrong or plan.source in self.adapted:
            return wrong
        if plan.source is None:
            return _compare_values(plan, computed(self.model, plan), self._read(entry))
        bits = tensor_bits(self.model, plan.name, plan.source)
        if self.equal is None:
            return self._of_bits(plan, entry, bits)
        fact = (plan.name, plan.type, sha256(bits.tobytes()))
        if fact in self.equal:
            return []
        if not (wrong := self._of_bits(plan, entry, bits)):
            self.equal.add(fact)
        return wrong

    def _of_bits(self, plan: PlannedTensor, entry: TensorEntry, bits: np.ndarray) -> list[Mismatch]:
        return _compare_values(plan, computed_of(self.model, plan, bits), self._read(entry))

    def _read(self, entry: TensorEntry) -> bytes:
        with self.reading:
            return read_tensor(self.file, entry)


def _keys(model: ModelFolder) -> list[Key]:
    architecture = model.shape.architecture.gguf
    return [Key("general.architecture", GGUFValueType.STRING, architecture), *metadata(model)]


def _compare_keys(expected: list[Key], header: GgufHeader) -> Iterator[Mismatch]:
    wanted = {key.name: key for key in expected if key.value != []}
    for name, key in wanted.items():
        field = header.fields.get(name)
        kind, is_array = key.item if key.item is not None else key.kind, key.item is not None
        values = [key.value] if key.earlier is None else [key.value, key.earlier]
        if field not in [Field(kind, is_array, value) for value in values]:
            yield Mismatch("metadata", None, told(name), *_shown(key.value, field))
    for name in header.fields.keys() - wanted.keys():
        if not name.startswith(FREE_PREFIXES):
            held = _short(header.fields[name].value)
            yield Mismatch("metadata", None, told(name), "absent", held)


def _shown(expected: Any, field: Field | None) -> tuple[str, str]:
    """Both values as text. Of two lists, the first items that differ."""
    if field is None:
        return _short(expected), "absent"
    if isinstance(expected, list) and isinstance(field.value, list):
        pairs = enumerate(zip(expected, field.value, strict=False))
        for i, (left, right) in pairs:
            if left != right:
                return f"[{i}] {_short(left)}", f"[{i}] {_short(right)}"
        return f"{len(expected)} items", f"{len(field.value)} items"
    return _short(expected), _short(field.value)


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _compare_size(header: GgufHeader) -> Iterator[Mismatch]:
    field = header.fields.get("general.alignment")
    alignment = 32 if field is None else int(field.value)
    padded = -(-header.data_end // alignment) * alignment
    if header.size not in (padded, header.data_end):
        yield Mismatch("file", None, "size", f"{padded} bytes", f"{header.size} bytes")


def _compare_shape(plan: PlannedTensor, entry: TensorEntry | None) -> list[Mismatch]:
    if entry is None:
        return [Mismatch(plan.name, None, "tensor", "present", "absent")]
    if (entry.type, entry.shape) == (plan.type, plan.shape):
        return []
    expected, actual = f"{plan.type.name} {plan.shape}", f"{entry.type.name} {entry.shape}"
    return [Mismatch(plan.name, None, "type and shape", expected, actual)]


def _compare_values(plan: PlannedTensor, values: np.ndarray, data: bytes) -> list[Mismatch]:
    expected = values.reshape(-1).view(np.uint8)
    actual = np.frombuffer(data, dtype=np.uint8)
    differs = expected != actual
    return [_locate(plan, int(np.argmax(differs)), expected, actual)] if differs.any() else []


def _locate(plan: PlannedTensor, byte: int, expected: np.ndarray, actual: np.ndarray) -> Mismatch:
    """The mismatch for the value that the first differing byte belongs to."""
    if plan.type is GGMLQuantizationType.F32:
        i = byte // 4
        left, right = (a[4 * i : 4 * i + 4].view("<f4")[0] for a in (expected, actual))
        return Mismatch(plan.name, None, f"value {i}", repr(float(left)), repr(float(right)))
    block, inside = divmod(byte, BLOCK_BYTES)
    if inside < 2:
        at = block * BLOCK_BYTES
        left, right = (a[at : at + 2].view("<f2")[0] for a in (expected, actual))
        return Mismatch(plan.name, block, "scale", repr(float(left)), repr(float(right)))
    left, right = (a[byte : byte + 1].view(np.int8)[0] for a in (expected, actual))
    return Mismatch(plan.name, block, f"code {inside - 2}", str(int(left)), str(int(right)))


def _is_gguf(head: bytes, file_name: str) -> bool:
    return head.startswith(_MAGIC) or Path(file_name).suffix == _SUFFIX


Q8_0 = DeployedFormat(
    name="Q8_0",
    container="gguf",
    suffix=_SUFFIX,
    exactness=Exactness.BIT_BY_BIT,
    is_one=_is_gguf,
    faults=gguf_faults,
    write=write_gguf,
    read_claims=read_claims,
    compare=compare_gguf,
    open_blocks=GgufFile,
)
