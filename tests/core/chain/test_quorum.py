"""Several endpoints as one: each lies about one thing, or is silent, before a real node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from provenance.chain.artifact import abi_of
from provenance.chain.contracts import Reader
from provenance.chain.endpoint import Endpoint, Patience
from provenance.chain.quorum import Quorum
from provenance.chain.rpc import Rpc
from provenance.errors import ConfigError, InternalError, UnavailableError
from provenance.ids import to_hex
from provenance.judgement.verdict import Status, Verdict
from provenance.settings import Settings
from provenance_cli.wiring import reader_for
from tests.support.chain import Lab
from tests.support.processes.rpc_proxy import Alter, altering_proxy
from tests.support.spine import Run, failing

Lie = Callable[[dict[str, Any], Any], Any]
"""From a request and its honest result to the result that the liar gives."""


def honestly(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


def lying(lie: Lie) -> Alter:
    return lambda request, answer: answer | {"result": lie(request, answer.get("result"))}


def about(method: str, value: Callable[[Any], Any]) -> Lie:
    """A lie about the results of one method."""
    return lambda request, result: value(result) if request["method"] == method else result


def about_view(function: str, data: Callable[[bytes], bytes]) -> Lie:
    """A lie about what one view of the registry returns."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_call":
            return result
        item = abi_of("ProvenanceRegistry")._functions[function]
        selector = abi_of("ProvenanceRegistry").encode(function, [_zero(i) for i in item["inputs"]])
        asks = request["params"][0]["data"].startswith(to_hex(selector[:4]))
        return to_hex(data(bytes.fromhex(result[2:]))) if asks else result

    return lie


def _zero(spec: dict[str, Any]) -> Any:
    kinds = {"bytes32": bytes(32), "address": "0x" + "00" * 20, "string": ""}
    return kinds.get(spec["type"], 0)


def none_left(data: bytes) -> bytes:
    """A page without entries, of none in all."""
    return (64).to_bytes(32, "big") + bytes(64)


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def revoked(data: bytes) -> bytes:
    """A revocation in block 1, without a reason."""
    return (1).to_bytes(32, "big") + (64).to_bytes(32, "big") + bytes(32)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def urls_of(stack: ExitStack, lab: Lab, *alters: Alter) -> list[str]:
    node = lab.chain.up().url
    return [stack.enter_context(altering_proxy(node, alter)) for alter in alters]


def quorum_of(urls: list[str], needed: int, timeout_s: float = 20.0) -> Quorum:
    return Quorum([Endpoint(url, timeout_s, Patience(0)) for url in urls], needed, grace_s=0.5)


def judged(run: Run, urls: list[str], needed: int) -> Verdict:
    trust = run.lab.trust
    asked = quorum_of(urls, needed) if len(urls) > 1 else urls[0]
    verdict: Verdict = run.judge(reader=Reader(Rpc(asked), trust.addresses, trust.confirmations))
    return verdict


def agreed(verdict: Verdict) -> str:
    (claim,) = (c for c in verdict.claims if c.id == "chain.agreed")
    return claim.text


# What each lie does to a verifier who asks the liar alone
LIES: dict[str, tuple[Lie, Status]] = {
    "code of a contract": (about("eth_getCode", lambda code: code + "00"), Status.FAILED),
    "chain id": (about("eth_chainId", lambda _: "0x1"), Status.FAILED),
    "releases left out": (about_view("lineageOf", none_left), Status.NOT_FOUND),
    "a head": (about_view("headAt", changed), Status.VERIFIED),  # its time, which nothing binds
    "a revocation": (about_view("revocationOf", revoked), Status.REVOKED),
    "sibling runs left out": (about_view("runsOf", none_left), Status.VERIFIED),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_of_one_endpoint_leaves_the_verdict_undetermined_and_is_named(
    stack: ExitStack, honest: Run, name: str
) -> None:
    lie, alone = LIES[name]
    good, liar = urls_of(stack, honest.lab, honestly, lying(lie))
    assert judged(honest, [liar], 1).status is alone
    verdict = judged(honest, [good, liar], 2)
    assert verdict.status is Status.INDETERMINATE
    assert "endpoints disagree" in verdict.reason
    assert f"{good} says " in verdict.reason
    assert f"{liar} says " in verdict.reason
    assert not [claim for claim in verdict.claims if claim.id == "chain.agreed"]


@pytest.mark.parametrize("name", ["code of a contract", "a revocation"])
def test_two_of_three_outvote_a_liar_whom_the_verdict_names(
    stack: ExitStack, honest: Run, name: str
) -> None:
    urls = urls_of(stack, honest.lab, honestly, lying(LIES[name][0]), honestly)
    verdict = judged(honest, urls, 2)
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, [])
    assert "2 of 3 endpoints gave the same answers" in agreed(verdict)
    assert f"{urls[1]} said otherwise" in agreed(verdict)
    assert urls[0] not in agreed(verdict)


