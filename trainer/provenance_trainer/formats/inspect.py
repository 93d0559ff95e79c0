"""The inspector that a verification uses: it reads deployed files and recomputes them.

This module imports neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from fractions import Fraction
from pathlib import Path

from provenance.artifacts.content import TensorDigest, TensorInfo
from provenance.digest import sha256
from provenance.errors import InputError
from provenance.text.shown import told
from provenance.verify.protocols import Deployed, Difference
from provenance_trainer.formats.deployed import DeployedFormat
from provenance_trainer.formats.registry import FORMATS, Registry
from provenance_trainer.model.adapter import load_adapter, load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES, Shape
from provenance_trainer.model.checks import adapted_modules
from provenance_trainer.model.merge import merged_tensors
from provenance_trainer.model.weights import Weights

_MAX_DIFFERENCES = 10


class Inspector:
    """`provenance.verify.protocols.FormatInspector` for the formats of a registry.

    Every file and folder that a method takes is attacker-controlled.
    """

    def __init__(self, formats: Registry = FORMATS) -> None:
        self._formats = formats

    def quantization(self, path: Path) -> str | None:
        """Name of a file's format, as `quantize` records say it; None if the format is unknown."""
        found = self._formats.of(path)
        return None if found is None else found.name

    def exactness(self, quantization: str) -> str:
        """How exactly a file of this format must agree with its recomputation, for people.

        Raises:
            InputError: there is no such format.
        """
        return self._formats.named(quantization).exactness.value

    def metadata(self, path: Path) -> Mapping[str, str]:
        """The `provenance.*` keys of a file; none if its format is unknown.

        Raises:
            InputError: it begins or is named like a known format, but is malformed or truncated.
        """
        found = self._formats.of(path)
        return {} if found is None else found.read_claims(path)

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a file and the quantization of merged weights; empty if equal.

        Raises:
            InputError: the file has no known format, or is malformed.
        """
        return self._compare(merged, path, frozenset())

    def compare_unadapted(self, base: Path, adapted: Sequence[str], path: Path) -> list[Difference]:
        """As `compare_quantized` with the base model, but without the values of adapted tensors."""
        return self._compare(base, path, frozenset(adapted))

    def _compare(self, model: Path, path: Path, adapted: frozenset[str]) -> list[Difference]:
        found = self._require(path).compare(model, path, _MAX_DIFFERENCES, adapted)
        return [Difference(m.place, m.expected, m.actual) for m in found]

    def deployed(self, path: Path) -> Deployed:
        """Open a file to read single blocks.

        Raises:
            InputError: the file has no known format, or is malformed.
        """
        return self._require(path).open_blocks(path)

    def _require(self, path: Path) -> DeployedFormat:
        found = self._formats.of(path)
        if found is None:
            raise InputError(
                "file has no known format of deployed files",
                where=str(path),
                expected=" or ".join(self._formats.names),
            )
        return found

    def tensor_files(self, folder: Path) -> Mapping[str, Path]:
        """For each tensor of a safetensors folder, the file that holds it."""
        weights = Weights(folder)
        return {name: weights.file_of(name) for name in weights}

    def adapter_factors(self, adapter: Path) -> Mapping[str, tuple[str, str]]:
        """For each adapted tensor, the names of its factors A and B in the adapter's file."""
        return {pair.target: (pair.a, pair.b) for pair in load_adapter(adapter).pairs}

    def adaptable(self, base: Path, targets: Sequence[str]) -> Set[str]:
        """The tensors of a base that an adapter for modules of these names adapts."""
        file = base / "config.json"
        shape = Shape.of(load_json(file, MAX_CONFIG_BYTES), str(file))
        return {f"{module}.weight" for module in adapted_modules(targets, shape)}

    def adapter_scale(self, adapter: Path) -> Fraction:
        """The adapter's scale, lora_alpha / r."""
        return load_adapter(adapter).scale

    def changed_pairs(self, adapter: Path) -> tuple[int, int]:
        """(pairs whose B is not all zero, all pairs) of an adapter's factors."""
        loaded = load_adapter(adapter)
        # Without the sign: minus zero changes nothing either.
        changed = sum(
            bool((loaded.weights.bf16_bits(pair.b) & 0x7FFF).any()) for pair in loaded.pairs
        )
        return changed, len(loaded.pairs)

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> list[Difference]:
        """Differences, tensor by tensor, between merged weights and a new merge."""
        weights, found = Weights(merged), list[Difference]()
        rest = set(weights)
        for info, expected in merged_tensors(base, adapter):
            rest.discard(info.name)
            found += _difference(info, expected, weights)
        found += [_differing(name, None, _held(weights, name)) for name in rest]
        return sorted(found, key=lambda d: d.where)[:_MAX_DIFFERENCES]


def _difference(info: TensorInfo, expected: bytes, weights: Weights) -> Iterator[Difference]:
    """In what weights differ from what one tensor of theirs should be, if they do."""
    if info.name not in weights:
        yield _differing(info.name, _digest(info, expected), None)
        return
    actual, data = weights.info(info.name), weights.raw(info.name)
    if (info.dtype, info.shape) != (actual.dtype, actual.shape) or expected != data:
        yield _differing(info.name, _digest(info, expected), _digest(actual, data))


def _held(weights: Weights, name: str) -> TensorDigest:
    return _digest(weights.info(name), weights.raw(name))


def _digest(info: TensorInfo, data: bytes) -> TensorDigest:
    return TensorDigest(info.name, info.dtype, info.shape, sha256(data))


def _differing(name: str, expected: TensorDigest | None, actual: TensorDigest | None) -> Difference:
    return Difference(told(name), _sha256(expected), _sha256(actual))


def _sha256(tensor: TensorDigest | None) -> str:
    return "absent" if tensor is None else str(tensor.sha256)
