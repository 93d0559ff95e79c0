"""Pages of what the chain says. An attacker may control every value; templates escape all."""

from __future__ import annotations

from provenance_api.explorer.onchain.account_models import AddressDetail, KeyDetail, Keys
from provenance_api.explorer.onchain.models import BlockDetail, TransactionDetail
from provenance_api.explorer.onchain.revoked_models import Revocations
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

    def address(self, value: AddressDetail) -> str:
        """The page of an address."""
        name = "account" if value.contract is None else "contract"
        return self._show(name, value, value.address)

    def keys(self, value: Keys) -> str:
        """The list of keys."""
        return self._show("keys", value)

    def key(self, value: KeyDetail) -> str:
        """The page of a key."""
        return self._show("key", value, value.vk_id)

    def revocations(self, value: Revocations) -> str:
        """The list of revocations."""
        return self._show("revocations", value)
