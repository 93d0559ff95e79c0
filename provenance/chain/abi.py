"""Coding by a contract's ABI, Keccak-256 and addresses, through eth-abi and eth-utils.

Source: Contract ABI Specification of Solidity; EIP-55 (mixed case of addresses).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import BytesDecoder
from eth_abi.encoding import BytesEncoder
from eth_abi.registry import ABIRegistry, BaseEquals
from eth_abi.registry import registry as ETH_ABI_REGISTRY
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic, function_abi_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak as eth_keccak

from provenance.chain.answers import bytes_of
from provenance.errors import UnavailableError
from provenance.ids import to_hex


def keccak(data: bytes) -> bytes:
    """Keccak-256 of the Yellow Paper, 32 bytes; not SHA3-256."""
    return bytes(eth_keccak(data))


def checksum_address(address: str) -> str:
    """An address in the mixed case of EIP-55. Raises ValueError for what is no address."""
    return str(to_checksum_address(address))


class _WholeBytes(BytesEncoder):
    """`bytes<M>` from M bytes exactly; eth-abi itself would fill up fewer with zeros."""

    def validate_value(self, value: Any) -> None:
        super().validate_value(value)  # type: ignore[no-untyped-call]
        if len(value) * 8 != self.value_bit_size:
            self.invalidate_value(value, msg=f"must have {self.value_bit_size} bits")


# The registry of eth-abi, its base classes and their methods have no types of their own.
def _codec() -> ABICodec:
    registry: ABIRegistry = ETH_ABI_REGISTRY.copy()  # type: ignore[no-untyped-call]
    registry.unregister("bytes<M>")
    fixed = BaseEquals("bytes", with_sub=True)  # type: ignore[no-untyped-call]
    registry.register(fixed, _WholeBytes, BytesDecoder, label="bytes<M>")
    return ABICodec(registry)


_CODEC = _codec()


def _type_of(item: Mapping[str, Any]) -> str:
    """A parameter's type as the codec takes it: of a struct its components in parentheses."""
    return collapse_if_tuple(dict(item))


def decode_word(type_: str, word: bytes) -> Any:
    """A value of one word; `word` is attacker-controlled.

    Raises:
        ValueError: no word of this type.
    """
    try:
        return _CODEC.decode([type_], word)[0]
    except Exception as error:  # eth-abi raises many unrelated types on hostile bytes
        raise ValueError(f"no word of type {type_}") from error


class Abi:
    """Encoding and decoding for one contract's ABI."""

    def __init__(self, abi: Sequence[Any]) -> None:
        self._functions = {item["name"]: item for item in abi if item["type"] == "function"}
        self._events = {
            bytes(event_abi_to_log_topic(item)): item for item in abi if item["type"] == "event"
        }
        self._errors = {
            bytes(function_abi_to_4byte_selector(item)): item
            for item in abi
            if item["type"] == "error"
        }
        self._constructor: Mapping[str, Any] = next(
            (item for item in abi if item["type"] == "constructor"), {"inputs": []}
        )

    def selector(self, function: str) -> bytes:
        """The four bytes that a call of a function begins with."""
        return bytes(function_abi_to_4byte_selector(self._functions[function]))

    def encode(self, function: str, args: Sequence[Any]) -> bytes:
        """Calldata of a call."""
        return self.selector(function) + self._pack(self._functions[function]["inputs"], args)

    def encode_constructor(self, args: Sequence[Any]) -> bytes:
        """What stands after the bytecode when a contract is deployed."""
        return self._pack(self._constructor["inputs"], args)

    def _pack(self, inputs: Sequence[Mapping[str, Any]], args: Sequence[Any]) -> bytes:
        return bytes(_CODEC.encode([_type_of(i) for i in inputs], list(args)))

    def decode(self, function: str, data: bytes) -> Any:
        """A function's return values by name, structs as dicts; a single value without a name."""
        outputs = self._functions[function]["outputs"]
        values = self._unpack(outputs, data, function)
        return (
            values[0]
            if len(values) == 1
            else {o["name"]: v for o, v in zip(outputs, values, strict=True)}
        )

    def _unpack(self, items: Sequence[Mapping[str, Any]], data: bytes, where: str) -> list[Any]:
        try:
            values = _CODEC.decode([_type_of(i) for i in items], data)
        except Exception as error:  # eth-abi raises many unrelated types on hostile bytes
            raise UnavailableError(
                "endpoint returned bytes that are not the contract's", where=where
            ) from error
        return [_named(item, value) for item, value in zip(items, values, strict=True)]

    def decode_input(self, data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Function name and arguments of a transaction's calldata; None for another contract's.

        An argument that the contract leaves without a name is called by its place, from 0.
        """
        for name, item in self._functions.items():
            if bytes(function_abi_to_4byte_selector(item)) == data[:4]:
                values = self._unpack(item["inputs"], data[4:], name)
                names = [i["name"] or str(place) for place, i in enumerate(item["inputs"])]
                return name, dict(zip(names, values, strict=True))
        return None

    def decode_log(self, log: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Event name and arguments; None for an event of another contract."""
        topics = [bytes_of(t) for t in log["topics"]]
        item = self._events.get(topics[0]) if topics else None
        if item is None:
            return None
        indexed = [i for i in item["inputs"] if i["indexed"]]
        plain = [i for i in item["inputs"] if not i["indexed"]]
        values: dict[str, Any] = {}
        for spec, topic in zip(indexed, topics[1:], strict=True):
            values[spec["name"]] = self._unpack([spec], topic, item["name"])[0]
        for spec, value in zip(
            plain, self._unpack(plain, bytes_of(log["data"]), item["name"]), strict=True
        ):
            values[spec["name"]] = value
        return str(item["name"]), values

    def function_of(self, selector: bytes) -> Mapping[str, Any] | None:
        """The function that calldata with these first four bytes calls."""
        found = (f for name, f in self._functions.items() if self.selector(name) == selector)
        return next(found, None)

    def event_of(self, topic: bytes) -> Mapping[str, Any] | None:
        """The event of this first word."""
        return self._events.get(topic)

    def topic(self, event: str) -> bytes:
        """The first word of an event of this name, which the ABI must have."""
        return next(topic for topic, item in self._events.items() if item["name"] == event)

    def describe_revert(self, data: bytes) -> str | None:
        """`Name(a, b)` of a custom error."""
        item = self._errors.get(data[:4])
        if item is None:
            return None
        values = self._unpack(item["inputs"], data[4:], item["name"])
        shown = ", ".join(to_hex(v) if isinstance(v, bytes) else str(v) for v in values)
        return f"{item['name']}({shown})"


def _named(item: Mapping[str, Any], value: Any) -> Any:
    kind = item["type"]
    if kind == "tuple":
        return {c["name"]: _named(c, v) for c, v in zip(item["components"], value, strict=True)}
    if kind.startswith("tuple[") and kind.endswith("]"):
        return [_named({**item, "type": kind[: kind.rindex("[")]}, v) for v in value]
    return value
