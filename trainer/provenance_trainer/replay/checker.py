"""Training again within a verification: the verifier believes what its own machine computed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from provenance.digest import Digest, sha256
from provenance.errors import NotFound, ProvenanceError
from provenance.ids import Word
from provenance.layout import RunFolder
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.draw import drawn
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.record import Record
from provenance.log.tree import iterate_records
from provenance.progress import Say
from provenance.text.shown import told
from provenance.verify.protocols import Difference, ReplayFacts
from provenance.verify.sources.evidence import FolderSource
from provenance_trainer.replay.process import Material
from provenance_trainer.replay.run import Replay, replay_run


class TrainingReplay:
    """A `provenance.verify.protocols.TrainingReplayer` over run folders (attacker-controlled)."""

    def __init__(
        self, folders: Sequence[Path], material: Material, wanted: int | None, say: Say
    ) -> None:
        """wanted: how many segments to train again, which a nonce of this process chooses; None
        for all.
        """
        self._folders, self._material, self._wanted, self._say = folders, material, wanted, say
        # Several folders may hold one log, and each is judged: one training is enough for all.
        self._done: dict[Digest, ReplayFacts | ProvenanceError] = {}

    def replay(self, records: Sequence[Record]) -> ReplayFacts:
        """Train segments of a run again; see the protocol."""
        log = sha256(b"".join(record.entry for record in records))
        if log not in self._done:
            try:
                self._done[log] = self._replay(records)
            except ProvenanceError as error:
                self._done[log] = error
        found = self._done[log]
        if isinstance(found, ProvenanceError):
            raise found
        return found

    def _replay(self, records: Sequence[Record]) -> ReplayFacts:
        folders = self._find(records[0])
        count = len(segments_of(read_history(records)))
        numbers = list(range(count))
        if self._wanted is not None:
            nonce = Word(os.urandom(Word.SIZE))
            numbers = drawn(count, min(self._wanted, count), nonce)
        replay = replay_run(records, folders, numbers, self._material, self._say)
        outcomes = {one.number: one.agreement.value for one in replay.outcomes}
        far = None if replay.agreement is Agreement.EXACT else str(replay.worst)
        gone = len({name for training in replay.trainings for name in training.gone})
        return ReplayFacts(count, outcomes, far, different_of(replay), gone)

    def _find(self, opening: Record) -> list[Path]:
        each = FolderSource(self._folders).runs()
        if found := [folder.root for folder in each if _first(folder) == opening]:
            return found
        raise NotFound(
            "no run folder with the checkpoints of this run",
            where=", ".join(map(str, self._folders)),
            hint="name the run folder with --evidence",
        )


def _first(folder: RunFolder) -> Record | None:
    """The first record of a journal; None if it cannot be read."""
    try:
        return next(iter(iterate_records(folder.journal)), None)
    except ProvenanceError:
        return None  # somebody else's damaged folder must not hide the run's


def different_of(replay: Replay) -> Difference | None:
    """The first checkpoint that is `different`; None if none is."""
    if replay.agreement is not Agreement.DIFFERENT:
        return None
    found = replay.worst
    return Difference(
        f"record {found.index} {told(found.name)}",
        "the logged " + ", ".join(found.differs),
        str(found.distance),
    )
