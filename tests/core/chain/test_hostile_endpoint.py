"""An RPC endpoint may answer anything.

A malformed answer means that the chain is unavailable. It never crashes a reader and never counts
as a contradiction.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from eth_abi import encode

from provenance.chain import endpoint as endpoint_module
from provenance.chain.answers import Reply, RpcError, later, result_of
from provenance.chain.artifact import abi_of
from provenance.chain.contracts import MAX_CLAIMS, Reader, Snapshot
from provenance.chain.endpoint import Patience
from provenance.chain.rpc import Receipt, Rpc
from provenance.chain.writer import Writer
from provenance.errors import InputError, RejectedError, UnavailableError
from provenance.ids import Address, to_hex

ADDRESSES = {"registry": Address("0x" + "aa" * 20), "ledger": Address("0x" + "bb" * 20)}


class Endpoint:
    """A loopback HTTP server that answers with `answers[method]`, or else with `default`."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.default: bytes = b""
        self.status = 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = endpoint.default
                if request["method"] in endpoint.answers:
                    body = json.dumps(
                        {
                            "jsonrpc": "2.0",
                            "id": request["id"],
                            **endpoint.answers[request["method"]],
                        }
                    ).encode()
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.rpc = Rpc(
            f"http://127.0.0.1:{self._server.server_port}", timeout_s=5, patience=Patience(0)
        )

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


CALLS = {
    "chain_id": lambda rpc: rpc.chain_id(),
    "block": lambda rpc: rpc.block("latest"),
    "code": lambda rpc: rpc.code(ADDRESSES["registry"]),
    "balance": lambda rpc: rpc.balance_wei(ADDRESSES["registry"]),
    "nonce": lambda rpc: rpc.mined_nonce(ADDRESSES["registry"]),
    "call": lambda rpc: rpc.call(ADDRESSES["registry"], b""),
    "base fee": lambda rpc: rpc.base_fee_wei(),
    "estimate": lambda rpc: rpc.estimate_gas(ADDRESSES["registry"], None, b""),
    "receipt": lambda rpc: rpc.receipt(bytes(32)),
}


