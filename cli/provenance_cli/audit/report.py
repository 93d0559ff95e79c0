"""What `audit replay` found, as a file between the machine that trains and the one that signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import InputError, ProvenanceError, VerificationError
from provenance.ids import Word, from_hex, to_hex
from provenance.layout import read_json
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.draw import drawn
from provenance.text.shown import told
from provenance_cli.audit.subject import Subject

FORMAT = "provenance-replay/1"


@dataclass(frozen=True)
class Report:
    """Which log was trained again, what drew the segments, and how each came out.

    opening: digest of the log's first record. outcomes: class of each segment by its number.
    """

    opening: str
    size: int
    root: bytes
    segments: int
    nonce: Word
    outcomes: Mapping[int, Agreement]
    stack: Mapping[str, Any]

    @classmethod
    def of(cls, subject: Subject, nonce: Word, found: Mapping[str, Any]) -> Report:
        """Of what was found on a log; `found` is the JSON of a replay."""
        return cls(
            str(subject.records[0].digest),
            subject.size,
            subject.root(),
            len(subject.segments),
            nonce,
            {one["segment"]: Agreement(one["class"]) for one in found["replayed"]},
            found["stack"],
        )

    def to_json(self) -> dict[str, Any]:
        """The fields that say what it is about; the replay's own say what came out."""
        return {
            "format": FORMAT,
            "opening": self.opening,
            "size": self.size,
            "root": to_hex(self.root),
            "nonce": str(self.nonce),
        }

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read what `audit replay --out` wrote.

        Raises:
            NotFound: no such file.
            InputError: it is something else, or it has not all segments that its nonce drew.
        """
        value = read_json(path)
        try:
            if value["format"] != FORMAT or not isinstance(value["stack"], dict):
                raise ValueError(f"not {FORMAT}")
            outcomes = {
                _number(one["segment"]): Agreement(one["class"]) for one in value["replayed"]
            }
            report = cls(
                value["opening"],
                _number(value["size"]),
                from_hex(value["root"], 32),
                _number(value["segments"]),
                Word.parse(value["nonce"]),
                outcomes,
                value["stack"],
            )
        except (ValueError, KeyError, TypeError, AttributeError, ProvenanceError) as error:
            raise InputError(
                "not the report of a replay",
                where=str(path),
                expected="a file that provenance audit replay --out wrote",
                actual=told(str(error)),
            ) from error
        report._require_whole(path)
        return report

    def _require_whole(self, path: Path) -> None:
        wanted, count = len(self.outcomes), self.segments
        if not 1 <= wanted <= count:
            raise InputError("not the report of a replay", where=str(path))
        expected = drawn(count, wanted, self.nonce)
        if sorted(self.outcomes) != expected:
            raise InputError(
                "report has other segments than its nonce drew",
                where=str(path),
                expected=expected,
                actual=sorted(self.outcomes),
            )

    def require_about(self, subject: Subject, path: Path) -> None:
        """Check that the log at hand is the one that was trained again.

        Raises:
            VerificationError: it is another one.
        """
        same = (
            self.opening == str(subject.records[0].digest)
            and self.size == subject.size
            and self.segments == len(subject.segments)
            and self.root == subject.root()
        )
        if not same:
            raise VerificationError(
                "report is about another log than the run's",
                where=str(path),
                expected=f"log of {subject.folder.root}",
                hint="train this run again: provenance audit replay",
            )


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError("not a number")
    return value
