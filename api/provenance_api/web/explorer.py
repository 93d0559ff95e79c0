"""The explorer's pages. An attacker may control every value on them; templates escape all."""

from __future__ import annotations

from typing import Any

from provenance_api.explorer.basis import TYPES
from provenance_api.explorer.models import (
    Datasets,
    Found,
    Heads,
    Home,
    ProofDetail,
    Proofs,
    RecordDetail,
    Records,
    Releases,
    Runs,
)
from provenance_api.explorer.onchain.revoked_models import DatasetPage, RunPage
from provenance_api.web.log_picture import log_pictures
from provenance_api.web.page import Pages
from provenance_api.web.texts import ENGLISH, Texts


class ExplorerPages:
    """Renders what the explorer found."""

    def __init__(self, pages: Pages, texts: Texts = ENGLISH) -> None:
        self._pages, self._texts = pages, texts

    def _show(self, name: str, value: object, query: str = "", **more: Any) -> str:
        return self._pages.show(f"explorer/{name}.html", value=value, query=query, **more)

    def home(self, value: Home | None, note: str | None) -> str:
        """The front page. `note` says why nothing can be listed, if so."""
        return self._pages.show("home.html", value=value, note=note, query="")

    def runs(self, value: Runs) -> str:
        """A page of runs."""
        return self._show("runs", value)

    def run(self, value: RunPage) -> str:
        """The page of a run."""
        return self._show("run", value, value.run_id, pictures=log_pictures(value, self._texts))

    def records(self, value: Records) -> str:
        """A page of records."""
        return self._show("records", value, value.run_id, types=sorted(TYPES))

    def record(self, value: RecordDetail) -> str:
        """The page of a record."""
        return self._show("record", value, value.digest)

    def heads(self, value: Heads) -> str:
        """A page of signed heads."""
        return self._show("heads", value, value.run_id)

    def proofs(self, value: Proofs) -> str:
        """A page of proof files."""
        return self._show("proofs", value, value.run_id)

    def proof(self, value: ProofDetail) -> str:
        """The page of a proof file."""
        return self._show("proof", value, value.digest)

    def datasets(self, value: Datasets) -> str:
        """A page of datasets."""
        return self._show("datasets", value)

    def dataset(self, value: DatasetPage) -> str:
        """The page of a dataset."""
        return self._show("dataset", value, value.dataset_id)

    def releases(self, value: Releases) -> str:
        """A page of releases."""
        return self._show("releases", value)

    def found(self, value: Found) -> str:
        """What a search found."""
        return self._show("found", value, value.query)
