"""Capturing the batches that are fed to the model.

Trainer callbacks do not get the inputs. So the collator adds the record indices to the tensors. A
forward pre-hook on the model removes them again, and passes tensors and indices to the recorder.

This records what arrives at the model, not what the sampler planned. A batch is recorded and
flagged if its tensors are not those that the collator made, or if it has no indices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from provenance.encoding import BATCH_TENSORS
from provenance.errors import InputError
from provenance_trainer.record.features import Row

INDEX_KEY = "provenance_index"
_FINGERPRINT_WORDS = 4


def fingerprint(tensors: Mapping[str, np.ndarray | None]) -> tuple[int, ...]:
    """Four signed 64-bit words by which the hook recognises the tensors that the collator made."""
    state = hashlib.blake2b(digest_size=8 * _FINGERPRINT_WORDS)
    for name in BATCH_TENSORS:
        array = tensors.get(name)
        if array is not None:
            state.update(f"{name}{array.shape}".encode())
            state.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return tuple(int(word) for word in np.frombuffer(state.digest(), dtype="<i8"))


class RecordingCollator:
    """Wraps a collator. Adds one int64 tensor: the fingerprint's words, then the record indices."""

    def __init__(self, inner: Callable[[list[Any]], Any]) -> None:
        self.inner = inner

    def __call__(self, samples: Sequence[Any]) -> Any:
        """The inner collator's batch, with indices if every sample is a `Row`."""
        indexed = [sample for sample in samples if isinstance(sample, Row)]
        if len(indexed) != len(samples):
            # The batch arrives without indices, so it is flagged.
            return self.inner([s.features if isinstance(s, Row) else s for s in samples])
        batch = self.inner([sample.features for sample in indexed])
        tensors = {name: as_integers(batch[name]) for name in BATCH_TENSORS if name in batch}
        batch[INDEX_KEY] = torch.tensor(
            [*fingerprint(tensors), *(sample.index for sample in indexed)], dtype=torch.int64
        )
        return batch


def as_integers(tensor: torch.Tensor) -> np.ndarray:
    """A CPU tensor of whole numbers, as int64.

    Raises:
        InputError: it has fractions, which the digest of a batch does not cover.
    """
    array = tensor.numpy()
    whole = array.astype(np.int64)
    if array.dtype.kind == "f" and not np.array_equal(whole, array):
        raise InputError(
            "batch tensor holds fractions", expected="integers", actual=str(array.dtype)
        )
    return whole


@dataclass(frozen=True)
class Snapshot:
    """Copies of the tensors that arrived. Copies from a GPU may not be finished yet.

    carried: What the collator added; None if the batch came without it.
    ready: A CUDA event that ends the copies; None on a CPU.
    """

    tensors: Mapping[str, torch.Tensor]
    carried: torch.Tensor | None
    ready: Any

    def load(self) -> tuple[dict[str, np.ndarray | None], list[int] | None, bool]:
        """(tensors, record indices or None, whether the collator made these tensors).

        Waits for the copies.
        """
        if self.ready is not None:
            self.ready.synchronize()
        arrays: dict[str, np.ndarray | None] = dict.fromkeys(BATCH_TENSORS)
        arrays.update({name: as_integers(t) for name, t in self.tensors.items()})
        if self.carried is None or self.carried.numel() < _FINGERPRINT_WORDS:
            return arrays, None, False
        words = [int(w) for w in self.carried.flatten().tolist()]
        made, indices = tuple(words[:_FINGERPRINT_WORDS]), words[_FINGERPRINT_WORDS:]
        return arrays, indices, made == fingerprint(arrays)


def take_snapshot(inputs: Mapping[str, Any], carried: torch.Tensor | None) -> Snapshot:
    """Copy what arrived. On a GPU the copy is only queued, so this does not wait for it."""
    present = {
        name: inputs[name] for name in BATCH_TENSORS if isinstance(inputs.get(name), torch.Tensor)
    }
    tensors = {name: _copy(tensor) for name, tensor in present.items()}
    copied = _copy(carried) if carried is not None else None
    on_gpu = any(t.is_cuda for t in present.values()) or (carried is not None and carried.is_cuda)
    ready = None
    if on_gpu:
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record()
    return Snapshot(tensors, copied, ready)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if not tensor.is_cuda:
        return tensor.clone()
    target = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return target.copy_(tensor, non_blocking=True)


Sink = Callable[[Snapshot], None]


class BatchCapture:
    """A forward pre-hook that passes training batches to `sink`, and removes the index tensor."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._handle: Any = None

    def attach(self, model: torch.nn.Module) -> None:
        """Hook `model`, the module whose forward gets the batch (inside wrappers such as DDP).

        A second call moves the hook to another module.
        """
        self.detach()
        self._handle = model.register_forward_pre_hook(self._before_forward, with_kwargs=True)

    def detach(self) -> None:
        """Remove the hook."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _before_forward(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        carried = kwargs.pop(INDEX_KEY, None)
        if module.training:  # evaluation passes through the same module
            inputs = {**dict(zip(BATCH_TENSORS, args, strict=False)), **kwargs}
            self._sink(take_snapshot(inputs, carried))
        return args, kwargs
