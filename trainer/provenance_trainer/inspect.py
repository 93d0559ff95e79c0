"""Reads deployed files and recomputes them: the `FormatInspector` that verification is given. Imports neither torch nor transformers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from provenance.content import tensor_digests
from provenance.digest import open_regular
from provenance.verify.protocols import Difference
from provenance_trainer.adapter import load_adapter
from provenance_trainer.deployed import DeployedFile
from provenance_trainer.merge import merge_adapter
from provenance_trainer.quantize import Mismatch, compare_gguf, read_claims
from provenance_trainer.weights import Weights

_GGUF_MAGIC = b"GGUF"
_MAX_DIFFERENCES = 10


class Inspector:
    """`provenance.verify.protocols.FormatInspector` for GGUF files."""

    def metadata(self, path: Path) -> Mapping[str, str]:
        """The `provenance.*` keys of a GGUF file (attacker-controlled); empty for another format.

        Raises:
            InputError: it begins as a GGUF file, or is named like one, and is malformed or truncated.
        """
        with open_regular(path) as stream:
            magic = stream.read(4)
        if magic != _GGUF_MAGIC and path.suffix != ".gguf":
            return {}
        return {name: str(value) for name, value in read_claims(path).items()}

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a GGUF file and the Q8_0 quantization of merged weights; empty if there is none."""
        return _differences(compare_gguf(merged, path, _MAX_DIFFERENCES))

    def compare_unadapted(self, base: Path, adapted: Sequence[str], path: Path) -> list[Difference]:
        """Differences between a GGUF file and the quantization of the base, but for the values of adapted tensors."""
        return _differences(compare_gguf(base, path, _MAX_DIFFERENCES, frozenset(adapted)))

    def deployed(self, path: Path) -> DeployedFile:
        """Single blocks of a GGUF file."""
        return DeployedFile(path)

    def tensor_files(self, folder: Path) -> Mapping[str, Path]:
        """File of each tensor of a safetensors folder."""
        weights = Weights(folder)
        return {name: weights.file_of(name) for name in weights}

    def adapter_factors(self, adapter: Path) -> Mapping[str, tuple[str, str]]:
        """Adapted tensor -> names of its factors A and B in the adapter's file."""
        return {pair.target: (pair.a, pair.b) for pair in load_adapter(adapter).pairs}

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> list[Difference]:
        """Differences, tensor by tensor, between merged weights and a fresh merge of base and adapter."""
        with tempfile.TemporaryDirectory(prefix="provenance-merge-") as folder:
            merge_adapter(base, adapter, Path(folder) / "merged")
            expected = tensor_digests(Path(folder) / "merged")
        actual = tensor_digests(merged)
        differences = []
        for name in sorted(expected.keys() | actual.keys()):
            wanted, found = expected.get(name), actual.get(name)
            if wanted != found:
                differences.append(Difference(name, str(wanted.sha256) if wanted else "absent", str(found.sha256) if found else "absent"))
        return differences[:_MAX_DIFFERENCES]


def _differences(mismatches: Sequence[Mismatch]) -> list[Difference]:
    def place(m: Mismatch) -> str:
        return m.tensor if m.block is None else f"{m.tensor} block {m.block}"

    return [Difference(f"{place(m)} {m.field}", m.expected, m.actual) for m in mismatches]
