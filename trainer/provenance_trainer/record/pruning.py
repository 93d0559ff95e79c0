"""Which checkpoints of a run stay on disk.

`save_total_limit` is about checkpoints of `save_steps` only. Those that end a segment of
`provenance.segment_steps` stay, so that whoever trains a segment again finds where it begins.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from provenance_trainer.record.recorder import Recorder

_FOLDER = re.compile(r"checkpoint-([1-9][0-9]{0,15})")


def goes(steps: Iterable[int], limit: int, segment_steps: int | None) -> list[int]:
    """The steps whose checkpoints are deleted, of those up to the newest one, which stays.

    Args:
        limit: how many stay, 1 or more, beside those that end a segment.
        segment_steps: steps of a segment; None if no checkpoint is written for segments alone.
    """
    counted = sorted(step for step in steps if segment_steps is None or step % segment_steps)
    return counted[:-limit]


class Pruning(TrainerCallback):
    """Deletes checkpoints after each save, once the record of the newest one is on disk.

    Trainer itself deletes them before: whoever is killed in between has none to go on from.
    """

    def __init__(self, limit: int, segment_steps: int | None, recorder: Recorder) -> None:
        """`limit`, `segment_steps`: as `goes` has them. It comes after what records."""
        self._limit, self._segment_steps, self._recorder = limit, segment_steps, recorder

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Delete what is kept no longer."""
        if not state.is_world_process_zero or self._recorder.status.backlog:
            return
        folder, newest = Path(args.output_dir or "."), state.global_step
        steps = [step for step in _steps(folder) if step <= newest]
        for step in goes(steps, self._limit, self._segment_steps):
            shutil.rmtree(folder / f"checkpoint-{step}", ignore_errors=True)


def _steps(folder: Path) -> Iterator[int]:
    """The steps whose checkpoints lie in a folder."""
    for path in folder.iterdir():
        if (found := _FOLDER.fullmatch(path.name)) and path.is_dir():
            yield int(found[1])
