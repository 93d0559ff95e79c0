"""JSON-RPC of a node; what its answers mean is translated here and nowhere else.

Every request is explicit, so it is known what a failure means: after `UnavailableError` a retry may
help, and `RejectedError` says that the EVM refused. Nothing is retried, guessed (nonce, gas) or
looked up (ENS, CCIP-Read, which lets a contract name URLs to fetch) behind the caller's back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provenance.chain.answers import RpcError, block_hash_of, bytes_of, hostile, number_of
from provenance.chain.endpoint import PATIENT, Endpoint, Patience, Transport
from provenance.errors import UnavailableError
from provenance.ids import to_hex
from provenance.judgement.facts import Agreement
from provenance.progress import Say, silent

Tag = str | int
_WORD_BITS = 256  # of amounts of wei


@dataclass(frozen=True)
class Block:
    """A block: number, hash (32 bytes), time in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class Receipt:
    """A mined transaction. `ok` is false if the EVM reverted it."""

    tx_hash: bytes
    ok: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    contract_address: str | None
    logs: tuple[dict[str, Any], ...]


class Rpc:
    """One JSON-RPC endpoint over HTTP, or several that are asked as one.

    Args:
        url: `http(s)://` endpoint, or what asks in its place; answers are attacker-controlled.
        timeout_s: Seconds until a request counts as unanswered.
        patience: How long an endpoint that answers "later" is waited for.
        say: Told of each wait.
    """

    def __init__(
        self,
        url: str | Transport,
        timeout_s: float = 30.0,
        patience: Patience = PATIENT,
        say: Say = silent,
    ) -> None:
        """Nothing is asked yet. Raises InputError for what is no such URL."""
        self._endpoint: Transport = (
            Endpoint(url, timeout_s, patience, say) if isinstance(url, str) else url
        )
        self.url = self._endpoint.shown

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The `result` of one call.

        Raises:
            UnavailableError: no answer, or not JSON-RPC.
            RpcError: the endpoint answered with an error; `data` holds revert bytes if it sent any.
        """
        return self._endpoint.request(method, params)

    def close(self) -> None:
        """Close the calling thread's connection; the next request opens another."""
        self._endpoint.close()

    def agreement(self) -> Agreement | None:
        """How several endpoints agreed so far; None if there is only one."""
        return self._endpoint.agreement()

    def chain_id(self) -> int:
        """The chain id of EIP-155."""
        with hostile("eth_chainId"):
            return number_of(self.request("eth_chainId"))

    def block(self, tag: Tag) -> Block:
        """A block by number or tag (`latest`, `finalized`).

        Raises:
            UnavailableError: the endpoint does not have it.
        """
        name = hex(tag) if isinstance(tag, int) else tag
        try:
            value = self.request("eth_getBlockByNumber", [name, False])
        except RpcError as error:
            if isinstance(tag, int):
                raise
            raise UnavailableError(
                f"endpoint names no {tag} block",
                where=f"{self.url} eth_getBlockByNumber",
                actual=error.actual,
                hint="name an endpoint that does; only verification can do without, by "
                "chain.confirmations of a trust file",
            ) from error
        if value is None:
            raise UnavailableError("endpoint does not have this block", where=str(tag))
        with hostile("eth_getBlockByNumber"):
            return Block(
                number_of(value["number"]),
                block_hash_of(value["hash"]),
                number_of(value["timestamp"]),
            )

    def code(self, address: str, tag: Tag | bytes = "latest") -> bytes:
        """Runtime code at an address; empty where no contract is. `tag` is as in `call`."""
        with hostile("eth_getCode"):
            return bytes_of(self.request("eth_getCode", [address, _named_block(tag)]))

    def balance_wei(self, address: str) -> int:
        """An account's balance at the newest block."""
        with hostile("eth_getBalance"):
            return number_of(self.request("eth_getBalance", [address, "latest"]), _WORD_BITS)

    def mined_nonce(self, address: str) -> int:
        """Number of this sender's transactions in mined blocks; waiting ones are not counted."""
        with hostile("eth_getTransactionCount"):
            return number_of(self.request("eth_getTransactionCount", [address, "latest"]))

    def call(self, to: str, data: bytes, tag: Tag | bytes = "latest") -> bytes:
        """The bytes that a call of a view returns at a block, not decoded.

        Args:
            tag: bytes are a block's hash (EIP-1898). An endpoint that has several nodes behind it
                then answers from that very block, or refuses.
        """
        call = {"to": to, "data": to_hex(data)}
        with hostile("eth_call"):
            return bytes_of(self.request("eth_call", [call, _named_block(tag)]))

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Gas that a call would take now. Raises RpcError if it would revert."""
        call = {"from": sender, "data": to_hex(data)} | ({"to": to} if to else {})
        with hostile("eth_estimateGas"):
            return number_of(self.request("eth_estimateGas", [call]))

    def base_fee_wei(self) -> int:
        """Base fee per gas of the newest block (EIP-1559)."""
        value = self.request("eth_getBlockByNumber", ["latest", False])
        with hostile("eth_getBlockByNumber"):
            fee = value.get("baseFeePerGas")
            return 0 if fee is None else number_of(fee, _WORD_BITS)

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """The receipt of a mined transaction, None while it is not mined."""
        value = self.request("eth_getTransactionReceipt", [to_hex(tx_hash)])
        with hostile("eth_getTransactionReceipt"):
            if value is None or value.get("blockHash") is None:
                return None
            return Receipt(
                tx_hash=bytes_of(value["transactionHash"]),
                ok=number_of(value["status"]) == 1,
                block_number=number_of(value["blockNumber"]),
                block_hash=block_hash_of(value["blockHash"]),
                gas_used=number_of(value["gasUsed"]),
                contract_address=value.get("contractAddress"),
                logs=tuple(value["logs"]),
            )

    def is_known(self, tx_hash: bytes) -> bool:
        """Whether the endpoint has the transaction, mined or waiting."""
        return self.request("eth_getTransactionByHash", [to_hex(tx_hash)]) is not None

    def transaction_input(self, tx_hash: bytes) -> bytes:
        """Calldata of a transaction."""
        value = self.request("eth_getTransactionByHash", [to_hex(tx_hash)])
        if value is None:
            raise UnavailableError("endpoint does not have this transaction", where=to_hex(tx_hash))
        with hostile("eth_getTransactionByHash"):
            return bytes_of(value["input"])

    def send_raw(self, raw: bytes) -> None:
        """Hand a signed transaction to the endpoint."""
        self.request("eth_sendRawTransaction", [to_hex(raw)])


def _named_block(tag: Tag | bytes) -> Any:
    """A block as a parameter: by tag, by number, or by its hash (EIP-1898)."""
    if isinstance(tag, bytes):
        return {"blockHash": to_hex(tag), "requireCanonical": True}
    return hex(tag) if isinstance(tag, int) else tag
