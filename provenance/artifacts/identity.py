"""The identity of a model or adapter folder: its tensors, and every other file that a loader reads.

Weights alone do not say what a model does. A chat template, a tokenizer, a rope base in the
configuration or a scale of an adapter changes the answers and no tensor. So a folder has one name
for all of it. Writing the same tensors in other safetensors files leaves the name as it is
(docs/formats/bytes.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import content_digest, read_tensor_infos
from provenance.artifacts.listing import INDEX_SUFFIX, MAX_FILES, Listing, list_folder
from provenance.artifacts.manifest import check_distinct, safe_path
from provenance.digest import Digest, hash_stream, open_regular, tagged
from provenance.encoding import parse_json, sized, u64
from provenance.errors import InputError, VerificationError
from provenance.text.shown import told

MAX_BYTES = 1 << 30  # of all files beside the weights
MAX_INDEX_BYTES = 64 << 20
MODEL_INDEX = f"model{INDEX_SUFFIX}"
WHOLE_MODEL = "model.safetensors"
_ABSENT = "no such file"


@dataclass(frozen=True)
class Identity:
    """What a folder is: the content digest of its tensors, and the SHA-256 of each other file."""

    content: Digest
    files: Mapping[str, Digest]

    @property
    def digest(self) -> Digest:
        """The folder's one name."""
        files = sorted(self.files.items(), key=lambda item: item[0].encode())
        parts = b"".join(sized(path) + sha256 for path, sha256 in files)
        return tagged("identity", self.content + u64(len(files)) + parts)

    def files_json(self) -> dict[str, str]:
        """The other files as records hold them."""
        return {path: str(sha256) for path, sha256 in sorted(self.files.items())}


class FilesMissing(VerificationError):
    """A folder lacks files of the named one, and has nothing else in their place."""


@dataclass(frozen=True)
class NamedFolder:
    """A folder as a record names it.

    what: what it holds, for people: `base`, `adapter`, `merged`.
    files: None in records of earlier versions, which bind the weights alone.
    """

    what: str
    content: str
    files: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The folder's identity; where only its weights are bound, their content digest."""
        return self.content if self.files is None else str(self.identity.digest)

    @property
    def identity(self) -> Identity:
        """The identity that the record gives.

        Raises:
            InputError: it gives none, or digests of another form.
        """
        return Identity(Digest.parse(self.content), read_files(self.files))

    def require(self, folder: Path) -> None:
        """Check that a folder (attacker-controlled) is the named one.

        Raises:
            VerificationError: other weights, or the first other file, by its name.
            FilesMissing: files are missing, and nothing else differs.
            InputError: not a folder of weights, or one that `files_of` refuses.
        """
        actual = str(content_digest(folder))
        if actual != self.content:
            raise VerificationError(
                f"{self.what} weights at hand are not the logged ones",
                where=str(folder),
                expected=self.content,
                actual=actual,
            )
        if self.files is None:
            return
        found = {path: str(sha256) for path, sha256 in files_of(folder).items()}
        if (name := first_difference(self.files, found)) is not None:
            kind = FilesMissing if found.items() <= self.files.items() else VerificationError
            raise kind(
                f"{self.what} model at hand has another file than the logged one",
                where=str(folder / name),
                expected=self.files.get(name, _ABSENT),
                actual=found.get(name, _ABSENT),
            )

    def is_at(self, folder: Path) -> bool:
        """Whether a folder is the named one.

        Raises:
            InputError: as `require`.
        """
        try:
            self.require(folder)
        except VerificationError:
            return False
        return True


