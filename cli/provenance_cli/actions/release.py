"""Releasing a quantized file: a record in the log, and a claim on chain by the owner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.artifacts.manifest import manifest_of
from provenance.chain.session import Session
from provenance.digest import Digest
from provenance.errors import Conflict
from provenance.ids import to_hex
from provenance.layout import RunFolder, write_atomically, write_json
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.log.run_log import OpenLog, anchor, open_log, run_id_of
from provenance.log.tree import RunLog
from provenance.progress import Say

DEFAULT_NAME = "model"


@dataclass(frozen=True)
class Claimed:
    """A release that is claimed on chain.

    index: index of the release record in the log.
    seq: number of the anchored head that covers the record.
    block, tx: where the claim was mined.
    """

    file: Path
    model: Digest
    run_id: bytes
    index: int
    seq: int
    name: str
    block: int
    tx: bytes

    def to_json(self) -> dict[str, Any]:
        """The result of the command."""
        return {
            "format": "provenance-release/1",
            "model": str(self.model),
            "run_id": to_hex(self.run_id),
            "index": self.index,
            "seq": self.seq,
            "block": self.block,
            "tx": to_hex(self.tx),
            "file": str(self.file),
            "name": self.name,
        }


def require_name(release: Placed, name: str | None) -> None:
    """Check that a logged release has the wanted name; None accepts any name.

    Raises:
        Conflict: it has another name.
    """
    if name not in (None, release.fields["name"]):
        raise Conflict(
            "file is already released under another name",
            where=f"record {release.index}",
            expected=release.fields["name"],
            actual=name,
            hint="a log is never rewritten; leave --name out to finish this release",
        )


def release_run(run: Path, name: str | None, session: Session, progress: Say) -> Claimed:
    """Log the release of a run's quantized file, anchor it and claim it on chain; repeatable.

    Raises:
        Conflict: nothing was quantized, or the file has another name already.
        VerificationError: the file is not the one that the log says was quantized.
    """
    folder = RunFolder(run)
    with open_log(folder) as log:
        file = log.quantized_file()
        model = Digest.parse(log.last_quantization().fields["file"])
        index = _logged(log, model, name)
        record = log.records[index]
        progress("anchoring")
        head = anchor(session, log)
        tree = RunLog(folder.journal)
        tree.refresh(head.size)
        progress("claiming")
        run_id = run_id_of(folder)
        path = tree.tree.inclusion_proof(index, head.size)
        receipt = session.release(record, index, head.seq, path)
        progress("waiting for finality")
        session.final(receipt)
    return Claimed(
        file=file,
        model=model,
        run_id=run_id,
        index=index,
        seq=head.seq,
        name=record.fields["name"],
        block=receipt.block_number,
        tx=receipt.tx_hash,
    )


def _logged(log: OpenLog, model: Digest, name: str | None) -> int:
    """Index of the record that releases the file; it is appended if it is missing."""
    folder = log.folder
    manifest = manifest_of(folder.release)
    write_atomically(folder.evidence / "release.manifest.json", manifest.to_bytes())
    # The same manifest for OpenSSF model signing tools; nothing here reads it.
    write_json(folder.evidence / "release.oms.json", manifest.to_oms())
    done = log.history.release_of(str(model))
    if done is not None:
        require_name(done, name)
        return done.index
    return log.append(
        Record.make(
            "release",
            run_id=to_hex(run_id_of(folder)),
            model=str(model),
            manifest=str(manifest.root),
            name=name or DEFAULT_NAME,
            files=len(manifest.files),
        )
    )
