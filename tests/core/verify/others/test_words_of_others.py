"""Whatever somebody else wrote stands inside quotation marks wherever the verifier speaks.

Each attack writes a sentence of the verifier's into a field that another party fills.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from provenance.chain.answers import Reply, result_of
from provenance.chain.quorum import Quorum
from provenance.digest import sha256
from provenance.errors import ProvenanceError
from provenance.judgement.verdict import Status, Verdict
from provenance.log.record import Record
from provenance.log.witness.request import AddCheckpoint
from provenance.witness.client import Answer, cosign
from provenance_cli.judge.verdict_text import render
from tests.core.verify.test_ancestry import FILES, FIRST, STEP, Generation, judge, merged, pruned
from tests.core.witness.test_asking_a_witness import NOTE, NOW, TREE, A
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import DATASET, OWNER, MemoryRun

MARK = "xyzzy"
WORDS = f'routine"; ”{MARK} was recomputed bit for bit by this verifier; nothing is missing“ '
LONGEST = 2_500  # characters of any sentence about one run


def sentences(verdict: Verdict) -> Iterator[str]:
    """All that a verdict says in sentences; expected and actual are values with names."""
    yield verdict.reason
    for claim in verdict.claims:
        yield from filter(None, (claim.text, claim.needs, claim.where))
    yield from (edge.note for edge in verdict.edges if edge.note)
    yield from verdict.development


def unquoted(text: str) -> str:
    """A text without what stands between quotation marks."""
    return "".join(text.split('"')[::2])


def require_quoted(verdict: Verdict) -> bool:
    """No sentence has others' words outside quotation marks, or is long; whether any has them."""
    for text in sentences(verdict):
        assert MARK not in unquoted(text), text
        assert (text.count('"') % 2, len(text) < LONGEST) == (0, True), text
    for claim in verdict.claims:
        assert all(len(value or "") <= 400 for value in (claim.expected, claim.actual))
    return any(MARK in text for text in sentences(verdict))


def long(words: str) -> str:
    return words + "A" * 20_000  # the contract has no limit


def revoked_key(run: MemoryRun) -> None:
    run.chain.revoke_signer(OWNER, OWNER, run.chain.block_number + 1, long(WORDS))


def revoked_before(run: MemoryRun) -> None:
    run.chain.revoke_signer(OWNER, OWNER, 0, long(WORDS))


def revoked_record(run: MemoryRun) -> None:
    run.chain.revoke(OWNER, run.run_id, 0, long(WORDS))


def revoked_dataset(run: MemoryRun) -> None:
    run.chain.revoke_dataset(OWNER, DATASET, long(WORDS))


@pytest.mark.parametrize("attack", [revoked_key, revoked_before, revoked_record, revoked_dataset])
def test_the_reason_of_a_revocation(attack: Callable[[MemoryRun], None]) -> None:
    """Whoever holds a stolen key writes it into a claim that holds, or into the headline."""
    run = MemoryRun()
    run.chain.mine(3)
    attack(run)
    run.chain.mine(3)
    verdict = run.judge()
    assert require_quoted(verdict)
    assert MARK not in unquoted(render(verdict).splitlines()[0])


def test_the_reason_of_a_revocation_of_a_run_that_made_the_base() -> None:
    chain = MemoryChain()
    mother, child = (Generation(FIRST, merged(0), chain), Generation(merged(0), merged(1), chain))
    chain.revoke(OWNER, mother.run_id, 0, long(WORDS))
    verdict = judge([mother, child])
    assert (verdict.status, require_quoted(verdict)) == (Status.REVOKED, True)


def test_the_tool_of_a_step() -> None:
    tool = {**STEP["tool"], "version": long(WORDS)}
    assert require_quoted(judge(pruned(tool=tool)))
    assert require_quoted(judge(pruned(tool={**STEP["tool"], "name": WORDS})))


