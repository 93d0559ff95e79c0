"""The explorer's pages. An attacker may control every value on them; templates escape all."""

from __future__ import annotations

from typing import Any

from provenance_api.explorer.basis import TYPES
from provenance_api.explorer.models import RecordDetail, Records, RunDetail, Runs
from provenance_api.web.log_picture import log_pictures
from provenance_api.web.page import Pages
from provenance_api.web.texts import ENGLISH, Texts


class ExplorerPages:
    """Renders what the explorer found."""

    def __init__(self, pages: Pages, texts: Texts = ENGLISH) -> None:
        self._pages, self._texts = pages, texts

    def _show(self, name: str, value: object, query: str = "", **more: Any) -> str:
        return self._pages.show(f"explorer/{name}.html", value=value, query=query, **more)

    def runs(self, value: Runs) -> str:
        """A page of runs."""
        return self._show("runs", value)

    def run(self, value: RunDetail) -> str:
        """The page of a run."""
        return self._show("run", value, value.run_id, pictures=log_pictures(value, self._texts))

    def records(self, value: Records) -> str:
        """A page of records."""
        return self._show("records", value, value.run_id, types=sorted(TYPES))

    def record(self, value: RecordDetail) -> str:
        """The page of a record."""
        return self._show("record", value, value.digest)