def test_two_liars_of_three_are_not_outvoted_by_one_honest_endpoint(
    stack: ExitStack, honest: Run
) -> None:
    lies = [lying(about_view("headAt", changed)), lying(about_view("lineageOf", none_left))]
    verdict = judged(honest, urls_of(stack, honest.lab, honestly, *lies), 2)
    assert verdict.status is Status.INDETERMINATE  # each is found out, and too few are left


def hang(request: dict[str, Any], answer: dict[str, Any]) -> None:
    time.sleep(3)


SILENCE: dict[str, Alter] = {
    "hangs up": lambda request, answer: None,
    "hangs": hang,
    "refuses": lambda request, answer: {"id": 1, "error": {"code": -32000, "message": "no"}},
    "answers something else": lambda request, answer: {"id": 1, "result": {"a": 1}},
    "numbers without end": lying(
        about("eth_getBlockByNumber", lambda block: block and block | {"number": "0x" + "f" * 8000})
    ),
    "an error whose code is a list": lambda request, answer: {"id": 1, "error": {"code": []}},
    "such an error, to calls only": lambda request, answer: (
        {"id": 1, "error": {"code": []}} if request["method"] == "eth_call" else answer
    ),
    "reverts what is no call": lambda request, answer: (
        answer if request["method"] == "eth_call" else {"id": 1, "error": {"code": 3}}
    ),
}


@pytest.mark.parametrize("name", SILENCE)
def test_a_verdict_goes_on_without_a_silent_endpoint_and_says_so(
    stack: ExitStack, honest: Run, name: str
) -> None:
    urls = urls_of(stack, honest.lab, honestly, SILENCE[name], honestly)
    verdict = judged(honest, urls, 2)
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, [])
    assert f"{urls[1]} did not always answer" in agreed(verdict)
    if name != "hangs":
        verdict = judged(honest, urls, 3)
        assert verdict.status is Status.INDETERMINATE
        assert "too few endpoints answer" in verdict.reason
        assert f"{urls[1]} did not answer" in verdict.reason


def a_block_behind(rpc: Rpc, final: int) -> Alter:
    """An endpoint that calls the block before block `final` the final one."""

    def alter(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "eth_getBlockByNumber" and request["params"][0] == "finalized":
            return answer | {"result": rpc.request("eth_getBlockByNumber", [hex(final - 1), False])}
        return answer

    return alter


def test_an_endpoint_that_is_behind_decides_what_all_have_in_common(
    stack: ExitStack, honest: Run
) -> None:
    rpc = honest.lab.chain.rpc()
    final = rpc.block("finalized").number
    late = a_block_behind(rpc, final)
    urls = urls_of(stack, honest.lab, honestly, late, honestly)
    behind = f"{urls[1]} was 1 block behind"
    for needed, number, notes in ((3, final - 1, ()), (2, final, (behind,))):
        quorum = quorum_of(urls, needed)
        block = Reader(Rpc(quorum), honest.lab.trust.addresses).final().block
        assert (block.number, block.hash) == (number, rpc.block(number).hash)
        assert quorum.agreement().notes == notes


@pytest.mark.parametrize(
    ("needed", "lie"),
    [
        (2, about("eth_getBlockByNumber", lambda block: block | {"hash": "0x" + "12" * 32})),
        (2, about("eth_getBlockByNumber", lambda block: block | {"timestamp": "0x7fffffff"})),
    ],
    ids=["hash", "time"],
)
def test_a_final_block_that_only_one_endpoint_has_is_none(
    stack: ExitStack, honest: Run, needed: int, lie: Lie
) -> None:
    """With a false time, a chain that stands still would look young."""
    rpc = Rpc(quorum_of(urls_of(stack, honest.lab, honestly, lying(lie)), needed))
    for tag in ("finalized", "latest", 1):
        with pytest.raises(UnavailableError, match="endpoints disagree"):
            rpc.block(tag)


def test_an_endpoint_alone_cannot_name_a_newer_block(stack: ExitStack, honest: Run) -> None:
    far = about("eth_getBlockByNumber", lambda block: block | {"number": "0xfffffff"})
    urls = urls_of(stack, honest.lab, honestly, lying(far), honestly)
    final = honest.lab.chain.rpc().block("finalized")
    assert Rpc(quorum_of(urls, 2)).block("finalized") == final


def test_an_endpoint_does_not_make_a_block_final_that_it_does_not_call_final_itself(
    stack: ExitStack, honest: Run
) -> None:
    """The attack: one of two forked nodes finds its second voice in a node that is behind.

    All three agree about the block that this one calls final, so that is the newest final block.
    """
    rpc = honest.lab.chain.rpc()
    final = rpc.block("finalized").number
    late = a_block_behind(rpc, final)
    forked = about(
        "eth_getBlockByNumber",
        lambda b: b | {"hash": "0x" + "12" * 32} if int(b["number"], 16) == final else b,
    )
    quorum = quorum_of(urls_of(stack, honest.lab, honestly, lying(forked), late), 2)
    assert Rpc(quorum).block("finalized") == rpc.block(final - 1)
    (note,) = quorum.agreement().notes
    assert f"{final:#x}, no 2 agree" in note


def test_newest_blocks_of_a_fork_at_the_tip_are_left_for_an_older_one(
    stack: ExitStack, honest: Run
) -> None:
    rpc = honest.lab.chain.rpc()
    newest = rpc.block("latest").number
    forked = about(
        "eth_getBlockByNumber",
        lambda b: b | {"hash": "0x" + "12" * 32} if int(b["number"], 16) > newest - 2 else b,
    )
    quorum = quorum_of(urls_of(stack, honest.lab, honestly, lying(forked)), 2)
    assert Rpc(quorum).block("latest") == rpc.block(newest - 2)
    assert quorum.agreement().notes == ()


def test_endpoints_are_asked_at_once(stack: ExitStack, honest: Run) -> None:
    def slow(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.4)
        return answer

    rpc = Rpc(quorum_of(urls_of(stack, honest.lab, slow, slow, slow, slow, slow), 5))
    begin = time.monotonic()
    rpc.chain_id()
    assert time.monotonic() - begin < 5 * 0.4


def test_only_what_can_be_compared_is_asked(stack: ExitStack, honest: Run) -> None:
    quorum = quorum_of(urls_of(stack, honest.lab, honestly, honestly), 2)
    with pytest.raises(InternalError, match="cannot be compared"):
        quorum.request("eth_getBalance", [40 * "0", "latest"])


@pytest.mark.parametrize("needed", [0, 1, 3])
def test_less_than_a_majority_is_no_quorum(needed: int) -> None:
    with pytest.raises(ConfigError, match="not a quorum"):
        quorum_of(["http://127.0.0.1:1", "http://127.0.0.1:2"], needed)


def test_an_endpoint_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="stands twice") as caught:
        quorum_of(["https://node.example/one-secret", "https://node.example/two-secret"], 2)
    assert "secret" not in str(caught.value)


