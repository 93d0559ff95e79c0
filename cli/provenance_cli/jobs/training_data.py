"""The dataset of a training job: a committed folder, or a source that is committed on the way."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from provenance.dataset.committed import CommittedDataset
from provenance.errors import ConfigError, Conflict, InputError, NotFound
from provenance.progress import Progress
from provenance.settings import Settings
from provenance_cli.actions.commit import Selection, commit_selection
from provenance_cli.jobs.means import dataset_beside
from provenance_cli.jobs.tasks import Estimate, Task
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.draft import Draft
from provenance_trainer.run.preflight import Checked, Rows
from provenance_zk.training.opened import open_dataset
from provenance_zk.training.sources import RowSource
from provenance_zk.training.sources.values import BASE64, shown

MANIFEST = "dataset.json"


class TrainingData:
    """Where the records of a run come from, and where they are committed.

    Args:
        draft: the configuration, faults and all; its `dataset_name` is a committed folder, or any
            source that `dataset commit` takes.
        selection: which records to commit; its source is ignored.
        relay: told how far the reading is.
    """

    def __init__(
        self, draft: Draft, selection: Selection, settings: Settings, relay: Progress
    ) -> None:
        """Decide where the dataset lies; nothing is read but whether it is there."""
        named = Path(draft.config.dataset_name)
        self._asked, self._settings, self._relay = selection, settings, relay
        self._selection = replace(selection, source=draft.config.dataset_name)
        self.was_given = draft.is_sound("dataset_name") and (named / MANIFEST).is_file()
        out = Path(draft.config.output_dir)
        self.folder = named if self.was_given else dataset_beside(out)
        self._is_named = self.was_given or draft.is_sound("output_dir")
        self.was_committed = self.is_committed()

    def is_committed(self) -> bool:
        """Whether the committed dataset is there by now."""
        return self._is_named and (self.folder / MANIFEST).is_file()

    def rows(self, stack: ExitStack) -> Rows:
        """The records that will be fed, committed or not; `stack` closes their dataset."""
        if self.is_committed():
            return Rows.of(stack.enter_context(open_dataset(self.folder, self._settings)))
        source = self._source
        kinds = Kinds.of(source.records())
        return Rows(tuple(source.columns), kinds, source.records(), source.reading.records)

    @cached_property
    def count(self) -> int:
        """How many records the dataset has. Before it is committed, duplicates are counted too."""
        if self.is_committed():
            with CommittedDataset.open(self.folder) as opened:
                return len(opened)
        return self._source.reading.records

    @cached_property
    def _source(self) -> RowSource:
        """The source of a dataset that is not committed yet, read through once."""
        try:
            return self._selection.open(self._relay)
        except NotFound as error:  # a key of the configuration is wrong, as for the other two
            raise ConfigError(
                error.what,
                where=f"dataset_name {error.where}",
                actual=error.actual,
                hint=error.hint,
            ) from error

    def curation(self) -> list[str]:
        """What was done to the records on the way, until they are committed; then nothing."""
        return [] if self.is_committed() else [*self._source.curation]

    def binary_notes(self, checked: Checked) -> list[str]:
        """Columns of bytes that are fed as base64 text, which hardly anybody means."""
        if self.is_committed():
            with CommittedDataset.open(self.folder) as opened:
                said = opened.manifest["curation"]
        else:
            said = self._source.curation
        fed = [f"column {shown(column)}: " for column in checked.fed.recipe.shape.columns]
        return [
            f"{line} are fed as text: decode them in the source, or choose another column"
            for line in said
            if line.startswith(tuple(fed)) and line.endswith(BASE64)
        ]

    def require_same_source(self) -> None:
        """Check that the dataset an earlier call committed is what this call would commit.

        Raises:
            Conflict: it is not.
            InputError: the request selects records of a dataset that the user committed.
        """
        if self.was_given:
            if self._asked != Selection(""):
                raise InputError(
                    "dataset is committed already, so its records cannot be selected any more",
                    where=str(self.folder),
                    hint="leave out --text-column, --dedupe, --limit, --split and --licence",
                )
            return
        if not self.is_committed():
            return
        facts = self._selection.facts(self._source)
        with CommittedDataset.open(self.folder) as opened:
            committed = opened.manifest
        for name in ("source", "text_column", "files", "curation"):
            expected, actual = committed.get(name), getattr(facts, name)
            if expected != actual:
                raise Conflict(
                    f"dataset was committed from another source: {name} differs",
                    where=str(self.folder),
                    expected=str(expected)[:200],
                    actual=str(actual)[:200],
                    hint="choose another output_dir",
                )

    def task(self) -> Task:
        """Commits the records, unless the dataset is there."""
        return Task("commit dataset", self.is_committed, self._commit, Estimate(seconds=1.0))

    def _commit(self, progress: Progress) -> str:
        done = commit_selection(self._selection, self.folder, self._settings, progress)
        return f"{done.report.count} records in {self.folder}; {'; '.join(done.sentences())}"
