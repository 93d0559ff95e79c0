"""Committing a dataset: which records of a source, and what its manifest says about them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from provenance.dataset.saltstore import load_or_create_key
from provenance.dataset.writer import ManifestFacts
from provenance.progress import Progress
from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.training.commitments import CommitReport, DatasetCommitter
from provenance_zk.training.sources import RowSource, open_source


@dataclass(frozen=True)
class Selection:
    """Which records of a source are committed, and how the source is named.

    source: a file, a folder, the name of a Hugging Face dataset, or `attack-stix`.
    text_column: commit only this column.
    limit: how many records from the start; None for all.
    split: which split of a Hugging Face or saved dataset.
    dedupe: drop exact duplicates; else a duplicate is an error.
    source_name, licence: go into the manifest instead of what the source says of itself.
    """

    source: str
    text_column: str | None = None
    limit: int | None = None
    split: str = "train"
    dedupe: bool = False
    source_name: str | None = None
    licence: str | None = None

    def open(self) -> RowSource:
        """Open the source; raises as `open_source`."""
        return open_source(self.source, text_column=self.text_column, split=self.split)

    def facts(self, rows: RowSource) -> ManifestFacts:
        """What the manifest will say about an opened source."""
        limited = [f"first {self.limit} records"] if self.limit is not None else []
        return ManifestFacts(
            source=self.source_name or rows.source,
            licence=self.licence or rows.licence,
            text_column=rows.text_column,
            columns=rows.columns,
            files=rows.files,
            curation=[*rows.curation, *limited],
        )


def commit_selection(
    selection: Selection, out: Path, settings: Settings, progress: Progress
) -> CommitReport:
    """Commit the selected records to the new folder `out`.

    The salt key is made in `settings.home` on first use. Raises as `DatasetCommitter` and
    `open_source`.
    """
    rows = selection.open()
    facts = selection.facts(rows)
    if not facts.licence:
        progress("warning: no licence is recorded; name it with --licence")
    committer = DatasetCommitter(
        ZkProver(find_binary(settings.zkprover)),
        load_or_create_key(settings.home / "salts.key"),
        dedupe=selection.dedupe,
        locate=lambda _: rows.where,
        progress=progress,
    )
    return committer.commit(islice(rows, selection.limit), out, facts)
