"""Reads deployed files and recomputes them: the `FormatInspector` that verification is given. Imports neither torch nor transformers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from provenance.artifacts.content import tensor_digests
from provenance.digest import open_regular
from provenance.verify.protocols import Difference
from provenance_trainer.formats.gguf import Mismatch, compare_gguf, read_claims
from provenance_trainer.formats.gguf_blocks import DeployedFile
from provenance_trainer.formats.int8 import SUFFIX, Int8File, compare_int8, read_int8_claims
from provenance_trainer.model.adapter import load_adapter
from provenance_trainer.model.merge import merge_adapter
from provenance_trainer.model.weights import Weights

_GGUF_MAGIC = b"GGUF"
_MAX_DIFFERENCES = 10


class Inspector:
    """`provenance.verify.protocols.FormatInspector` for GGUF Q8_0 files and int8 safetensors files."""

    def quantization(self, path: Path) -> str | None:
        """`Q8_0` for a GGUF file, `int8` for a safetensors file, None for anything else: by its first bytes, else by its name."""
        with open_regular(path) as stream:
            head = stream.read(9)
        if head[:4] == _GGUF_MAGIC or path.suffix == ".gguf":
            return "Q8_0"
        return "int8" if head[8:] == b"{" or path.suffix == SUFFIX else None

    def exactness(self, quantization: str) -> str:
        """How far a file of this format must agree with its recomputation, for people."""
        return "up to ties" if quantization == "int8" else "bit by bit"

    def metadata(self, path: Path) -> Mapping[str, str]:
        """The `provenance.*` keys of a file (attacker-controlled); empty for another format.

        Raises:
            InputError: it begins as a file of a known format, or is named like one, and is malformed or truncated.
        """
        quantization = self.quantization(path)
        if quantization is None:
            return {}
        if quantization == "int8":
            return read_int8_claims(path)
        return {name: str(value) for name, value in read_claims(path).items()}

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        """Differences between a file and the quantization of merged weights in the file's format; empty if there is none."""
        return self._compare(merged, path, frozenset())

    def compare_unadapted(self, base: Path, adapted: Sequence[str], path: Path) -> list[Difference]:
        """Differences between a file and the quantization of the base, but for the values of adapted tensors."""
        return self._compare(base, path, frozenset(adapted))

    def _compare(self, model: Path, path: Path, adapted: frozenset[str]) -> list[Difference]:
        compare = compare_int8 if self.quantization(path) == "int8" else compare_gguf
        return _differences(compare(model, path, _MAX_DIFFERENCES, adapted))

    def deployed(self, path: Path) -> DeployedFile | Int8File:
        """Single blocks of a file."""
        return Int8File(path) if self.quantization(path) == "int8" else DeployedFile(path)

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
                differences.append(
                    Difference(
                        name,
                        str(wanted.sha256) if wanted else "absent",
                        str(found.sha256) if found else "absent",
                    )
                )
        return differences[:_MAX_DIFFERENCES]


def _differences(mismatches: Sequence[Mismatch]) -> list[Difference]:
    def place(m: Mismatch) -> str:
        return m.tensor if m.block is None else f"{m.tensor} block {m.block}"

    return [Difference(f"{place(m)} {m.field}", m.expected, m.actual) for m in mismatches]
