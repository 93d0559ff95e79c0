"""Evidence read from run folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from provenance.digest import Digest, open_regular
from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.ids import KeyId, RunId
from provenance.layout import RunFolder, json_object, read_json
from provenance.log.anchoring import MAX_HEADS_BYTES, SignedHead, parse_heads
from provenance.log.frames import Allowance
from provenance.log.record import Record
from provenance.log.records import Seed
from provenance.log.tree import iterate_records
from provenance.log.witness.kept import MAX_COSIGNATURES_BYTES, CosignedHead, parse_cosigned
from provenance.statements import MAX_SLOTS, STAGES
from provenance.verify.protocols import NonceOpening
from provenance.windows import FileBytes

MAX_WORDS_BYTES = 1 << 20
MAX_BASES_BYTES = 64 * (MAX_SLOTS + 1)
MAX_PROOF_BYTES = 64 << 10
MAX_TABLE_BYTES = 16 << 20
MAX_CHUNKS = 1 << 16
MAX_EVIDENCE_BYTES = 256 << 20
MEAN_RECORD_BYTES = 64 << 10
"""What each record of a journal may take; beyond it, all together take `MAX_EVIDENCE_BYTES`."""
MAX_RUN_FOLDERS = 4096
MAX_BEFORE_SEED = 16
"""Records of a log among which its seed stands."""


class _Reader:
    """Reads the files of one folder of evidence (attacker-controlled) under one budget.

    A file is compared with its own limit, and with what is left of `MAX_EVIDENCE_BYTES`, before any
    of it is read. No link is followed that leads out of the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._left = root, MAX_EVIDENCE_BYTES

    def bytes(self, path: Path, most: int) -> bytes | None:
        """A file of at most `most` bytes; None if there is none.

        Raises:
            InputError: too large, a link, or not a regular file.
        """
        if not os.path.lexists(path):
            return None
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise InputError("evidence is a link that leads out of its folder", where=str(path))
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > most:
                raise InputError(
                    "file is too large",
                    where=str(path),
                    expected=f"<= {most} bytes",
                    actual=f"{size} bytes",
                )
            if size > self._left:
                raise InputError(
                    "too much evidence",
                    where=str(path),
                    expected=f"<= {MAX_EVIDENCE_BYTES} bytes in all",
                )
            self._left -= size
            return stream.read(size)

    def json(self, path: Path, most: int) -> dict[str, Any] | None:
        """A JSON object from a file of at most `most` bytes; None if there is none."""
        data = self.bytes(path, most)
        return None if data is None else json_object(data, path)

    def numbered(self, folder: Path, name: str) -> list[Mapping[str, Any]]:
        """`<name>-0.json`, `<name>-1.json`, .. until one is missing."""
        result: list[Mapping[str, Any]] = []
        while len(result) < MAX_CHUNKS:
            value = self.json(folder / f"{name}-{len(result)}.json", MAX_PROOF_BYTES)
            if value is None:
                break
            result.append(value)
        return result


