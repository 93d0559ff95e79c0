"""Coding by the contracts' ABI: round trips of every function, and values that are no such type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_abi.exceptions import EncodingError
from eth_abi.grammar import ABIType, TupleType, parse
from eth_utils.abi import collapse_if_tuple
from hypothesis import given
from hypothesis import strategies as st

from provenance.chain.abi import Abi, checksum_address, keccak
from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.errors import UnavailableError
from tests.support.places import REPO

ITEMS: list[tuple[str, dict[str, Any]]] = [
    (name, item)
    for name in sorted(set(ARTIFACTS.values()))
    for item in json.loads((REPO / f"provenance/abi/{name}.json").read_text())["abi"]
    if item["type"] == "function"
]


def values(kind: ABIType) -> st.SearchStrategy[Any]:
    """Values of a type as decoding gives them."""
    if kind.is_array:
        size = kind.arrlist[-1]
        least, most = (size[0], size[0]) if size else (0, 3)
        return st.lists(values(kind.item_type), min_size=least, max_size=most).map(tuple)
    if isinstance(kind, TupleType):
        return st.tuples(*(values(part) for part in kind.components))
    by_base: dict[str, st.SearchStrategy[Any]] = {
        "uint": st.integers(0, 2 ** (kind.sub or 0) - 1),
        "bool": st.booleans(),
        "address": st.binary(min_size=20, max_size=20).map(lambda b: f"0x{b.hex()}"),
        "bytes": st.binary(min_size=kind.sub or 0, max_size=kind.sub or 80),
        "string": st.text(st.characters(exclude_categories=["Cs"])),
    }
    return by_base[kind.base]


def plain(value: Any) -> Any:
    """What `decode_input` gives, with structs as tuples and arrays as tuples again."""
    if isinstance(value, dict):
        return tuple(plain(part) for part in value.values())
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


@given(data=st.data())
def test_what_is_encoded_is_decoded(data: st.DataObject) -> None:
    name, item = data.draw(st.sampled_from(ITEMS))
    kinds = [parse(collapse_if_tuple(part)) for part in item["inputs"]]
    args = [data.draw(values(kind)) for kind in kinds]
    abi = abi_of(name)
    found = abi.decode_input(abi.encode(item["name"], args))
    assert found is not None
    assert (found[0], plain(found[1])) == (item["name"], plain(args))


def test_arguments_without_names_are_all_given() -> None:
    """Those of `ProofLedger.proveEpoch`, say."""
    inputs = [{"name": name, "type": "uint64"} for name in ("", "x", "")]
    abi = Abi([{"type": "function", "name": "f", "inputs": inputs, "outputs": []}])
    assert abi.decode_input(abi.encode("f", [5, 6, 7])) == ("f", {"0": 5, "x": 6, "2": 7})


def one(kind: str) -> Abi:
    inputs = [{"name": "x", "type": kind}]
    return Abi([{"type": "function", "name": "f", "inputs": inputs, "outputs": inputs}])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bytes32", b"a" * 31),
        ("bytes32", b"a" * 33),
        ("bytes32", b""),
        ("bytes32", "0x" + "11" * 32),
        ("bytes", "0x11"),
        ("uint64", 2**64),
        ("uint64", -1),
        ("uint64", 1.0),
        ("uint64", True),
        ("bool", 1),
        ("address", "0x" + "11" * 19),
        ("address", "vitalik.eth"),
    ],
)
def test_a_value_that_is_not_of_the_type_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(EncodingError):
        one(kind).encode("f", [value])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("bytes32", b"a" * 31),
        ("uint64", b"\xff" * 32),
        ("bool", b"\0" * 31 + b"\2"),
        ("address", b"\1" + bytes(31)),
        ("bytes4", b"abcde" + bytes(27)),
        ("bytes", (2**255).to_bytes(32, "big")),
        ("bytes", (32).to_bytes(32, "big") + (2**40).to_bytes(32, "big")),
        ("string", (32).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"\xff" + bytes(31)),
        ("uint256[]", (32).to_bytes(32, "big") + (2**60).to_bytes(32, "big")),
    ],
)
def test_bytes_that_no_contract_returns_are_refused(kind: str, data: bytes) -> None:
    with pytest.raises(UnavailableError, match="not the contract's"):
        one(kind).decode("f", data)


def test_addresses_are_written_as_in_eip_55() -> None:
    """An example of EIP-55."""
    address = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    assert checksum_address(address.lower()) == address
    with pytest.raises(ValueError, match="Unknown format"):
        checksum_address("0x" + "11" * 19)


def test_keccak_is_not_sha3() -> None:
    """The hash of nothing, which every empty account's code hash is (Yellow Paper)."""
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak(b"").hex() == empty
