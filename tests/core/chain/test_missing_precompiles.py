"""A chain without a precompile must not be taken for one whose precompile said yes.

A call to an address without code succeeds and answers nothing. geth can move a precompile away for
the time of one call.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provenance.chain.abi import keccak
from provenance.chain.answers import RpcError
from provenance.chain.artifact import abi_of, artifact
from provenance.chain.rpc import Rpc
from provenance.ids import to_hex
from tests.core.chain.geth_node import GETH, geth_node
from tests.support.simulated_keys import SimulatedKey, prove

pytestmark = pytest.mark.skipif(GETH is None, reason="no geth: name one in PROVENANCE_TEST_GETH")

KEY = SimulatedKey("member", 1, 5)
VERIFIER, KEY_DATA, ELSEWHERE = ("0x" + f"{n:040x}" for n in (0xAA01, 0xAA02, 0xAA03))
INPUTS = [11, 12, 13, 14]
YES = (1).to_bytes(32, "big")


@pytest.fixture(scope="module")
def geth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    with geth_node(tmp_path_factory.mktemp("node")) as rpc:
        yield rpc


def batch(false: bool) -> bytes:
    a, b, c = prove(INPUTS)
    words = [*a, *b, *c, *INPUTS[:3], INPUTS[3] + false]
    return b"".join(word.to_bytes(32, "big") for word in words)


def answer(geth: Rpc, items: bytes, missing: int | None) -> bytes:
    """What the shipped verifier of batches says of one proof, on a chain without a precompile."""
    data = abi_of("BatchVerifier").encode("verifyBatch", [KEY_DATA, items, 0])
    placed = {
        VERIFIER: {"code": artifact("BatchVerifier")["deployedBytecode"]},
        KEY_DATA: {"code": "0x00" + KEY.words.hex()},
    }
    if missing is not None:
        placed[f"0x{missing:040x}"] = {"movePrecompileToAddress": ELSEWHERE}
    call = {"to": VERIFIER, "data": to_hex(data)}
    return bytes.fromhex(geth.request("eth_call", [call, "latest", placed])[2:])


def test_with_every_precompile_it_answers(geth: Rpc) -> None:
    assert answer(geth, batch(false=False), None) == YES
    assert answer(geth, batch(false=True), None) == bytes(32)


@pytest.mark.parametrize("missing", [6, 7, 8])
def test_without_one_it_gives_no_answer(geth: Rpc, missing: int) -> None:
    wanted = keccak(b"PrecompileMissing(uint256)")[:4] + missing.to_bytes(32, "big")
    for false in (False, True):
        with pytest.raises(RpcError) as refused:
            answer(geth, batch(false), missing)
        assert refused.value.data == wanted
