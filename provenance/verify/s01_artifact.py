"""Step 1: what is being asked about."""

from __future__ import annotations

import re
from pathlib import Path

from provenance.causes import cause_of, stand_in
from provenance.digest import Digest, HeldFile, hash_file, open_regular
from provenance.errors import InputError, UnavailableError
from provenance.verify.case import Artifact, Case
from provenance.verify.protocols import FormatInspector

_HEAD_BYTES = 512
_DIGEST = re.compile(r"(sha256:|0x)?[0-9a-fA-F]{64}")


def identify(subject: str, inspector: FormatInspector | None) -> Artifact:
    """Turn what the caller named into an artifact: `sha256:..`, `0x..`, bare hex, or a path.

    Raises:
        InputError: neither a digest nor a readable regular file, or a file that is malformed in
            the format that it claims to have, or that came in the place of a model (empty, a Git
            LFS pointer, a web page).
    """
    if _DIGEST.fullmatch(subject):
        digest = Digest.parse(subject)
        return Artifact(digest, str(digest))
    path = Path(subject)
    try:
        path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError(
            "no such file, and not a digest",
            where=subject[:200],
            expected="a path, sha256:<64 hex> or 64 hex digits",
            actual=cause_of(error, path) if isinstance(error, OSError) else None,
        ) from error
    if path.is_dir():
        folder = path / "release" if (path / "release").is_dir() else path
        raise InputError(
            "not a regular file",
            where=subject[:200],
            actual="it is a folder",
            hint=f"name the model file in {folder}",
        )
    held = HeldFile.open(path)
    with open_regular(held) as stream:
        cause = stand_in(stream.read(_HEAD_BYTES))
    if cause is not None:
        raise InputError("not a model file", where=subject, actual=cause)
    metadata = inspector.metadata(held) if inspector else {}
    return Artifact(hash_file(held), path.name, held, metadata)


def require_unchanged(artifact: Artifact) -> None:
    """Check that nobody wrote to the file while it was judged, as far as its size and times tell.

    Writes through a mapped page leave no trace there: docs/security-model.md, Limits.

    Raises:
        UnavailableError: somebody did, so what was compared may not be what was hashed.
    """
    if isinstance(artifact.path, HeldFile) and not artifact.path.is_unchanged:
        raise UnavailableError(
            "file changed while it was judged",
            where=artifact.name,
            hint="copy it to where nobody writes, and ask again",
        )


def check_artifact(case: Case) -> None:
    """The artifact's SHA-256 is known: hashed from the file, or given."""
    digest = str(case.artifact.digest)
    how = "hashed from the file" if case.artifact.path else "as given; the file itself was not seen"
    case.notes.holds("artifact.identified", f"{digest}, {how}", digest=digest)
