"""Calls and events are decoded in work bounded by their length, whoever made them."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from eth_abi.abi import encode

from provenance.chain.artifact import ARTIFACTS, abi_of, artifact
from provenance.chain.lookup.decoded import decoded_call, decoded_event
from provenance.chain.lookup.forms import Log
from provenance.ids import Address

RUN, DATASET = b"\x11" * 32, b"\x22" * 32
REGISTRY, LEDGER = (abi_of(ARTIFACTS[name]) for name in ("registry", "ledger"))


def word(value: int) -> bytes:
    return value.to_bytes(32)


def log(topics: list[bytes], data: bytes = b"") -> Log:
    return Log(Address("0x" + 40 * "1"), tuple(topics), data, bytes(32), 1, 0)


def test_values_are_those_that_the_full_decoder_reads() -> None:
    args = (RUN, 7, b"\x33" * 32, 40, [b"\x44" * 32, b"\x55" * 32])
    found = decoded_call("registry", REGISTRY.encode("commit", args))
    assert found is not None
    assert (found.name, found.whole) == ("commit", True)
    values = {field.name: (field.value, field.count) for field in found.fields}
    assert values == {
        "runId": ("0x" + RUN.hex(), None),
        "seq": ("7", None),
        "newRoot": ("0x" + 32 * "33", None),
        "newSize": ("40", None),
        "consistencyProof": (None, 2),
    }


def test_texts_are_cut_and_shown() -> None:
    data = REGISTRY.encode("revoke", (RUN, 3, "\u202ereason" + 9000 * "x"))
    found = decoded_call("registry", data)
    assert found is not None
    assert found.fields[2].value is not None
    assert len(found.fields[2].value) <= 500
    assert "\u202e" not in found.fields[2].value


@pytest.mark.parametrize("contract", ARTIFACTS)
def test_cut_input_of_every_function_is_called_so(contract: str) -> None:
    """The attack: anybody may call a contract with any bytes; that the call fails keeps them."""
    for item in artifact(ARTIFACTS[contract])["abi"]:
        if item["type"] == "function" and item["inputs"]:
            selector = abi_of(ARTIFACTS[contract]).selector(item["name"])
            for data in (b"", b"\xff" * 31, b"\xff" * 32):
                found = decoded_call(contract, selector + data)
                assert found is not None
                assert found.whole is False or len(item["inputs"]) == 1
    assert decoded_call(contract, b"") is None
    assert decoded_call(contract, b"\xff\xff\xff\xff") is None


def test_lists_that_hold_themselves_take_neither_time_nor_memory() -> None:
    """The attack: offsets of thousands of epochs that all lead to one list of thousands."""
    epochs = 3000
    one = b"".join(word(n) for n in (0, 0, 40, 6 * 32, 6 * 32, 6 * 32)) + word(1000) + bytes(64000)
    lists = word(epochs) + word(32 * epochs) * epochs + one
    head = RUN + DATASET + word(1) + word(5 * 32) + word(5 * 32 + 32)
    data = LEDGER.selector("anchorAndProve") + head + word(0) + lists
    tracemalloc.start()
    began = time.monotonic()
    found = decoded_call("ledger", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert [field.count for field in found.fields[3:]] == [0, epochs]
    assert peak < 1 << 20
    assert time.monotonic() - began < 1.0


def test_a_list_longer_than_its_bytes_is_refused() -> None:
    data = (
        REGISTRY.selector("commit") + RUN + word(1) + word(2) + word(3) + word(160) + word(1 << 60)
    )
    found = decoded_call("registry", data)
    assert found is not None
    assert found.whole is False


def test_events_are_read_from_words_and_data() -> None:
    topics = [REGISTRY.topic("Revoked"), RUN, word(9)]
    found = decoded_event("registry", log(topics, encode(["string"], ["leaked"])))
    assert found is not None
    assert [field.value for field in found.fields] == ["0x" + RUN.hex(), "9", "leaked"]


@pytest.mark.parametrize("topics", [[], [RUN], [RUN, word(9), word(9)], [RUN, word(1 << 70)]])
def test_events_with_other_words_are_called_so(topics: list[bytes]) -> None:
    found = decoded_event("registry", log([REGISTRY.topic("Revoked"), *topics]))
    assert found is not None
    assert found.whole is False
    assert decoded_event("registry", log(topics)) is None
