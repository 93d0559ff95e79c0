"""Evidence read from run folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.digest import Digest, open_regular
from provenance.errors import InputError, ProvenanceError
from provenance.ids import KeyId, RunId
from provenance.layout import RunFolder, read_json
from provenance.log.anchoring import SignedHead, read_heads
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.statements import STAGES
from provenance.verify.protocols import NonceOpening

MAX_KEY_FILE_BYTES = 1 << 30
MAX_CHUNKS = 1 << 16
_PIECE_BYTES = 1 << 20


class FolderEvidence:
    """`Evidence` of one run folder, whose files are attacker-controlled."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @cached_property
    def _records(self) -> list[Record]:
        return read_records(self.folder.journal)

    def records(self) -> Sequence[Record]:
        """The journal's records, read once."""
        return self._records

    def heads(self) -> Sequence[SignedHead]:
        """Lines of heads.jsonl; a torn last one is left out."""
        return read_heads(self.folder.heads)

    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]:
        """proof-<chunk>.json of an epoch."""
        return _numbered(self.folder.epoch(epoch), "proof")

    def registration(self) -> Mapping[str, Any] | None:
        """registration.json, with the proofs beside it."""
        path = self.folder.dataset / "registration.json"
        if not path.is_file():
            return None
        value = read_json(path)
        return value | {
            "trees": _numbered(self.folder.dataset, "tree"),
            "links": _numbered(self.folder.dataset, "link"),
        }

    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None:
        """tables.json of an anchoring."""
        path = self.folder.samples(stage, number) / "tables.json"
        return read_json(path) if path.is_file() else None

    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]:
        """proof-<group>.json of an anchoring."""
        return _numbered(self.folder.samples(stage, number), "proof")

    def key_words(self, vk_id: str) -> bytes | None:
        """vk.words of a key."""
        return _bounded(self.folder.key(_file_name(vk_id)) / "vk.words")

    def key_bases(self, vk_id: str) -> bytes | None:
        """p_bases.bin of a key."""
        return _bounded(self.folder.key(_file_name(vk_id)) / "p_bases.bin")

    def merged(self) -> Path | None:
        """The merged weights, which most publishers keep to themselves."""
        return self.folder.merged if self.folder.merged.is_dir() else None

    def adapter(self) -> Path | None:
        """The adapter beside the evidence."""
        return self.folder.adapter if self.folder.adapter.is_dir() else None


def load_openings(folder: Path | None, nonce: str | None) -> dict[str, NonceOpening]:
    """Openings at a verifier's nonce, by stage, from a folder that `provenance proof open` wrote.

    Args:
        folder: attacker-controlled; None together with `nonce` for no openings.
        nonce: 32 bytes in hex, the verifier's own.

    Raises:
        InputError: one of the two without the other, a nonce that is not 32 bytes in hex, or no
            opening in the folder.
    """
    if folder is None and nonce is None:
        return {}
    if folder is None or nonce is None:
        raise InputError(
            "openings and their nonce go together", expected="--openings DIR --nonce 0x.."
        )
    value = bytes(Digest.parse(nonce))
    found = {}
    for stage in STAGES:
        path = folder / stage / "opening.json"
        if path.is_file():
            draws = read_json(path).get("draws")
            if type(draws) is not int or not 1 <= draws <= MAX_CHUNKS:
                raise InputError(
                    "opening gives no number of draws", where=str(path), expected=f"1..{MAX_CHUNKS}"
                )
            found[stage] = NonceOpening(value, draws, _numbered(folder / stage, "proof"))
    if not found:
        raise InputError(
            "folder holds no openings",
            where=str(folder),
            expected=" or ".join(f"{stage}/opening.json" for stage in STAGES),
        )
    return found


def _file_name(vk_id: str) -> str:
    """A key id as a file name. Ids come from evidence: only `0x` and hex digits may pass."""
    return str(KeyId.parse(vk_id))


def _numbered(folder: Path, name: str) -> list[Mapping[str, Any]]:
    """`<name>-0.json`, `<name>-1.json`, .. until one is missing."""
    result: list[Mapping[str, Any]] = []
    while len(result) < MAX_CHUNKS and (path := folder / f"{name}-{len(result)}.json").is_file():
        result.append(read_json(path))
    return result


def _bounded(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_KEY_FILE_BYTES:
        raise InputError(
            "key file is too large", where=str(path), expected=f"<= {MAX_KEY_FILE_BYTES} bytes"
        )
    return path.read_bytes()


class FolderSource:
    """Finds a run's evidence among folders.

    Each is a run folder, or holds run folders at most two levels deep.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._roots = list(folders)

    def runs(self) -> list[RunFolder]:
        """Every run folder, each once."""
        found: dict[Path, RunFolder] = {}
        for root in self._roots:
            for pattern in ("provenance/journal", "*/provenance/journal", "*/*/provenance/journal"):
                for journal in sorted(root.glob(pattern)):
                    folder = journal.parent.parent
                    found.setdefault(folder.resolve(), RunFolder(folder))
        return list(found.values())

    def candidates(self, run_id: RunId) -> list[FolderEvidence]:
        """Evidence of every folder that names this run."""
        return [FolderEvidence(folder) for folder in self.runs() if run_id_of(folder) == run_id]

    def makers(self, artifact: str) -> list[FolderEvidence]:
        """Evidence of every folder whose journal names an artifact.

        Journals (attacker-controlled) are searched as bytes: only those with the digest are read.
        """
        wanted = f'"{artifact}"'.encode()
        found = [folder for folder in self.runs() if _contains(folder.journal, wanted)]
        return [FolderEvidence(folder) for folder in found]


def _contains(path: Path, wanted: bytes) -> bool:
    """Whether a file holds these bytes; a piece of it is in memory at a time."""
    try:
        stream = open_regular(path)
    except InputError:
        return False  # no journal that a verification could read
    with stream:
        tail = b""
        while piece := stream.read(_PIECE_BYTES):
            if wanted in tail + piece:
                return True
            tail = piece[-len(wanted) :]
    return False


def run_id_of(folder: RunFolder) -> RunId | None:
    """The run that a folder claims to be of; records and chain must confirm it."""
    try:
        return RunId.parse(read_json(folder.info)["run_id"])
    except (KeyError, ProvenanceError):
        return None  # missing or damaged: fsck says which; here it is not the folder looked for
