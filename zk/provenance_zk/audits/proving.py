"""Making statements about a committed dataset: its `sorted` set, and `member` or `absent` for one
digest.

Only the owner can: it takes the digests and salts of the leaves that a proof opens. A chunk that is
on disk and valid is kept, so a run that was cut off goes on where it stopped.

Source: docs/formats/statements.md ("sorted", "member and absent").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from provenance.chain.calls import SortedProof
from provenance.dataset.committed import CommittedDataset, Place
from provenance.digest import Digest
from provenance.errors import ProvenanceError, RejectedError
from provenance.ids import DatasetId
from provenance_zk.audits.ledger import AuditLedger
from provenance_zk.audits.sorted_proofs import chunk_file, publish
from provenance_zk.audits.statement_file import Statement, require_complete
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.statements import ProofFile
from provenance_zk.training.ledger import calldata

Progress = Callable[[str], None]
GROUP_CHUNKS = 16  # proved by one call of the prover, which builds the tree anew each time


def prove_sorted_set(
    dataset: CommittedDataset, folder: Path, key: KeyFolder, prover: ZkProver, progress: Progress
) -> list[Statement]:
    """All `sorted` statements of a dataset, written to `folder`; those there already and valid are
    kept.

    Raises:
        RejectedError: a record was erased, so its chunk can no longer be opened.
        AuthError: the dataset was opened without its key.
    """
    count = -(-len(dataset) // key.slots)
    kept = _kept(dataset, folder, key, prover, count)
    missing = [k for k in range(count) if k not in kept]
    if missing:
        _require_whole(dataset)
        digests = b"".join(dataset.digests())
        salts = b"".join(dataset.salts())
    begin = time.monotonic()
    for done, group in _groups(missing):
        progress(
            f"chunk {done + 1} of {len(missing)}, {len(kept)} "
            f"kept{_estimate(begin, done, len(missing))}"
        )
        for k, proof in zip(
            group,
            prover.prove_sorted(key.dir, digests, salts, dataset.root.depth, group),
            strict=True,
        ):
            statement = Statement("sorted", dataset.root, None, proof)
            statement.require_inputs(key.slots)
            publish(chunk_file(folder, k), statement, key)
            kept[k] = statement
    statements = [kept[k] for k in range(count)]
    require_complete(statements, dataset.root, key.slots)
    return statements


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


def _estimate(begin: float, done: int, total: int) -> str:
    return (
        f", about {(time.monotonic() - begin) * (total - done) / done:.0f} s left" if done else ""
    )


def _kept(
    dataset: CommittedDataset, folder: Path, key: KeyFolder, prover: ZkProver, count: int
) -> dict[int, Statement]:
    """Statements on disk that are the ones this dataset and key have, and verify."""
    found: dict[int, Statement] = {}
    for k in range(count):
        path = chunk_file(folder, k)
        if path.is_file() and (statement := _expected(path, dataset, key, k)) is not None:
            found[k] = statement
    if found:
        verdicts = prover.verify(key.words_file, [s.proof for s in found.values()], 0)
        found = {
            k: s for (k, s), verdict in zip(found.items(), verdicts, strict=True) if verdict.ok
        }
    return found


def _expected(path: Path, dataset: CommittedDataset, key: KeyFolder, k: int) -> Statement | None:
    try:
        statement = Statement.load(path)
        statement.require_inputs(key.slots)
    except ProvenanceError:
        return None  # whatever it is, it is made anew
    last = key.slots * (k + 1)
    ends = [
        int.from_bytes(dataset.leaf(key.slots * k), "big"),
        int.from_bytes(dataset.leaf(last), "big") if last < len(dataset) else 0,
    ]
    actual = [statement.proof.public_value(name) for name in ("first", "next")]
    good = (statement.dataset, statement.proof.vk_id, statement.chunk, actual) == (
        dataset.root,
        key.vk_id,
        k,
        ends,
    )
    return statement if good else None


def submit_sorted_set(
    statements: Sequence[Statement], dataset_id: DatasetId, ledger: AuditLedger, progress: Progress
) -> None:
    """Have the contract check each chunk and wait until all is final; what it knows already is not
    sent again.

    Raises:
        RejectedError: the contract refuses a proof, or does not call the set complete afterwards.
        UnavailableError: chain out of reach; call again.
    """
    vk_id, receipt = statements[0].proof.vk_id, None
    if ledger.latest().sorted_complete(dataset_id, vk_id):
        progress("the chain has the set already")
        return
    for k, statement in enumerate(statements):
        progress(f"submitting chunk {k + 1} of {len(statements)}")
        proof = statement.proof
        chunk = SortedProof(
            k, proof.public_value("first"), proof.public_value("next"), calldata(proof)
        )
        receipt = ledger.prove_sorted(dataset_id, vk_id, chunk)
    ledger.final(receipt)
    if not ledger.latest().sorted_complete(dataset_id, vk_id):
        raise RejectedError(
            "contract does not call the set complete",
            where=f"dataset 0x{dataset_id.hex()}",
            expected="sorted",
        )


def prove_place(
    dataset: CommittedDataset, digest: Digest, place: Place, key: KeyFolder, prover: ZkProver
) -> Statement:
    """The `member` or `absent` statement about a digest that stands at `place`.

    Args:
        key: of kind `member` when the digest is present, else `absent`.

    Raises:
        RejectedError: undetermined, since an erased record is beside it.
        AuthError: the dataset was opened without its key.
    """
    if place.answer == "undetermined":
        raise RejectedError(
            "neither presence nor absence can be proven beside an erased record",
            where=str(dataset.folder),
            actual=digest,
        )
    kind = "member" if place.index is not None else "absent"
    statement = Statement(
        kind, dataset.root, digest, _prove_place(dataset, digest, place, key, prover)
    )
    statement.require_inputs(key.slots)
    return statement


def _prove_place(
    dataset: CommittedDataset, digest: Digest, place: Place, key: KeyFolder, prover: ZkProver
) -> ProofFile:
    depth = dataset.root.depth
    if place.index is not None:
        return prover.prove_member(
            key.dir, dataset.leaves, place.index, digest, dataset.salt(place.index), depth
        )
    below, above = (_opening(dataset, index) for index in (place.below, place.above))
    return prover.prove_absent(key.dir, dataset.leaves, place.above, digest, below, above, depth)


def _opening(dataset: CommittedDataset, index: int) -> tuple[Digest, bytes] | None:
    return (dataset.digest(index), dataset.salt(index)) if 0 <= index < len(dataset) else None
