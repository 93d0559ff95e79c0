"""Proving statements about a committed dataset: its `sorted` set, and `member` or `absent`.

Only the owner can, since a proof needs the digests and salts of the leaves that it opens. A chunk
whose proof is on disk and valid is kept, so a command that was cut off goes on where it stopped.

Source: docs/formats/statements.md ("sorted", "member and absent").
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.dataset.committed import CommittedDataset, Place
from provenance.digest import Digest
from provenance.errors import ProvenanceError, RejectedError
from provenance.ids import DatasetId
from provenance.progress import Say
from provenance_zk.audits.ledger import AuditLedger, send_statement
from provenance_zk.audits.sorted_proofs import chunk_file, publish
from provenance_zk.audits.statement_file import Statement, require_complete
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import Question, ZkProver
from provenance_zk.prover.keys import KeyFolder

GROUP_CHUNKS = 16  # chunks proved by one call of the prover, which builds the tree on each call


def prove_sorted_set(
    dataset: CommittedDataset, folder: Path, key: KeyFolder, prover: ZkProver, say: Say
) -> list[Statement]:
    """All `sorted` statements of a dataset, written to `folder`.

    Valid ones that are already there are kept.

    Raises:
        RejectedError: a record was erased, so its chunk can no longer be opened.
        AuthError: the dataset was opened without its key.
    """
    sorted_set = _SortedSet(dataset, folder, key, prover)
    kept = sorted_set.kept()
    missing = [k for k in range(sorted_set.count) if k not in kept]
    if missing:
        _require_whole(dataset)
        kept |= sorted_set.make(missing, len(kept), say)
    statements = [kept[k] for k in range(sorted_set.count)]
    require_complete(statements, dataset.root, key.slots)
    return statements


@dataclass(frozen=True)
class _SortedSet:
    """The `sorted` set of a dataset under one key, in a folder."""

    dataset: CommittedDataset
    folder: Path
    key: KeyFolder
    prover: ZkProver

    @property
    def count(self) -> int:
        return -(-len(self.dataset) // self.key.slots)

    def make(self, missing: Sequence[int], kept: int, say: Say) -> dict[int, Statement]:
        """Prove the missing chunks and write each to the folder; `kept` others are there."""
        made: dict[int, Statement] = {}
        digests, salts = b"".join(self.dataset.digests()), b"".join(self.dataset.salts())
        root, begin = self.dataset.root, time.monotonic()
        for done, group in _groups(missing):
            left = _time_left(begin, done, len(missing))
            say(f"chunk {done + 1} of {len(missing)}, {kept} kept{left}")
            proofs = self.prover.prove_sorted(self.key.dir, digests, salts, root.depth, group)
            for k, proof in zip(group, proofs, strict=True):
                statement = Statement("sorted", root, None, proof)
                statement.require_inputs(self.key.slots)
                publish(chunk_file(self.folder, k), statement, self.key)
                made[k] = statement
        return made

    def kept(self) -> dict[int, Statement]:
        """Valid statements on disk about this dataset under this key, by chunk."""
        found: dict[int, Statement] = {}
        for k in range(self.count):
            path = chunk_file(self.folder, k)
            if path.is_file() and (statement := self._expected(path, k)) is not None:
                found[k] = statement
        if not found:
            return found
        answers = self.prover.verify(self.key.words_file, [s.proof for s in found.values()], 0)
        return {k: s for (k, s), answer in zip(found.items(), answers, strict=True) if answer.ok}

    def _expected(self, path: Path, k: int) -> Statement | None:
        dataset, key = self.dataset, self.key
        try:
            statement = Statement.load(path)
            statement.require_inputs(key.slots)
        except ProvenanceError:
            return None  # whatever the file is, the statement is proved again
        last = key.slots * (k + 1)
        first = int.from_bytes(dataset.leaf(key.slots * k), "big")
        following = int.from_bytes(dataset.leaf(last), "big") if last < len(dataset) else 0
        ends = [statement.proof.public_value(name) for name in ("first", "next")]
        actual = (statement.dataset, statement.proof.vk_id, statement.chunk, ends)
        return statement if actual == (dataset.root, key.vk_id, k, [first, following]) else None


def _require_whole(dataset: CommittedDataset) -> None:
    if erased := dataset.erased():
        raise RejectedError(
            "a record was erased, so the dataset can no longer be proven sorted",
            where=f"{dataset.folder} record {erased[0]}",
            expected="no erased record",
            actual=f"{len(erased)} erased",
            hint="commit the records that are left as a new version, and prove that one",
        )


def _groups(chunks: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    for done in range(0, len(chunks), GROUP_CHUNKS):
        yield done, chunks[done : done + GROUP_CHUNKS]


def _time_left(begin: float, done: int, total: int) -> str:
    if not done:
        return ""
    return f", about {(time.monotonic() - begin) * (total - done) / done:.0f} s left"


def submit_sorted_set(
    statements: Sequence[Statement], dataset_id: DatasetId, ledger: AuditLedger, say: Say
) -> None:
    """Have the contract check each chunk, and wait until all of it is final.

    What the contract already accepted is not sent again.

    Raises:
        RejectedError: the contract refuses a proof, or does not call the set complete afterwards.
        UnavailableError: the chain is out of reach; call again.
    """
    vk_id, receipt = statements[0].proof.vk_id, None
    if ledger.latest().sorted_complete(dataset_id, vk_id):
        say("the chain has the set already")
        return
    for number, statement in enumerate(statements, 1):
        say(f"submitting chunk {number} of {len(statements)}")
        receipt = send_statement(ledger, dataset_id, statement)
    ledger.final(receipt)
    if not ledger.latest().sorted_complete(dataset_id, vk_id):
        raise RejectedError(
            "contract does not call the set complete",
            where=f"dataset {dataset_id}",
            expected="sorted",
        )


def prove_place(
    dataset: CommittedDataset, digest: Digest, place: Place, key: KeyFolder, prover: ZkProver
) -> Statement:
    """The `member` or `absent` statement about a digest that stands at `place`.

    Args:
        key: of kind `member` when the digest is present, else `absent`.

    Raises:
        RejectedError: a record beside the place was erased, so neither can be proven.
        AuthError: the dataset was opened without its key.
    """
    if place.answer == "undetermined":
        raise RejectedError(
            "neither presence nor absence can be proven beside an erased record",
            where=str(dataset.folder),
            actual=digest,
        )
    kind = "member" if place.index is not None else "absent"
    proof = _prove_place(dataset, digest, place, key, prover)
    statement = Statement(kind, dataset.root, digest, proof)
    statement.require_inputs(key.slots)
    return statement


def _prove_place(
    dataset: CommittedDataset, digest: Digest, place: Place, key: KeyFolder, prover: ZkProver
) -> ProofFile:
    depth = dataset.root.depth
    if place.index is not None:
        question = Question(dataset.leaves, depth, digest, place.index)
        return prover.prove_member(key.dir, question, dataset.salt(place.index))
    below, above = (_neighbour(dataset, index) for index in (place.below, place.above))
    question = Question(dataset.leaves, depth, digest, place.above)
    return prover.prove_absent(key.dir, question, below, above)


def _neighbour(dataset: CommittedDataset, index: int) -> tuple[Digest, bytes] | None:
    """(digest, salt) of a record; None before the first and behind the last."""
    return (dataset.digest(index), dataset.salt(index)) if 0 <= index < len(dataset) else None
