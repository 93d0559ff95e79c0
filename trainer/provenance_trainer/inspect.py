"""Reads deployed files and recomputes them: the `FormatInspector` that verification is given. Imports neither torch nor transformers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from provenance.content import tensor_digests
from provenance.digest import open_regular
from provenance.verify.protocols import Difference
from provenance_trainer.merge import merge_adapter
from provenance_trainer.quantize import compare_gguf, read_claims

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
        differences = []
        for mismatch in compare_gguf(merged, path, _MAX_DIFFERENCES):
            place = mismatch.tensor if mismatch.block is None else f"{mismatch.tensor} block {mismatch.block}"
            differences.append(Difference(f"{place} {mismatch.field}", mismatch.expected, mismatch.actual))
        return differences

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
