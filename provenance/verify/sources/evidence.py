"""Evidence read from run folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from provenance.causes import cause_of
from provenance.digest import Digest, open_regular
from provenance.errors import InputError, MissingEvidence, ProvenanceError, UnavailableError
from provenance.ids import KeyId, RunId
from provenance.layout import RunFolder, json_object
from provenance.log.anchoring import MAX_HEADS_BYTES, SignedHead, parse_heads
from provenance.log.audit.attestation import Attestation
from provenance.log.audit.kept import MAX_ATTESTATIONS_BYTES, parse_lines
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
_OPENABLE = "have the journal itself at hand: links are not followed"
MAX_BEFORE_SEED = 16
"""Records of a log among which its seed stands."""


class _Reader:
    """Reads the files of one folder of evidence (attacker-controlled) under one budget.

    A file is compared with its own limit, and with what is left of `MAX_EVIDENCE_BYTES`, before any
    of it is read. A file that is a link is not opened, nor is one behind a link that leads out of
    the folder. What cannot be read is an `InputError`, whatever the cause.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._left = root, MAX_EVIDENCE_BYTES

    @contextmanager
    def opened(self, path: Path) -> Iterator[BinaryIO | None]:
        """A file, opened to be read; None if there is none. Every file is opened here.

        Raises:
            InputError: a link, not a regular file, or one that cannot be read (also from within).
        """
        if not os.path.lexists(path):
            yield None
            return
        try:
            if not path.parent.resolve().is_relative_to(self._root.resolve()):
                raise InputError("evidence is a link that leads out of its folder", where=str(path))
            with open_regular(path) as stream:
                yield stream
        except OSError as error:
            cause = cause_of(error, path)
            raise InputError("evidence cannot be read", where=str(path), actual=cause) from error

    def bytes(self, path: Path, most: int) -> bytes | None:
        """A file of at most `most` bytes; None if there is none.

        Raises:
            InputError: too large, or as `opened`.
        """
        with self.opened(path) as stream:
            if stream is None:
                return None
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
        self._read: list[Record] = []
        self._wanted: int | None = 0  # of how many records `_read` is what there is; None: of all
        self._fault: ProvenanceError | None = None  # what ended the reading of the journal
        self._heads: list[SignedHead] | None = None
        self._attested: list[Attestation] | None = None

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

        What stands before damage is there for whoever wants no more.

        Raises:
            MissingEvidence: there is no journal that can be opened (`_Reader.opened`).
            InputError: not a journal of records, or one that takes more than each record's share
                and the budget of all evidence.
            VerificationError: a damaged journal.
        """
        wanted = self._wanted
        if wanted is not None and self._fault is None and (most is None or most > wanted):
            self._read_journal(most)
        if self._fault is not None and (most is None or most > len(self._read)):
            raise self._fault
        return self._read if most is None else self._read[:most]

    def _read_journal(self, most: int | None) -> None:
        allowance = Allowance(MAX_EVIDENCE_BYTES, MEAN_RECORD_BYTES)
        path, self._read, self._wanted = self.folder.journal, [], most
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(self._reader.opened(path))
                if stream is None:
                    raise InputError("there is none", where=str(path))
            except InputError as error:  # it contradicts nothing
                what, hint = f"no journal that can be opened: {error.what}", _OPENABLE
                self._fault = MissingEvidence(what, where=str(path), hint=hint)
                return
            try:
                self._read.extend(islice(iterate_records(path, allowance, stream), most))
            except ProvenanceError as error:
                self._fault = error

    def names(self, digest: str) -> bool:
        """Whether the journal holds a digest in quotation marks, or cannot be searched for it.

        It is searched as bytes; a window of it is in memory at a time.
        """
        with suppress(InputError), self._reader.opened(self.folder.journal) as stream:
            return stream is not None and FileBytes(stream).find(f'"{digest}"'.encode(), 0) >= 0
        return True  # whoever asks learns from `records` why

    def named_run(self) -> RunId | None:
        """The run that `run.json` names; None if it is missing or damaged (fsck says which)."""
        with suppress(KeyError, ProvenanceError):
            info = self._reader.json(self.folder.info, MAX_TABLE_BYTES) or {}
            return RunId.parse(info["run_id"])
        return None

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

    def attestations(self) -> Sequence[Attestation]:
        """Lines of attestations.jsonl; those that cannot be read are left out."""
        if self._attested is None:
            data = self._reader.bytes(self.folder.attestations, MAX_ATTESTATIONS_BYTES)
            self._attested = list(parse_lines(data or b""))
        return self._attested

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
        return [found for found in each if (found.named_run() or found.drawn_for()) == run_id]

    def makers(self, artifact: str) -> list[FolderEvidence]:
        """As `EvidenceSource`. Only journals (attacker-controlled) with the digest are read."""
        each = (FolderEvidence(folder) for folder in self.runs())
        return [found for found in each if found.names(artifact)]


def run_id_of(folder: RunFolder) -> RunId | None:
    """The run that a folder claims to be of; records and chain must confirm it."""
    return FolderEvidence(folder).named_run()