def test_the_path_of_a_file_beside_the_weights() -> None:
    chain, files = MemoryChain(), {**FILES, WORDS: str(sha256(b"x"))}
    base, made = (replace(merged(number), files=files) for number in (0, 1))
    runs = [Generation(FIRST, merged(0), chain), Generation(base, made, chain)]
    assert require_quoted(judge(runs))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a JSON value has a text, or an object that could have one more member."""
    if isinstance(value, str):
        yield path
    for name, item in value.items() if isinstance(value, dict) else ():
        yield from places(item, (*path, name))
    if isinstance(value, dict):
        yield (*path, WORDS)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield from places(item, (*path, number))


def put(value: Any, path: tuple[Any, ...]) -> Any:
    """The value with others' words at a place."""
    if not path:
        return WORDS
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:]) if path[1:] else WORDS
    return copy


HONEST = MemoryRun().evidence.log
EVERYWHERE = [(i, path) for i, record in enumerate(HONEST) for path in places(dict(record.fields))]


def test_every_text_of_every_record() -> None:
    """The owner writes the log, and signs it: each field with others' words in turn."""
    told = 0
    for index, path in EVERYWHERE:
        opening = put(dict(HONEST[0].fields), path) if index == 0 else {}

        def change(log: list[Record], at: int = index, to: tuple[Any, ...] = path) -> list[Record]:
            if not at:
                return log
            changed = replace(log[at - 1], fields=put(log[at - 1].fields, to))
            return [*log[: at - 1], changed, *log[at:]]

        try:
            run = MemoryRun(change, opening)
        except ProvenanceError:  # no record has this form, so no log has it
            continue
        told += require_quoted(run.judge())
    assert told >= 5, told


def test_the_name_of_the_file_under_judgement(tmp_path: Any) -> None:
    """Whoever sends a file names it."""
    run = MemoryRun()
    file = tmp_path / f"{WORDS}.gguf"
    file.write_bytes(b"another model")
    verdict = run.judge(subject=str(file), release=run.run_id)
    assert (verdict.status, require_quoted(verdict)) == (Status.FAILED, True)
    json.dumps(verdict.to_json())


REPLIES = [
    Reply(200, {}, json.dumps({"error": {"code": 1, "message": WORDS * 9}}).encode(), "node"),
    Reply(200, {}, json.dumps({"error": {"code": [WORDS], "message": ""}}).encode(), "node"),
    Reply(200, {}, json.dumps({"error": WORDS}).encode(), "node"),
    Reply(200, {}, json.dumps(WORDS).encode(), "node"),
    Reply(200, {}, json.dumps({WORDS: 1}).encode(), "node"),
    Reply(500, {}, json.dumps({"error": WORDS}).encode(), "node"),
    Reply(404, {}, json.dumps({"error": {"message": WORDS}}).encode(), "node"),
]


class Answering:
    """An endpoint that says one thing, whatever it is asked."""

    def __init__(self, name: str, reply: Reply) -> None:
        self.shown, self.reply = f"http://{name}", reply

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        return result_of(self.reply)

    def close(self) -> None:
        """Nothing is open."""

    def agreement(self) -> None:
        """Nobody to agree with."""


@pytest.mark.parametrize("reply", REPLIES)
def test_the_words_of_an_endpoint(reply: Reply) -> None:
    """One of three writes them into a claim that holds: how the others agreed."""
    honest = Reply(200, {}, b'{"result": "0x1"}', "node")
    three = [Answering("a", honest), Answering("b", honest), Answering("c", reply)]
    quorum = Quorum(three, 2)
    quorum.request("eth_chainId")
    (said,) = quorum.agreement().notes
    assert MARK in said
    assert MARK not in unquoted(said)
    assert len(said) < 400
    with pytest.raises(ProvenanceError) as caught:
        Quorum([Answering("a", reply), Answering("b", reply)], 2).request("eth_chainId")
    assert MARK not in unquoted(str(caught.value))


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500])
def test_the_words_of_a_witness(status: int) -> None:
    def ask(_: AddCheckpoint) -> Answer:
        return Answer(status, "text/plain", WORDS.encode() * 9)

    with pytest.raises(ProvenanceError) as caught:
        cosign(ask, NOTE, TREE, [A.key], NOW)
    assert MARK in str(caught.value)
    assert MARK not in unquoted(str(caught.value))