SPELLINGS = [
    ("http://node.example", "http://node.example:80/secret"),
    ("https://node.example:443", "https://node.example"),
    ("http://node.example:8545", "http://NODE.example.:08545"),
    ("http://xn--bcher-kva.example", "http://XN--bcher-kva.example."),
    ("http://127.0.0.1:1", "http://127.1:1"),
    ("http://127.0.0.1:1", "http://0x7f000001:1"),
    ("http://127.0.0.1:1", "http://2130706433:1"),
    ("http://127.0.0.1:1", "http://[::ffff:127.0.0.1]:1"),
    ("http://[::1]:1", "http://[0:0:0:0:0:0:0:1]:1"),
    ("http://[fe80::a]", "http://[FE80:0::A]:80"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_another_spelling_of_an_endpoint_is_no_other_endpoint(one: str, other: str) -> None:
    """The attack: one endpoint named twice would be two voices of a quorum."""
    with pytest.raises(ConfigError, match="stands twice"):
        quorum_of([one, other], 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://node.example", "https://node.example"),
        ("http://node.example:80", "http://node.example:443"),
        ("http://127.0.0.1", "http://127.0.0.2"),
        ("http://[::1]", "http://[::2]"),
        ("http://a.example", "http://b.example"),
        ("http://x@a.example", "http://x@b.example"),
    ],
)
def test_other_endpoints_are_no_spellings_of_one(one: str, other: str) -> None:
    quorum_of([one, other], 2)


def test_keys_in_urls_are_never_told(stack: ExitStack, honest: Run) -> None:
    lies = [honestly, lying(LIES["a revocation"][0])]
    keyed = [f"{url}/v3/very-secret" for url in urls_of(stack, honest.lab, *lies)]
    silent = "http://user:very-secret@127.0.0.1:9/very-secret?key=very-secret"
    for urls, needed in ((keyed, 2), ([*keyed, silent], 3), ([keyed[0], silent], 2)):
        verdict = judged(honest, urls, needed)
        assert verdict.status is Status.INDETERMINATE
        assert "very-secret" not in str(verdict.to_json())


def test_the_trust_file_says_how_many_must_agree(stack: ExitStack, honest: Run) -> None:
    lab = honest.lab
    urls = urls_of(stack, lab, honestly, honestly, lying(about("eth_chainId", lambda _: "0x1")))
    settings = Settings.load({"PROVENANCE_HOME": "/x", "PROVENANCE_READ_URLS": " ".join(urls)})
    assert reader_for(settings, replace(lab.trust, quorum=2)).identity().chain_id == 31337
    with pytest.raises(UnavailableError, match="endpoints disagree"):
        reader_for(settings, lab.trust).identity()
    with pytest.raises(UnavailableError, match="fewer endpoints"):
        reader_for(settings, replace(lab.trust, quorum=4)).identity()
    with pytest.raises(UnavailableError, match="fewer endpoints"):  # one, however configured
        reader_for(lab.settings, replace(lab.trust, quorum=2)).identity()