@pytest.mark.parametrize(
    "result",
    [
        "x",
        "0x",
        "0xzz",
        5,
        True,
        [],
        {},
        ["0x1"],
        {"number": None},
        {"blockHash": 5},
        {"baseFeePerGas": []},
    ],
    ids=repr,
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_malformed_result_raises_nothing_but_unavailable(
    endpoint: Endpoint, call: Any, result: Any
) -> None:
    for method in (
        "eth_chainId",
        "eth_getBlockByNumber",
        "eth_getCode",
        "eth_getBalance",
        "eth_getTransactionCount",
        "eth_call",
        "eth_estimateGas",
        "eth_getTransactionReceipt",
    ):
        endpoint.answers[method] = {"result": result}
    # A value that parses is taken: an endpoint may also lie in the right form.
    with contextlib.suppress(UnavailableError):
        call(endpoint.rpc)


ODD_NUMBERS = ["0x" + "f" * 8000, "0x" + "f" * 17, "-0x5", " 0x6_4 ", "0x6_4", "0x\uff11", "64"]


@pytest.mark.parametrize("number", ODD_NUMBERS, ids=lambda text: ascii(text)[:12])
def test_a_number_that_is_none_of_json_rpc_is_unavailable(endpoint: Endpoint, number: str) -> None:
    """8000 digits could be read, and then not be printed."""
    block = {"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x1"}
    for odd in ({"number": number}, {"timestamp": number}, {"hash": "0x" + "11" * 31}):
        endpoint.answers = {"eth_getBlockByNumber": {"result": block | odd}}
        with pytest.raises(UnavailableError):
            endpoint.rpc.block(5)
    endpoint.answers = {"eth_chainId": {"result": number}}
    with pytest.raises(UnavailableError):
        endpoint.rpc.chain_id()


def test_amounts_may_have_256_bits(endpoint: Endpoint) -> None:
    for digits in (64, 65):
        endpoint.answers = {"eth_getBalance": {"result": "0x" + "f" * digits}}
        with pytest.raises(UnavailableError) if digits > 64 else contextlib.nullcontext():
            assert endpoint.rpc.balance_wei(ADDRESSES["registry"]) == 2**256 - 1


@pytest.mark.parametrize(
    "code",
    [[], {}, True, "3", 1.5, 2**63, 10**4000],
    ids=lambda c: f"{c:.9}" if isinstance(c, str) else type(c).__name__,
)
def test_an_error_code_that_is_no_integer_is_no_json_rpc(endpoint: Endpoint, code: Any) -> None:
    endpoint.answers = {"eth_call": {"error": {"code": code, "message": "execution reverted"}}}
    with pytest.raises(UnavailableError, match="does not speak JSON-RPC"):
        endpoint.rpc.call(ADDRESSES["registry"], b"")


@pytest.mark.parametrize("words", ["throughput", "compute units ", "state ", "rate"])
def test_a_long_message_costs_no_time(words: str) -> None:
    """An expression that takes the square of it took 10 s, in which no other thread ran."""
    message = words * (200_000 // len(words))
    body = json.dumps({"error": {"code": 1, "message": message}}).encode()
    reply, begin = Reply(200, {}, body, "x"), time.process_time()
    assert later(reply) is None
    with pytest.raises(RpcError):
        result_of(reply)
    assert time.process_time() - begin < 1


def test_a_message_that_is_cut_shows_no_half_of_a_key() -> None:
    """Keys that are taken out make room for what stands behind them."""
    key = "0123456789abcdef-0123456789abcdef"
    body = json.dumps({"error": {"code": 1, "message": f"{key} " * 50}}).encode()
    with pytest.raises(RpcError) as caught:
        result_of(Reply(200, {}, body, "x", (key,)))
    assert "0" not in str(caught.value.actual)
    assert "(key)" in str(caught.value.actual)


def test_whatever_goes_wrong_in_reading_an_answer_is_the_endpoints_doing(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    for owner, name in ((endpoint_module, "later"), (endpoint_module.Endpoint, "_read")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            with pytest.raises(UnavailableError, match="answered something else"):
                endpoint.rpc.chain_id()


@pytest.mark.parametrize("result", ["x", "0xzz", 5, [], {}, None])
def test_a_chain_id_that_is_no_number_is_unavailable(endpoint: Endpoint, result: Any) -> None:
    endpoint.answers["eth_chainId"] = {"result": result}
    with pytest.raises(UnavailableError):
        endpoint.rpc.chain_id()


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"5", b"null", b"{}", b'{"result":', b"[" * 100, b'{"error": 5}', b"\xff"],
)
def test_answers_that_are_not_json_rpc_are_unavailable(endpoint: Endpoint, body: bytes) -> None:
    endpoint.default = body
    with pytest.raises((UnavailableError, RejectedError)):
        endpoint.rpc.chain_id()


@pytest.mark.parametrize("status", [429, 500, 503, 404])
def test_http_errors_are_unavailable(endpoint: Endpoint, status: int) -> None:
    endpoint.status, endpoint.default = status, b"{}"
    with pytest.raises(UnavailableError, match=f"HTTP {status}"):
        endpoint.rpc.chain_id()


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32005, "message": "limit exceeded"},
        {"code": 3, "message": "execution reverted", "data": "0xzz"},
        {"message": None},
        {"code": -32000, "message": "header not found", "data": {"data": 5}},
    ],
    ids=str,
)
def test_an_endpoint_that_refuses_to_answer_a_reader_is_unavailable_and_no_contradiction(
    endpoint: Endpoint, error: dict[str, Any]
) -> None:
    """A rate limit must not turn into `failed`: that word is for evidence that contradicts
    itself.
    """
    block = {"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x1"}
    endpoint.answers = {
        "eth_getBlockByNumber": {"result": block},
        "eth_call": {"error": error},
        "eth_chainId": {"error": error},
    }
    reader = Reader(endpoint.rpc, ADDRESSES)
    with pytest.raises(UnavailableError):
        reader.identity()
    with pytest.raises(UnavailableError):
        reader.final().run(bytes(32))
    endpoint.answers["eth_getBlockByNumber"] = {"error": error}
    with pytest.raises(UnavailableError):
        reader.final()
    with pytest.raises(UnavailableError):
        reader.block(3)