def first_difference(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """The first path, by its bytes, that two maps of files do not agree on; None if they agree."""
    paths = sorted({*one, *other}, key=str.encode)
    return next((path for path in paths if one.get(path) != other.get(path)), None)


def read_files(value: object) -> dict[str, Digest]:
    """The map of files that a record (attacker-controlled) holds.

    Raises:
        InputError: no such map, too many files, an unsafe path, or a digest of another form.
    """
    if not isinstance(value, Mapping) or len(value) > MAX_FILES:
        raise InputError("not a map of files", expected=f"at most {MAX_FILES} paths with digests")
    files = {}
    for path, sha256 in value.items():
        if not isinstance(sha256, str) or str(Digest.parse(sha256)) != sha256:
            raise InputError("not a digest", where=path[:200], expected="sha256:<64 hex digits>")
        files[safe_path(path)] = Digest.parse(sha256)
    check_distinct(list(files))
    return files


def identity_of(folder: Path) -> Identity:
    """The identity of a folder (attacker-controlled).

    Raises:
        InputError: no or malformed safetensors, or as `files_of`.
    """
    return Identity(content_digest(folder), files_of(folder))


def files_of(folder: Path) -> dict[str, Digest]:
    """SHA-256 of each file beside the weights of a folder (attacker-controlled).

    Weights that no content digest covers (pickles, GGUF, ..) are refused and not bound: some
    loaders prefer them, and a merge cannot carry them over, since they are the model before it.

    Raises:
        InputError: as `list_folder`; foreign weights; weights that their index leaves out; or more
            than `MAX_BYTES`.
    """
    listing = list_folder(folder)
    if listing.foreign:
        raise InputError(
            "weights of another format lie beside safetensors, and a loader could prefer them",
            where=str(next(iter(sorted(listing.foreign.values())))),
            hint="remove them",
        )
    _check_index(folder, listing)
    return hash_files(listing.bound)


def hash_files(paths: Mapping[str, Path]) -> dict[str, Digest]:
    """SHA-256 of each file.

    Raises:
        InputError: not a regular file, or more than `MAX_BYTES` together.
    """
    found, left = dict[str, Digest](), MAX_BYTES
    for name, path in sorted(paths.items()):
        with open_regular(path) as stream:
            size = stream.seek(0, 2)
            if (left := left - size) < 0:
                raise InputError(
                    "files beside the weights are too large",
                    where=str(path),
                    expected=f"<= {MAX_BYTES} bytes together",
                )
            stream.seek(0)
            found[name], read = hash_stream(stream)
        if read != size:
            raise InputError("file changed while it was read", where=str(path))
    return found


def _check_index(folder: Path, listing: Listing) -> None:
    """A loader reads every tensor: one file needs no index, several have one that names them all.

    Without this, a tensor could lie in a file that no loader opens, and be another one when loaded.
    """
    if len(listing.weights) <= 1 and not listing.indices:
        return
    where, path = str(folder), listing.indices.get(MODEL_INDEX)
    if path is None or len(listing.indices) > 1:
        raise InputError(
            "several files of weights without their one index", where=where, expected=MODEL_INDEX
        )
    if len(listing.weights) > 1 and WHOLE_MODEL in listing.weights:
        raise InputError(
            "a loader would read one of several files of weights alone",
            where=f"{where}/{WHOLE_MODEL}",
            hint="keep the whole model in one file, or in the files that the index names",
        )
    indexed, lying = _read_index(path), _lying(listing)
    if indexed != lying:
        wrong = min(n for n in {*indexed, *lying} if indexed.get(n) != lying.get(n))
        raise InputError(
            "index does not say where a tensor lies",
            where=f"{path} {told(wrong)}",
            expected=lying.get(wrong, "no such tensor"),
            actual=str(indexed.get(wrong, "none"))[:200],
        )


def _lying(listing: Listing) -> dict[str, str]:
    """The file of each tensor."""
    found: dict[str, str] = {}
    for name, path in listing.weights.items():
        with open_regular(path) as stream:
            found |= {info.name: name for info in read_tensor_infos(stream, str(path))}
    return found


def _read_index(path: Path) -> dict[str, object]:
    with open_regular(path) as stream:
        data = stream.read(MAX_INDEX_BYTES + 1)
    try:
        value = parse_json(data) if len(data) <= MAX_INDEX_BYTES else None
    except ValueError as error:
        raise InputError("index is not JSON", where=str(path), actual=error) from error
    names = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(names, dict):
        raise InputError("not an index of weights", where=str(path), expected="weight_map")
    return names
