"""What was done to the rows of a source on their way to records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from provenance_zk.training.sources.values import listed, shown


@dataclass
class Reading:
    """Counts of one pass over a source; nothing here is proven.

    Attributes:
        records: rows that became records.
        blank_lines: lines without text that were skipped.
        filled: rows that lack a column, and have null there, by column.
        converted: values that a record holds as text, by column and kind.
        normalised: texts that Unicode NFC changed.
        dropped: row numbers of pandas that were left out, by column.
        others: columns that were not asked for.
        notes: what files turned out to be, and which; no file means all of them.
    """

    records: int = 0
    blank_lines: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    converted: Counter[tuple[str, str]] = field(default_factory=Counter)
    normalised: int = 0
    dropped: dict[str, None] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, file: str | None = None) -> None:
        """Say something about a file, or about all of them."""
        files = self.notes.setdefault(what, [])
        if file is not None:
            files.append(file)

    def sentences(self) -> list[str]:
        """What a manifest and people are told."""
        said = [f"{what}: {listed(files)}" if files else what for what, files in self.notes.items()]
        if self.blank_lines:
            said.append(f"blank lines skipped: {self.blank_lines}")
        said += [f"column {shown(c)} left out: row numbers of pandas" for c in self.dropped]
        said += [
            f"column {shown(c)}: null in {count} of {self.records} records, which lack it"
            for c, count in self.filled.items()
        ]
        said += [
            f"column {shown(c)}: {count} {kind}" for (c, kind), count in self.converted.items()
        ]
        if self.normalised:
            said.append(f"texts changed by Unicode NFC: {self.normalised}")
        return said

    def to_json(self) -> dict[str, Any]:
        """The counts for programs."""
        return {
            "records_read": self.records,
            "blank_lines_skipped": self.blank_lines,
            "filled": dict(self.filled),
            "converted": [
                {"column": column, "kind": kind, "count": count}
                for (column, kind), count in self.converted.items()
            ],
            "normalised": self.normalised,
            "dropped": [*self.dropped],
            "columns_left_out": [*self.others],
        }