class FolderEvidence:
    """`Evidence` of one run folder, whose files are attacker-controlled."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._reader = _Reader(folder.root)
        self._read: tuple[int | None, list[Record]] = (0, [])
        self._heads: list[SignedHead] | None = None

    def __eq__(self, other: object) -> bool:
        """Of one folder."""
        return isinstance(other, FolderEvidence) and self._resolved == other._resolved

    def __hash__(self) -> int:
        return hash(self._resolved)

    @property
    def _resolved(self) -> Path:
        return self.folder.root.resolve()

    def records(self, most: int | None = None) -> Sequence[Record]:
        """The journal's first `most` records; all if None. Read again only if more are wanted.

        Raises:
            InputError: not a journal of records, or one that takes more than each record's share
                and the budget of all evidence.
        """
        limit, found = self._read
        if limit is not None and (most is None or most > limit):
            allowance = Allowance(MAX_EVIDENCE_BYTES, MEAN_RECORD_BYTES)
            found = list(islice(iterate_records(self.folder.journal, allowance), most))
            self._read = (most, found)
        return found if most is None else found[:most]

    def drawn_for(self) -> RunId | None:
        """The run that the journal's seed names; None if it is no journal or has no such seed."""
        with suppress(ProvenanceError):
            for record in self.records(MAX_BEFORE_SEED):
                if record.type == Seed.TYPE and "run_id" in record.fields:
                    return RunId.parse(record.fields["run_id"])
        return None

    def heads(self) -> Sequence[SignedHead]:
        """Lines of heads.jsonl; a torn last one is left out."""
        if self._heads is None:
            data = self._reader.bytes(self.folder.heads, MAX_HEADS_BYTES)
            self._heads = parse_heads(data or b"")
        return self._heads

    def cosignatures(self) -> Sequence[CosignedHead]:
        """Lines of cosignatures.jsonl; those that cannot be read are left out."""
        data = self._reader.bytes(self.folder.cosignatures, MAX_COSIGNATURES_BYTES)
        return parse_cosigned(data or b"")

    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]:
        """proof-<chunk>.json of an epoch."""
        return self._reader.numbered(self.folder.epoch(epoch), "proof")

    def registration(self) -> Mapping[str, Any] | None:
        """registration.json, with the proofs beside it."""
        value = self._reader.json(self.folder.dataset / "registration.json", MAX_TABLE_BYTES)
        if value is None:
            return None
        return value | {
            "trees": self._reader.numbered(self.folder.dataset, "tree"),
            "links": self._reader.numbered(self.folder.dataset, "link"),
        }

    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None:
        """tables.json of an anchoring."""
        folder = self.folder.samples(stage, number)
        return self._reader.json(folder / "tables.json", MAX_TABLE_BYTES)

    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]:
        """proof-<group>.json of an anchoring."""
        return self._reader.numbered(self.folder.samples(stage, number), "proof")

    def key_words(self, vk_id: str) -> bytes | None:
        """vk.words of a key."""
        folder = self.folder.key(_file_name(vk_id))
        return self._reader.bytes(folder / "vk.words", MAX_WORDS_BYTES)

    def key_bases(self, vk_id: str) -> bytes | None:
        """p_bases.bin of a key."""
        folder = self.folder.key(_file_name(vk_id))
        return self._reader.bytes(folder / "p_bases.bin", MAX_BASES_BYTES)

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
    value, reader = bytes(Digest.parse(nonce)), _Reader(folder)
    found = {}
    for stage in STAGES:
        path = folder / stage / "opening.json"
        opening = reader.json(path, MAX_PROOF_BYTES)
        if opening is not None:
            draws = opening.get("draws")
            if type(draws) is not int or not 1 <= draws <= MAX_CHUNKS:
                raise InputError(
                    "opening gives no number of draws", where=str(path), expected=f"1..{MAX_CHUNKS}"
                )
            found[stage] = NonceOpening(value, draws, reader.numbered(folder / stage, "proof"))
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


class FolderSource:
    """Finds a run's evidence among folders.

    Each is a run folder, or holds run folders at most two levels deep.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._roots = list(folders)

    def runs(self) -> list[RunFolder]:
        """Every run folder, each once.

        Raises:
            UnavailableError: more than `MAX_RUN_FOLDERS`. They contradict nothing.
        """
        found: dict[Path, RunFolder] = {}
        for root in self._roots:
            for pattern in ("provenance/journal", "*/provenance/journal", "*/*/provenance/journal"):
                for journal in sorted(root.glob(pattern)):
                    folder = journal.parent.parent
                    found.setdefault(folder.resolve(), RunFolder(folder))
                    if len(found) > MAX_RUN_FOLDERS:
                        raise UnavailableError(
                            "too many run folders",
                            where=str(root),
                            expected=f"<= {MAX_RUN_FOLDERS}",
                            hint="name the run's own folder",
                        )
        return list(found.values())

    def candidates(self, run_id: RunId) -> list[FolderEvidence]:
        """Evidence of every folder that names this run: in `run.json`, else in its seed record."""
        each = (FolderEvidence(folder) for folder in self.runs())
        return [found for found in each if (run_id_of(found.folder) or found.drawn_for()) == run_id]

    def makers(self, artifact: str) -> list[FolderEvidence]:
        """Evidence of every folder whose journal names an artifact.

        Journals (attacker-controlled) are searched as bytes: only those with the digest are read.
        """
        wanted = f'"{artifact}"'.encode()
        found = [folder for folder in self.runs() if _contains(folder.journal, wanted)]
        return [FolderEvidence(folder) for folder in found]


def _contains(path: Path, wanted: bytes) -> bool:
    """Whether a file holds these bytes; a window of it is in memory at a time."""
    try:
        with open_regular(path) as stream:
            return FileBytes(stream).find(wanted, 0) >= 0
    except InputError:
        return False  # no journal that a verification could read


def run_id_of(folder: RunFolder) -> RunId | None:
    """The run that a folder claims to be of; records and chain must confirm it."""
    try:
        return RunId.parse(read_json(folder.info)["run_id"])
    except (KeyError, ProvenanceError):
        return None  # missing or damaged: fsck says which; here it is not the folder looked for
