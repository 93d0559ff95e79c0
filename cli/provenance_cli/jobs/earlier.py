"""What an earlier call left in a run's folder, and whether this call may go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provenance.errors import Conflict
from provenance.layout import RunFolder
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance_trainer.config import TrainConfig, config_digest, config_record, flat

_SHOWN = 3  # keys of a configuration that differ


def is_closed(records: Sequence[Record]) -> bool:
    """Whether a run's log says that its training ended.

    Raises:
        VerificationError: the records contradict each other.
    """
    return bool(records) and read_history(records).close is not None


def is_opened(records: Sequence[Record]) -> bool:
    """Whether a run was opened: its pre-registration cannot change any more."""
    return bool(records)


def discard_unopened(run: RunFolder) -> None:
    """Remove a run that was killed before its first record was durable: nothing refers to it."""
    if run.evidence.is_dir() and not records_of(run):
        run.journal.unlink(missing_ok=True)
        run.evidence.rmdir()


def records_of(run: RunFolder) -> list[Record]:
    """A run's records; an empty list if it has no journal."""
    return read_records(run.journal) if run.journal.is_file() else []


def _values(config: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={config.get(name)!s:.60}" for name in names)


def require_same_run(run: RunFolder, config: TrainConfig, *, must_resume: bool) -> None:
    """Check that a new run can begin in this folder, or that the run there can be resumed.

    Args:
        must_resume: refuse to begin a new run.

    Raises:
        Conflict: the run there has another configuration, the folder holds something that is no
            run, or `must_resume` is true and there is no run or a finished one.
    """
    records = records_of(run)
    if not records:
        if must_resume:
            raise Conflict("nothing to resume", where=str(run.root), expected="provenance/journal")
        others = [p for p in run.root.glob("*") if p != run.evidence] if run.root.is_dir() else []
        if others:
            raise Conflict(
                "output folder is not empty",
                where=str(run.root),
                hint="choose another output_dir",
            )
        return
    expected, actual = records[0].fields["config_digest"], str(config_digest(config))
    if expected != actual:
        opened, asked = flat(records[0].fields["config"]), flat(config_record(config))
        changed = [n for n in sorted({*opened, *asked}) if opened.get(n) != asked.get(n)]
        names, left = changed[:_SHOWN], len(changed[_SHOWN:])
        more = f" and {left} more" if left else ""
        raise Conflict(
            "configuration differs from the one the run was opened with",
            where=str(run.root),
            expected=_values(opened, names),
            actual=_values(asked, names) + more,
            hint="an open run keeps its configuration; choose another output_dir for a new run",
        )
    if must_resume and is_closed(records):
        raise Conflict(
            "run is finished",
            where=str(run.root),
            hint="leave --resume out to prove what is not proven yet",
        )
