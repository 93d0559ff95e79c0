"""Submitting statement files to the contract of audits, as anybody may who has them.

What the contract would refuse is refused here, before a transaction is paid for. What it already
accepted is not sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError, NotFound, RejectedError
from provenance.ids import DatasetId, to_hex
from provenance.judgement.facts import ChainSnapshot
from provenance.progress import Say
from provenance_zk.audits.ledger import AuditLedger, send_statement
from provenance_zk.audits.statement_file import DATASET_KINDS, Statement, describe


class PinnedKey(Protocol):
    """A key that the contract pins."""

    @property
    def vk_id(self) -> str:
        """Its id, `0x` and 64 digits."""
        ...

    @property
    def kind(self) -> str:
        """Name of its kind."""
        ...

    @property
    def slots(self) -> int:
        """Leaves per chunk of `sorted`."""
        ...

    @property
    def depth(self) -> int:
        """Depth of the trees it is for."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a file: `sent` is False when the chain already had the statement."""

    path: Path
    statement: Statement
    sent: bool

    @property
    def about(self) -> str:
        """The record or chunk that the statement is about, for people."""
        return (
            str(self.statement.digest)
            if self.statement.digest is not None
            else f"chunk {self.statement.chunk}"
        )

    def to_json(self) -> dict[str, Any]:
        """What the command prints for programs."""
        return {
            "file": str(self.path),
            "kind": self.statement.kind,
            "about": self.about,
            "sent": self.sent,
        }

    def line(self) -> str:
        """What the command prints for people."""
        what = "shown" if self.sent else "was shown before"
        return f"{self.statement.kind:<8}{self.about}  {what}"


def submit_statements(
    files: Sequence[tuple[Path, Statement]],
    dataset_id: DatasetId,
    ledger: AuditLedger,
    keys: Iterable[PinnedKey],
    say: Say,
) -> list[Outcome]:
    """Submit statements, `sorted` chunks first, and wait until all of them are final.

    Args:
        files: attacker-controlled.
        keys: the keys that the contract pins; a proof under another one is not sent.

    Raises:
        NotFound: no such registration.
        InputError: a statement about another dataset, or under a key that the contract does not
            pin.
        RejectedError: the registration is not finished, the dataset was not shown to be sorted, or
            the contract refuses a proof. Earlier statements may have been sent.
        UnavailableError: the chain is out of reach; call again.
    """
    dataset, pinned = _registered(ledger.latest(), dataset_id), list(keys)
    for path, statement in files:
        try:
            _require_fitting(statement, dataset, dataset_id, pinned)
        except InputError as error:
            error.where = str(path)
            raise
    outcomes, last = {}, None
    for path, statement in sorted(files, key=lambda item: DATASET_KINDS.index(item[1].kind)):
        snapshot = ledger.latest()
        sent = not _is_known(snapshot, dataset_id, statement)
        if sent:
            say(f"submitting {path.name}")
            last = _send(path, statement, dataset_id, ledger, snapshot)
        outcomes[path] = Outcome(path, statement, sent)
    if last is not None:
        say("waiting for finality")
        ledger.final(last)
    return [outcomes[path] for path, _ in files]


def _registered(snapshot: ChainSnapshot, dataset_id: DatasetId) -> DatasetRoot:
    facts = snapshot.dataset(dataset_id)
    if facts is None:
        raise NotFound(
            "dataset is not registered on the ledger",
            where="--dataset-id",
            expected="a registration",
            actual=dataset_id,
            hint="provenance dataset register DIR prints the id",
        )
    if not facts.finished:
        raise RejectedError(
            "registration is not finished",
            where=str(dataset_id),
            hint="its owner runs provenance dataset register again",
        )
    return DatasetRoot(facts.root, facts.depth, facts.count)


def _require_fitting(
    statement: Statement,
    dataset: DatasetRoot,
    dataset_id: DatasetId,
    keys: Sequence[PinnedKey],
) -> None:
    if statement.dataset != dataset:
        raise InputError(
            "statement is about another dataset than the registration",
            expected=describe(dataset),
            actual=describe(statement.dataset),
            hint=f"{dataset_id} is not where this dataset was registered",
        )
    vk_id = to_hex(statement.proof.vk_id)
    fitting = [key for key in keys if key.kind == statement.kind and key.depth == dataset.depth]
    key = next((key for key in fitting if key.vk_id == vk_id), None)
    if key is None:
        wanted = ", ".join(key.vk_id for key in fitting)
        raise InputError(
            "contract of audits does not pin the proof's key",
            expected=wanted or f"a {statement.kind} key of depth {dataset.depth}",
            actual=vk_id,
            hint="the owner makes the proof again with the deployed key, which must be in the key "
            "cache",
        )
    statement.require_inputs(key.slots)


def _is_known(snapshot: ChainSnapshot, dataset_id: DatasetId, statement: Statement) -> bool:
    if statement.digest is None:
        return snapshot.sorted_complete(dataset_id, statement.proof.vk_id)
    return snapshot.is_shown(dataset_id, statement.kind, bytes(statement.digest))


def _send(
    path: Path,
    statement: Statement,
    dataset_id: DatasetId,
    ledger: AuditLedger,
    snapshot: ChainSnapshot,
) -> Any:
    if statement.needs_order and not snapshot.is_sorted(dataset_id):
        raise RejectedError(
            "dataset was not shown to be sorted on chain, so absence means nothing there",
            where=str(path),
            hint="the owner runs provenance dataset prove DIR --on-chain; or submit all of its "
            "sorted-*.json files too",
        )
    try:
        return send_statement(ledger, dataset_id, statement)
    except RejectedError as error:
        if not (error.actual or "").startswith(
            ("DigestProofInvalid", "ProofInvalid", "MalformedPoint")
        ):
            raise
        raise RejectedError(
            "contract refuses the proof: it does not verify",
            where=str(path),
            actual=error.actual,
            hint="provenance proof verify says the same, and why",
        ) from error