@pytest.mark.parametrize(
    "data", ["0x", "0x00", "0x" + "00" * 31, "0x" + "ff" * 32 * 8, "0x" + "ff" * 64]
)
def test_bytes_that_no_contract_answers_are_unavailable(endpoint: Endpoint, data: str) -> None:
    block = {"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x1"}
    endpoint.answers = {"eth_getBlockByNumber": {"result": block}, "eth_call": {"result": data}}
    snapshot = Snapshot(endpoint.rpc, ADDRESSES, "latest")
    for call in (
        lambda: snapshot.run(bytes(32)),
        lambda: snapshot.claims(bytes(32)),
        lambda: snapshot.dataset(bytes(32)),
        lambda: snapshot.revocation(bytes(32), 0),
        lambda: snapshot.runs_of("0x" + "00" * 20),
    ):
        with pytest.raises(UnavailableError):
            call()


@pytest.mark.parametrize("total", [MAX_CLAIMS + 1, 2**256 - 1])
def test_releases_without_end_are_not_asked_for(endpoint: Endpoint, total: int) -> None:
    """Each page has one more, and the total is never reached."""
    claim = (bytes(32), "0x" + "11" * 20, 1, 0, 5, 0, bytes(32), bytes(32))
    form = "(bytes32,address,uint64,uint64,uint64,uint64,bytes32,bytes32)[]"
    data = encode([form, "uint256"], [[claim], total])
    block = {"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x1"}
    answer = {"result": "0x" + data.hex()}
    endpoint.answers = {"eth_getBlockByNumber": {"result": block}, "eth_call": answer}
    with pytest.raises(UnavailableError, match="too many releases"):
        Snapshot(endpoint.rpc, ADDRESSES, "latest").claims(bytes(32))


@pytest.mark.parametrize(("ids", "total"), [(100, MAX_CLAIMS + 1), (1, 2**256 - 1), (101, 101)])
def test_runs_without_end_are_not_asked_for(endpoint: Endpoint, ids: int, total: int) -> None:
    """An endpoint that always has another page kept its reader for ever."""
    data = encode(["bytes32[]", "uint256"], [[bytes(32)] * ids, total])
    block = {"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x1"}
    answer = {"result": "0x" + data.hex()}
    endpoint.answers = {"eth_getBlockByNumber": {"result": block}, "eth_call": answer}
    with pytest.raises(UnavailableError, match="too many runs"):
        Snapshot(endpoint.rpc, ADDRESSES, "latest").runs_of("0x" + "11" * 20)


@pytest.mark.parametrize("log", [5, None, {}, {"topics": 5}, {"topics": ["0x"], "data": []}])
def test_a_receipt_whose_logs_are_none_is_unavailable(log: Any) -> None:
    abi = abi_of("ProvenanceRegistry")
    if isinstance(log, dict) and "data" in log:
        log["topics"] = [to_hex(topic) for topic in list(abi._events)[:1]]
    receipt = Receipt(bytes(32), True, 1, bytes(32), 1, None, (log,))
    with pytest.raises(UnavailableError):
        Writer.event(None, receipt, "registry", "Committed")  # type: ignore[arg-type]


def test_a_revert_is_named(endpoint: Endpoint) -> None:
    from eth_utils.crypto import keccak

    data = keccak(b"NotWriter(bytes32,address)")[:4] + bytes(32) + bytes(32)
    endpoint.answers = {
        "eth_estimateGas": {
            "error": {"code": 3, "message": "execution reverted", "data": "0x" + data.hex()}
        }
    }
    with pytest.raises(RpcError) as caught:
        endpoint.rpc.estimate_gas("0x" + "00" * 20, None, b"")
    assert str(abi_of("ProvenanceRegistry").describe_revert(caught.value.data)).startswith(
        "NotWriter(0x00"
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/v3/secret-key",
        "file:///etc/secret-key",
        "127.0.0.1:8545/secret-key",
        "",
        "wss://me:secret-key@node.example",
        "http://",
        "http://node.example:99999/secret-key",
        "http://[::1/secret-key",
    ],
)
def test_only_http_endpoints_are_spoken_to(url: str) -> None:
    with pytest.raises(InputError, match="http or https") as caught:
        Rpc(url)
    assert "secret-key" not in str(caught.value)
