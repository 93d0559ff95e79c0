"""Roots of weight trees, computed by the prover or kept from an earlier verification.

A root is a function of a tensor's bytes, dtype, shape, layout and depth. What is new is copied into
a private file first and hashed as it is copied. So a root is kept under the digest of the bytes
that it was computed from, whoever writes to the weights in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance.artifacts.excerpt import Place, copy_tensors, find_tensors, hash_tensor
from provenance.artifacts.memo import Function, Kept, Memo
from provenance.artifacts.tensors import DType, Layout, Tensor
from provenance.digest import Digest
from provenance.errors import ProvenanceError
from provenance.ids import parse_word, to_word
from provenance.verify.protocols import CommittedTensors
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.request import private_folder
from provenance_zk.weights.stages import commit_tensors

ROOTS = Function("weight-root", 1)
_NUMBERS = ("rows", "columns", "depth", "blocks")
_BATCH_BYTES = 256 << 20  # copied at a time; a larger tensor alone

Wanted = tuple[str, Tensor]  # name in the files, and the entry to compare with


def commit_kept(
    prover: ZkProver, memo: Memo, files: Sequence[Path], tensors: Sequence[Wanted]
) -> CommittedTensors:
    """As `commit_tensors`, but what the memo holds is not computed again.

    Args:
        files, tensors: attacker-controlled.
    """
    places = find_tensors(files)
    if any(source not in places for source, _ in tensors):
        return CommittedTensors(commit_tensors(prover, files, tensors))  # it says what is missing
    made: dict[int, Tensor] = {}
    days, rest = [], []
    for i, (source, tensor) in enumerate(tensors):
        kept = memo.get(ROOTS, _inputs(places[source], hash_tensor(places[source]), tensor))
        entry = None if kept is None else _entry(tensor, kept)
        if kept is None or entry is None:
            rest.append(i)
        else:
            made[i] = entry
            days.append(kept.day)
    for batch in _batches([(i, places[tensors[i][0]].size) for i in rest]):
        new = _commit(prover, memo, places, [tensors[i] for i in batch])
        made |= dict(zip(batch, new, strict=True))
    if rest:
        memo.trim()
    ordered = [made[i] for i in range(len(tensors))]
    return CommittedTensors(ordered, len(days), min(days, default=None))


def _commit(
    prover: ZkProver, memo: Memo, places: Mapping[str, Place], tensors: Sequence[Wanted]
) -> list[Tensor]:
    """Compute the entries of tensors from a private copy, and keep them."""
    with private_folder() as folder:
        copy = Path(folder.out("tensors.safetensors"))
        digests = copy_tensors({source: places[source] for source, _ in tensors}, copy)
        made = commit_tensors(prover, [copy], tensors)
    for (source, tensor), entry in zip(tensors, made, strict=True):
        memo.put(ROOTS, _inputs(places[source], digests[source], tensor), _value(entry))
    return made


def _batches(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Numbers of tensors whose bytes are copied together, from (number, bytes) of each."""
    batch, total = list[int](), 0
    for i, size in sizes:
        if batch and total + size > _BATCH_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(i)
        total += size
    if batch:
        yield batch


def _inputs(place: Place, digest: Digest, tensor: Tensor) -> dict[str, Any]:
    """All that the root depends on. The depth of layout `rows` follows from the shape."""
    return {
        "sha256": str(digest),
        "dtype": place.info.dtype,
        "shape": list(place.info.shape),
        "layout": tensor.layout.name,
        "depth": 0 if tensor.layout is Layout.ROWS else tensor.depth,
    }


def _value(entry: Tensor) -> dict[str, Any]:
    return {
        "dtype": entry.dtype.name,
        "root": to_word(entry.root),
    } | {name: getattr(entry, name) for name in _NUMBERS}


def _entry(tensor: Tensor, kept: Kept) -> Tensor | None:
    """A tensor's entry from a kept value; None if no tensor can have it."""
    value = kept.value
    try:
        rows, columns, depth, blocks = (int(value[name]) for name in _NUMBERS)
        return Tensor(
            tensor.name,
            DType[value["dtype"]],
            tensor.layout,
            rows,
            columns,
            depth,
            blocks,
            parse_word(value["root"], "kept root"),
        )
    except (KeyError, TypeError, ValueError, ProvenanceError):
        return None
