"""Where the parts of a run lie on disk.

Everything below `provenance/` except `secrets/` is public evidence.

<run>/
  provenance/
    journal          records, append-only (the source of truth)
    heads.jsonl      signed heads, one JSON object a line
    cosignatures.jsonl
                     what witnesses signed of these heads, one JSON object a line
    attestations.jsonl
                     what auditors signed about training it again, one JSON object a line
    run.json         run id, chain, contracts, dataset folder (derived; `fsck` compares it)
    epochs/<e>/      proof-<chunk>.json of each proven epoch
    dataset/         registration.json and the proofs of the dataset's registration
    samples/<stage>-<number>/
                     tables.json and proof-<group>.json of the merge and of the quantization
    release.manifest.json, release.oms.json
                     the files of `release/`, in our form and in that of OpenSSF
    keys/<vkId>/     vk.words and p_bases.bin of the keys used
    secrets/         salts and blindings (0700; never leaves the machine)
  checkpoint-*/ adapter/ merged/ release/
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.causes import cause_of, content_cause
from provenance.durable import sync_directory
from provenance.encoding import parse_json
from provenance.errors import InputError, NotFound, OutputError

MAX_JSON_BYTES = 64 << 20


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make `data` the content of `path`, durable on return.

    A crash leaves the old content or the new, never a mixture.

    Raises:
        OutputError: a folder has this name, or the disk refuses; what was there stays.
    """
    try:
        _replace(path, data, mode)
    except OSError as error:
        at_fault = path if path.is_dir() or error.filename is None else Path(error.filename)
        raise OutputError(
            "cannot write file", where=str(path), actual=cause_of(error, at_fault)
        ) from error


def _replace(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line, which ends with a newline, to a file of lines; durable on return.

    A torn last line, which a crash left, is overwritten. Processes take turns.

    Raises:
        OSError: the disk refuses.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        end = data.rfind(b"\n") + 1
        os.ftruncate(fd, end)
        os.pwrite(fd, line, end)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write indented JSON with sorted keys, as `write_atomically` does."""
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file (attacker-controlled, at most 64 MiB).

    Raises:
        NotFound: no such file.
        InputError: too large, not JSON, or not an object.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "it is a folder" if stat.S_ISDIR(status.st_mode) else None
            raise InputError("not a regular file", where=str(path), actual=kind)
        if status.st_size > MAX_JSON_BYTES:
            raise InputError(
                "file is too large", where=str(path), expected=f"<= {MAX_JSON_BYTES} bytes"
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound("file is missing", where=str(path), actual=cause_of(error, path)) from error
    except OSError as error:
        raise InputError("cannot read JSON", where=str(path), actual=cause_of(error)) from error
    return json_object(data, path)


def json_object(data: bytes, path: Path) -> dict[str, Any]:
    """A JSON object from the bytes of a file (attacker-controlled).

    Raises:
        InputError: not JSON, or not an object.
    """
    try:
        value = parse_json(data)
    except ValueError as error:
        raise InputError(
            "cannot read JSON", where=str(path), actual=content_cause(data) or error
        ) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=str(path))
    return value


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run; `root` is the training's output_dir."""

    root: Path

    @property
    def evidence(self) -> Path:
        """Everything public about the run."""
        return self.root / "provenance"

    @property
    def journal(self) -> Path:
        """The records."""
        return self.evidence / "journal"

    @property
    def heads(self) -> Path:
        """The signed heads, a line each."""
        return self.evidence / "heads.jsonl"

    @property
    def cosignatures(self) -> Path:
        """What witnesses signed of the heads, a line each; not there before `cosign`."""
        return self.evidence / "cosignatures.jsonl"

    @property
    def attestations(self) -> Path:
        """What auditors signed of the run, a line each; not there before `audit submit`."""
        return self.evidence / "attestations.jsonl"

    @property
    def info(self) -> Path:
        """`run.json`."""
        return self.evidence / "run.json"

    @property
    def nodes(self) -> Path:
        """Nodes of the log's tree; they exist while a process anchors."""
        return self.evidence / ".nodes"

    @property
    def secrets(self) -> Path:
        """Salts and blindings; never leaves the machine."""
        return self.evidence / "secrets"

    @property
    def dataset(self) -> Path:
        """The dataset's registration."""
        return self.evidence / "dataset"

    def epoch(self, epoch: int) -> Path:
        """Proofs of one epoch."""
        return self.evidence / "epochs" / str(epoch)

    def samples(self, stage: str, number: int) -> Path:
        """Tables and proofs of anchoring `number` of a stage (`merge` or `quantize`)."""
        return self.evidence / "samples" / f"{stage}-{number}"

    def key(self, vk_id: str) -> Path:
        """A verifying key by its id, `0x` and 64 digits."""
        return self.evidence / "keys" / vk_id

    @property
    def adapter(self) -> Path:
        """The trained adapter."""
        return self.root / "adapter"

    @property
    def merged(self) -> Path:
        """The merged model."""
        return self.root / "merged"

    @property
    def release(self) -> Path:
        """What is shipped."""
        return self.root / "release"

    def require(self) -> RunFolder:
        """This folder, checked to be a run.

        Raises:
            NotFound: it holds no journal.
        """
        if not self.journal.is_file():
            raise NotFound(
                "not a run folder",
                where=str(self.root),
                expected="provenance/journal",
                hint="name the output_dir of a training run",
            )
        return self
