"""Pages of what the chain says. An attacker may control every value; templates escape all."""

from __future__ import annotations

from provenance_api.explorer.onchain.models import BlockDetail, TransactionDetail
from provenance_api.web.page import Pages


class ChainPages:
    """Renders what the chain said."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def _show(self, name: str, value: object, query: str = "") -> str:
        return self._pages.show(f"onchain/{name}.html", value=value, query=query)

    def transaction(self, value: TransactionDetail) -> str:
        """The page of a transaction."""
        return self._show("transaction", value, value.hash)

    def block(self, value: BlockDetail) -> str:
        """The page of a block."""
        return self._show("block", value, str(value.number))
