"""The records that a run is evaluated on and not trained on, read as training records are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from provenance.errors import ConfigError, InputError, NotFound, UnavailableError
from provenance.progress import Progress, silent
from provenance_trainer.data.kinds import Kinds
from provenance_zk.training.sources import open_source

EVAL_KEY = "eval_dataset_name"


@dataclass(frozen=True)
class HeldOut:
    """The first records of a held-out source.

    rows: where each stands, and the record as a committed dataset would give it back.
    kinds: what the columns hold, over all records of the source.
    total: how many the source has.
    """

    name: str
    rows: tuple[tuple[str, dict[str, Any]], ...]
    kinds: Kinds
    total: int

    def __str__(self) -> str:
        return f"{len(self.rows)} of {self.total} held-out records of {self.name}"


def read_held_out(name: str, limit: int, progress: Progress = silent) -> HeldOut:
    """Read the whole source, so that a fault in it is found, and keep its first records.

    Args:
        name: whatever `dataset commit` takes; a folder of several splits is refused, since any of
            them may be the one that was trained on.
        limit: records to keep at most.

    Raises:
        ConfigError: there is no such source.
        InputError, UnavailableError: as `open_source`; `where` begins with the configuration's key.
    """
    try:
        source = open_source(name, split=None, progress=progress)
        rows = tuple(islice(source.records(), limit))
        kinds = Kinds.of(source.records())
    except NotFound as error:
        raise ConfigError(
            error.what, where=f"{EVAL_KEY} {name}", actual=error.actual, hint=error.hint
        ) from error
    except (InputError, UnavailableError) as error:
        error.where = f"{EVAL_KEY} {error.where or name}"
        raise
    return HeldOut(name, rows, kinds, source.reading.records)
