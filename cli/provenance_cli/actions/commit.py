"""Committing a dataset: which records of a source, and what its manifest says about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.dataset.saltstore import load_or_create_key
from provenance.dataset.writer import ManifestFacts
from provenance.progress import Progress, silent
from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.training.commitments import CommitReport, DatasetCommitter
from provenance_zk.training.sources import RowSource, listed, open_source


@dataclass(frozen=True)
class Selection:
    """Which records of a source are committed, and how the source is named.

    source: a file, a folder, the name of a Hugging Face dataset, or `attack-stix`.
    text_column: commit only this column.
    limit: how many records from the start; None for all.
    split: which split of a folder, or of a Hugging Face or saved dataset.
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

    def open(self, progress: Progress = silent) -> RowSource:
        """The source, read through once; raises as `open_source`."""
        return open_source(
            self.source,
            text_column=self.text_column,
            split=self.split,
            limit=self.limit,
            progress=progress,
        )

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


@dataclass(frozen=True)
class Committed:
    """What was committed, and from what.

    report: root, count and duplicates.
    rows: the source, with what was done to its rows.
    """

    report: CommitReport
    rows: RowSource

    def to_json(self) -> dict[str, Any]:
        """`provenance-commit/1`, what the command prints for programs."""
        rows = self.rows
        return {
            **self.report.to_json(),
            "columns": list(rows.columns),
            "text_column": rows.text_column,
            "split": rows.split,
            "files": [str(entry["path"]) for entry in rows.files],
            "ignored": list(rows.ignored),
            "curation": rows.curation,
            **rows.reading.to_json(),
        }

    def sentences(self) -> list[str]:
        """The same for people, one line each; what a program counts to nothing is left away."""
        rows, report = self.rows, self.report
        split = f" of split {rows.split}" if rows.split else ""
        columns = "text column" if rows.text_column is not None else "columns"
        said = [f"read {rows.reading.records} records{split}; {columns}: {listed(rows.columns)}"]
        if rows.reading.others:
            said.append(f"columns left out by --text-column: {listed(rows.reading.others)}")
        if rows.files:
            said.append(
                f"from {len(rows.files)} {'file' if len(rows.files) == 1 else 'files'}: "
                f"{listed(str(entry['path']) for entry in rows.files)}"
            )
        if rows.ignored:
            said.append(f"beside the data, and not read: {listed(rows.ignored)}")
        said += rows.curation
        if report.removed:
            said.append(f"dropped {report.removed} exact duplicates")
        return said


def commit_selection(
    selection: Selection, out: Path, settings: Settings, progress: Progress
) -> Committed:
    """Commit the selected records to the new folder `out`.

    The salt key is made in `settings.home` on first use. Raises as `DatasetCommitter` and
    `open_source`.
    """
    rows = selection.open(progress)
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
    return Committed(committer.commit(rows, out, facts), rows)
