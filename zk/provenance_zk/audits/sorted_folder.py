"""A dataset's `sorted` set that a verifier has as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import NotFound
from provenance_zk.audits.proof_check import ProofJudge
from provenance_zk.audits.sorted_source import SortedSet, SortedSource
from provenance_zk.audits.statement_file import Statement, require_complete


class SortedFolder(SortedSource):
    """A folder with files `sorted-<k>.json`; each is judged as if it came alone."""

    def __init__(self, paths: Sequence[Path], judge: ProofJudge) -> None:
        self._paths, self._judge = paths, judge
        self._known: dict[DatasetRoot, SortedSet] = {}

    def require(self, dataset: DatasetRoot) -> SortedSet:
        """As `SortedSource` says."""
        if dataset not in self._known:
            self._known[dataset] = self._check(dataset)
        return self._known[dataset]

    def _check(self, dataset: DatasetRoot) -> SortedSet:
        if not self._paths:
            raise NotFound("folder holds no sorted-0.json", expected="a set of sorted proofs")
        statements = [Statement.load(path) for path in self._paths]
        slots = self._judge.chunk_slots(statements)
        require_complete(statements, dataset, slots)
        return SortedSet(
            f"{len(statements)} sorted proofs of {slots} leaves each, complete and chained",
            statements[0].proof.vk_id,
        )
