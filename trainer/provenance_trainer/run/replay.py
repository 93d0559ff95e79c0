"""Recomputing the fed batches, for a verifier who has the dataset, its salts and the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from provenance.dataset.committed import CommittedDataset, Recomputation
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore, load_key
from provenance.encoding import batch_digest
from provenance.errors import InputError, NotFound, ProvenanceError, VerificationError
from provenance.ids import from_hex
from provenance.layout import RunFolder, read_json
from provenance.log.fed import FedFacts
from provenance.log.graph.folders import base_of, binds_files
from provenance.log.record import Record
from provenance.log.tree import iterate_records
from provenance.settings import Settings
from provenance.verify.protocols import BatchCount
from provenance.verify.sources.evidence import FolderSource
from provenance_trainer.data.fed import count_fed, rows_of
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.legacy import FirstRules, FirstVersion, first_form
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.draft import parse_config
from provenance_trainer.record.features import Feeder, batch_tensors
from provenance_zk.training.opened import recomputation


class BatchReplay:
    """A `provenance.verify.protocols.DataChecker` over run folders with their private salts.

    It tokenizes the records of each batch again, and compares the salted digest of the tensors with
    the batch's record.
    """

    def __init__(
        self,
        dataset: Path,
        folders: Sequence[Path],
        salt_key: bytes,
        again: Recomputation,
        base: Path | None = None,
    ) -> None:
        """`base`: the caller's own base model, whose tokenizer is used; None: the run's."""
        self._dataset, self._folders, self._key = dataset, folders, salt_key
        self._again, self._base = again, base

    def check_batches(self, records: Sequence[Record]) -> BatchCount:
        """Recompute every batch, abandoned ones too.

        A batch whose salt or record was erased is undetermined.

        Args:
            records: The records of one run, from `run.open` on (attacker-controlled).

        Raises:
            NotFound: there is no run folder with the private salts of these records, or no base.
            VerificationError: the tensors of a batch are not the tokens of its records, the dataset
                was altered since its commit, or the base at hand is not the logged one, by the
                first file that differs.
        """
        folder = self._find(records[0])
        tokenizer = load_tokenizer(self._logged_base(records[0], folder))
        with (
            CommittedDataset.open(self._dataset, self._key, self._again) as dataset,
            SaltStore.open(folder.secrets / "salts.sqlite", self._key, create=False) as salts,
        ):
            feeder = _feeder(records[0], tokenizer, dataset)
            index_of = {bytes(leaf): i for i, leaf in enumerate(dataset.leaves)}
            count = _Recomputation(dataset, feeder, index_of, salts).count(records)
            return replace(count, fed_fault=_fed_fault(records[0], feeder, dataset))

    def _logged_base(self, opening: Record, folder: RunFolder) -> Path:
        """The base whose tokenizer the batches are made with: whatever is at hand is compared.

        Logs of earlier releases bind no tokenizer. The verdict says so.
        """
        base = self._base or Path(str(read_json(folder.info).get("base")))
        if not base.is_dir():
            raise NotFound(
                "the base model is not at hand", where=str(base), hint="name it with --base"
            )
        if binds_files(opening):
            base_of(opening).require(base)
        return base

    def _find(self, opening: Record) -> RunFolder:
        for folder in FolderSource(self._folders).runs():
            try:
                first = next(iter(iterate_records(folder.journal)), None)
            except ProvenanceError:
                continue  # somebody else's damaged folder must not hide the owner's
            if first == opening and (folder.secrets / "salts.sqlite").is_file():
                return folder
        raise NotFound(
            "no run folder with the batch salts of this run",
            where=", ".join(map(str, self._folders)),
            hint="name the owner's run folder, which has provenance/secrets, with --evidence",
        )


def _feeder(
    opening: Record, tokenizer: PreTrainedTokenizerBase, dataset: CommittedDataset
) -> Feeder:
    """What makes the samples of a run again; raises VerificationError as `check_batches`."""
    config = opening.fields["config"]
    if "fed" not in opening.fields:
        column = config.get("dataset_text_field") or dataset.text_column
        return FirstVersion(tokenizer, config["max_length"], column)
    fed, columns = opening.fields["fed"], tuple(dataset.columns)
    if "rules" not in fed:
        shape = FirstRules.shape_of(fed, columns)
        return FirstRules.for_shape(parse_config(config), tokenizer, shape)
    kinds, day = Kinds.of(rows_of(dataset)), _day_of(fed)
    return Recipe.of(parse_config(config), tokenizer, columns, kinds, day)


def _day_of(fed: Mapping[str, Any]) -> str | None:
    """What the chat template's clock said when the run was opened (attacker-controlled)."""
    try:
        return FedFacts.day_of(fed)
    except InputError as error:
        raise VerificationError(error.what, where="run.open fed", actual=error.actual) from error


def _fed_fault(
    opening: Record, feeder: Feeder, dataset: CommittedDataset
) -> VerificationError | None:
    """The first thing that the opening record says is fed and that is not computed here.

    Counts are compared only if no record was erased: what was erased cannot be counted again.
    """
    if not isinstance(feeder, Recipe):
        return None
    said, made = opening.fields["fed"], feeder.to_json()
    if not dataset.erased():
        made = count_fed(feeder, rows_of(dataset), len(dataset)).to_json()
        if isinstance(feeder, FirstRules):
            made = first_form(made)
    for name, value in {"day": None, **made}.items():
        if said.get(name) != value:
            return VerificationError(
                "what is fed is not what the run was opened with",
                where=f"run.open fed.{name}",
                expected=value,
                actual=said.get(name),
            )
    return None


@dataclass(frozen=True)
class _Recomputation:
    """The data that batches are recomputed from."""

    dataset: CommittedDataset
    feeder: Feeder
    index_of: Mapping[bytes, int]
    salts: SaltStore

    def count(self, records: Sequence[Record]) -> BatchCount:
        recomputed = undetermined = 0
        for seq, record in enumerate(records):
            if record.type != "batch":
                continue
            try:
                self._check(seq, record)
            except NotFound:  # erased: this batch is undetermined, and the others are still checked
                undetermined += 1
            else:
                recomputed += 1
        return BatchCount(recomputed, undetermined)

    def _check(self, seq: int, record: Record) -> None:
        indices = [self._index(seq, leaf) for leaf in record.fields["leaves"]]
        rows = [self.dataset.row(index) for index in indices]
        salt = self.salts.get(BATCH_SALTS, seq)
        tensors: dict[str, np.ndarray | None] = {
            name: tensor.numpy() for name, tensor in batch_tensors(rows, self.feeder).items()
        }
        actual = str(batch_digest(salt, tensors))
        if actual != record.fields["tensors"]:
            raise VerificationError(
                "tensors fed are not the tokens of the listed records",
                where=f"record {seq}",
                expected=actual,
                actual=record.fields["tensors"],
            )

    def _index(self, seq: int, leaf: str) -> int:
        index = self.index_of.get(from_hex(leaf))
        if index is None:
            raise VerificationError(
                "batch lists a leaf that the dataset does not have",
                where=f"record {seq}",
                actual=leaf,
            )
        return index


def open_data_checker(
    dataset: Path, folders: Sequence[Path], settings: Settings, base: Path | None
) -> BatchReplay:
    """A checker for `provenance verify --with-data`, and `--base` if it is given.

    Raises:
        AuthError, InputError: the salt key is not private or is missing, so no salted digest can be
            recomputed.
    """
    key = load_key(settings.home / "salts.key")
    return BatchReplay(dataset, folders, key, recomputation(settings), base)
