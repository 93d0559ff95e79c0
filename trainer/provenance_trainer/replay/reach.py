"""Where training a segment again begins: with the newest checkpoint at hand, or with the seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance.errors import InputError, VerificationError
from provenance.log.graph.segments import Segment, joined
from provenance.log.history import Placed
from provenance.progress import Say
from provenance.text.shown import told
from provenance_trainer.record.checkpoints import folder_of
from provenance_trainer.replay.start import PARTS, require_part


def reachable(
    segments: Sequence[Segment], row: Sequence[int], folders: Sequence[Path], say: Say
) -> tuple[Segment, Sequence[Path]]:
    """A row of segments with all before it back to the newest checkpoint that is at hand, or the
    seed; and the folders, the one that holds this checkpoint first.

    One that was deleted, or that somebody altered, costs time and not the replay: the seed is
    always at hand.

    Args:
        folders: one or more (attacker-controlled).
    """
    first = row[0]
    while (start := segments[first].start) is not None:
        holding = next((each for each in folders if is_logged(each, start, say)), None)
        if holding is not None:
            others = [each for each in folders if each != holding]
            return joined(segments[first : row[-1] + 1]), [holding, *others]
        first -= 1
    return joined(segments[: row[-1] + 1]), folders


def is_logged(run: Path, checkpoint: Placed, say: Say) -> bool:
    """Whether a run's folder holds all that training goes on from, as the record names it."""
    folder = folder_of(run, checkpoint.fields["path"])
    if not folder.is_dir():
        say(f"{run}: {told(folder.name)} is gone: training begins earlier")
        return False
    try:
        for part, name in PARTS.items():
            require_part(folder / name, checkpoint, part)
    except (VerificationError, InputError, OSError) as error:
        say(f"{error}: training begins earlier")
        return False
    return True


def gone_before(segments: Sequence[Segment], row: Sequence[int], begun: Segment) -> list[str]:
    """The folders of checkpoints that are not at hand, or not as logged, so that a row of segments
    begins earlier, with the segment that `reachable` gave; oldest first.
    """
    missing = (each.start for each in segments[: row[0] + 1] if each.first > begun.first)
    return [start.fields["path"] for start in missing if start is not None]
