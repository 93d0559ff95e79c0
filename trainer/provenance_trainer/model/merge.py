"""Exactly rounded LoRA merge: W + s * sum_k B[i,k] * A[k,j], rounded once to bfloat16.

Every output is the nearest bfloat16, ties to even. Nothing is rounded in between. So the result
does not depend on hardware, library or order of summation, and a circuit or another program can
compute the same. Zero is written as +0.

Method: each term s*B[i,k]*A[k,j] is exact in float64 (at most 24 significant bits). The float64 sum
y of the r+1 exact terms has an error below e = 2 (r+3) 2^-52 (|W| + |s| |B_i| |A_j|). If y-e and
y+e round to the same number, that number is right. The few other entries (ties, cancellation) are
summed again in integers.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2 (error of
any order of summation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.artifacts.content import TensorInfo
from provenance.artifacts.identity import Identity, identity_of
from provenance.errors import InputError
from provenance.progress import Progress, silent
from provenance_trainer.model import bfloat16
from provenance_trainer.model.adapter import Adapter, Pair, load_adapter, load_json
from provenance_trainer.model.weights import (
    SafetensorsWriter,
    Weights,
    atomic_dir,
    copy_side_files,
    write_index,
)

Operands = tuple[np.ndarray, np.ndarray, np.ndarray]  # W (out, in), B (out, r), A (r, in)

_CHUNK_ELEMENTS = 1 << 19
_SCALE_BITS = 3 * -bfloat16.MIN_EXPONENT + 1  # every term is a multiple of 2^-399
_MAX_CONFIG_BYTES = 16 << 20


@dataclass(frozen=True)
class MergeReport:
    """What a merge read and wrote: identities of the folders, and the exact scale.

    redone: How many entries needed integer arithmetic.
    max_ulp_to_peft: Largest distance to PEFT's merge, in bfloat16 steps; None if it was not
        measured.
    """

    base: Identity
    adapter: Identity
    merged: Identity
    adapted: tuple[str, ...]
    scale: str
    redone: int
    max_ulp_to_peft: int | None


def merge_adapter(
    base_dir: Path,
    adapter_dir: Path,
    out_dir: Path,
    progress: Progress = silent,
    *,
    compare_to_peft: bool = False,
) -> MergeReport:
    """Merge a bfloat16 adapter into a bfloat16 base model. transformers can load `out_dir`.

    Args:
        base_dir: Folder of config.json, tokenizer and safetensors.
        adapter_dir: Folder written by `round_adapter`.
        out_dir: New folder. After an error it does not exist.
        compare_to_peft: Also measure the distance to PEFT's own merge, tensor by tensor.

    Raises:
        InputError: the adapter is not plain LoRA, a tensor is not bfloat16, a value is not finite
            or is 2^16 or more, or the adapter's names or shapes do not fit the base model.
        Conflict: `out_dir` exists and is not empty.
    """
    base, adapter = Weights(base_dir), load_adapter(adapter_dir)
    work = _Merge(base, adapter, _targets(base, adapter, base_dir), compare_to_peft)
    done = 0
    with atomic_dir(out_dir) as folder:
        copy_side_files(base_dir, folder)
        write_index(base, folder)
        for file in base.files:
            names = [name for name in base if base.file_of(name) == file]
            for _ in work.write(folder / file.name, names):
                done += 1
                progress("merging", done, len(base))
    return MergeReport(
        identity_of(base_dir),
        identity_of(adapter_dir),
        identity_of(out_dir),
        tuple(sorted(work.targets)),
        adapter.scale_text,
        work.redone,
        work.ulp if compare_to_peft else None,
    )


def merged_tensors(base_dir: Path, adapter_dir: Path) -> Iterator[tuple[TensorInfo, bytes]]:
    """Each tensor of the merge of base and adapter (attacker-controlled), in the order of names.

    Nothing is written. The infos are those of the base.

    Raises:
        InputError: as `merge_adapter`.
    """
    base, adapter = Weights(base_dir), load_adapter(adapter_dir)
    work = _Merge(base, adapter, _targets(base, adapter, base_dir), compare_to_peft=False)
    for name in base:
        yield base.info(name), work.merged(name)


@dataclass
class _Merge:
    """A running merge: its inputs, and the counts so far."""

    base: Weights
    adapter: Adapter
    targets: Mapping[str, Pair]
    compare_to_peft: bool
    redone: int = 0
    ulp: int = 0

    def write(self, file: Path, names: Sequence[str]) -> Iterator[str]:
        """Write one safetensors file. Yields each name after its tensor is written."""
        infos = {name: self.base.info(name) for name in names}
        shapes = {name: (info.dtype, info.shape) for name, info in infos.items()}
        with SafetensorsWriter(file, shapes) as writer:
            for name in names:
                writer.write(name, self.merged(name))
                yield name

    def merged(self, name: str) -> bytes:
        """The bytes of a tensor after the merge."""
        pair = self.targets.get(name)
        if pair is None:
            return self.base.raw(name)
        operands = _operands(self.base, self.adapter, pair)
        merged, redone = merge_tensor(*operands, self.adapter.scale_float)
        self.redone += redone
        if self.compare_to_peft:
            self.ulp = max(self.ulp, _ulp_to_peft(operands, self.adapter, merged))
        return merged.astype("<u2", copy=False).tobytes()


def _targets(base: Weights, adapter: Adapter, base_dir: Path) -> dict[str, Pair]:
    config = load_json(base_dir / "config.json", _MAX_CONFIG_BYTES)
    targets: dict[str, Pair] = {}
    for pair in adapter.pairs:
        last = pair.module.rpartition(".")[2]
        if config.get("tie_word_embeddings") and last in ("lm_head", "embed_tokens"):
            raise InputError(
                "cannot merge into tied embeddings",
                where=pair.module,
                hint="train an adapter for other modules",
            )
        if pair.target not in base:
            raise InputError(
                "adapter names a module that the base does not have",
                where=str(base_dir),
                actual=pair.target,
                hint="merge it into the base model that it was trained on",
            )
        shape = base.info(pair.target).shape
        expected = (adapter.weights.info(pair.b).shape[0], adapter.weights.info(pair.a).shape[1])
        if shape != expected:
            raise InputError(
                "adapter does not fit the base", where=pair.target, expected=shape, actual=expected
            )
        targets[pair.target] = pair
    return targets


def _operands(base: Weights, adapter: Adapter, pair: Pair) -> Operands:
    operands = (
        base.bf16_bits(pair.target),
        adapter.weights.bf16_bits(pair.b),
        adapter.weights.bf16_bits(pair.a),
    )
    for bits, where in zip(operands, (pair.target, pair.b, pair.a), strict=True):
        bfloat16.require_in_window(bits, where)
    return operands


def merge_tensor(
    weight: np.ndarray, b: np.ndarray, a: np.ndarray, scale: float
) -> tuple[np.ndarray, int]:
    """Merge one tensor.

    Args:
        weight: `(out, in)` bfloat16 bit patterns of finite values below 2^16, as are `b` and `a`.
        b: `(out, r)`.
        a: `(r, in)`.
        scale: A positive bfloat16 number below 2^16.

    Returns:
        (out, in) bit patterns, and how many entries needed integer arithmetic.
    """
    out, again = np.empty(weight.shape, dtype=np.uint16), 0
    factor_b, factor_a = scale * bfloat16.to_float64(b), bfloat16.to_float64(a)
    rows = max(1, _CHUNK_ELEMENTS // max(1, weight.shape[1]))
    norm_a = np.sqrt((factor_a**2).sum(axis=0))
    for start in range(0, weight.shape[0], rows):
        part = slice(start, start + rows)
        out[part], redone = _merge_rows(
            bfloat16.to_float64(weight[part]), factor_b[part], factor_a, norm_a
        )
        again += redone
    return out, again


def _merge_rows(
    weight: np.ndarray, b: np.ndarray, a: np.ndarray, norm_a: np.ndarray
) -> tuple[np.ndarray, int]:
    # Adding +0.0 turns -0 into +0. Squares do not underflow: factors are at least 2^-266.
    total = weight + b @ a + 0.0
    bound = np.abs(weight) + np.sqrt((b**2).sum(axis=1))[:, None] * norm_a[None, :]
    bound *= 2.0 * (a.shape[0] + 3) * 2.0**-52
    result = bfloat16.round_float64(total - bound)
    doubtful = np.argwhere(result != bfloat16.round_float64(total + bound))
    for i, j in doubtful:
        result[i, j] = exact_entry(
            float(weight[i, j]), [float(x) for x in b[i]], [float(x) for x in a[:, j]]
        )
    return result, len(doubtful)


def exact_entry(weight: float, scaled_b: list[float], a: list[float]) -> int:
    """Bits of the bfloat16 nearest to weight + sum of scaled_b[k] * a[k], computed in integers."""
    total = _scaled(weight)
    for x, y in zip(scaled_b, a, strict=True):
        total += _scaled(x * y)  # exact: at most 24 significant bits
    return bfloat16.round_scaled_integer(total, _SCALE_BITS)


def _scaled(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * ((1 << _SCALE_BITS) // denominator)


def _ulp_to_peft(operands: Operands, adapter: Adapter, merged: np.ndarray) -> int:
    """Distance to the weights that PEFT's merge_and_unload gives one such linear layer."""
    # Imported here, because a merge alone does not need torch.
    import torch
    from peft import LoraConfig, get_peft_model

    def tensor(bits: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(bits.astype(np.uint16).view(np.int16).copy()).view(torch.bfloat16)

    weight, b, a = operands
    rows, columns = weight.shape
    linear = torch.nn.Linear(columns, rows, bias=False, dtype=torch.bfloat16)
    alpha = adapter.config["lora_alpha"]
    config = LoraConfig(r=adapter.rank, lora_alpha=alpha, target_modules=["0"])
    module: Any = torch.nn.Sequential(linear)
    model: Any = get_peft_model(module, config, autocast_adapter_dtype=False)
    layer = model.base_model.model[0]
    with torch.no_grad():
        layer.base_layer.weight.copy_(tensor(weight))
        layer.lora_A["default"].weight.copy_(tensor(a))
        layer.lora_B["default"].weight.copy_(tensor(b))
    found = model.merge_and_unload()[0].weight.detach()
    return bfloat16.ulp_distance(merged, found.view(torch.int16).numpy().view(np.uint16))
