"""Step 1: what is being asked about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provenance.digest import Digest, hash_file
from provenance.errors import InputError
from provenance.verify.protocols import FormatInspector

_HEX = re.compile(r"(sha256:|0x)?[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Artifact:
    """A model file by digest; `path` and `metadata` (its own claims) only if the file is at hand."""

    digest: Digest
    name: str
    path: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def claimed_run(self) -> bytes | None:
        """The run id that the file's own metadata names (attacker-controlled)."""
        text = self.metadata.get("provenance.run_id", "")
        body = text.removeprefix("0x")
        return bytes.fromhex(body) if len(body) == 64 and _HEX.fullmatch(text) else None


def is_digest(text: str) -> bool:
    return _HEX.fullmatch(text) is not None


def identify(subject: str, inspector: FormatInspector | None) -> Artifact:
    """Turn what the caller named into an artifact: `sha256:..`, bare hex, or a path to a file.

    Raises:
        InputError: neither a digest nor a readable regular file; or a file that is malformed as the format it claims.
    """
    if is_digest(subject):
        digest = Digest.parse(subject)
        return Artifact(digest, str(digest))
    path = Path(subject)
    if not path.exists():
        raise InputError(
            "no such file, and not a digest",
            where=subject,
            expected="a path, sha256:<64 hex> or 64 hex digits",
        )
    digest = hash_file(path)
    metadata = inspector.metadata(path) if inspector else {}
    return Artifact(digest, path.name, path, metadata)
