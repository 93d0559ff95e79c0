"""Attestations: what is signed (as another implementation of EIP-712 has it), and their lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from provenance.errors import InputError, OutputError, VerificationError
from provenance.ids import RunId, Word
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.attestation import Attestation, Audit, SegmentWord
from provenance.log.audit.draw import chain_nonce, drawn
from provenance.log.audit.kept import (
    MAX_ATTESTATIONS_BYTES,
    keep,
    parse_line,
    parse_lines,
    read_attestations,
    to_line,
)
from tests.support.core.auditors import MadeAuditor
from tests.support.memory_run import DOMAIN

A = MadeAuditor.make("Anna")
AUDIT = Audit(
    RunId(b"\x01" * 32),
    12,
    b"\x02" * 32,
    3,
    Word(b"\x03" * 32),
    (
        SegmentWord(0, Word(bytes(32)), Word(b"\x04" * 32), Agreement.EXACT),
        SegmentWord(2, Word(b"\x04" * 32), Word(b"\x05" * 32), Agreement.CLOSE),
    ),
    {"torch": "2.15.0", "variables": {"OMP_NUM_THREADS": "2"}},
    7,
    b"\x06" * 32,
)
SIGNED = A.sign(AUDIT)
TYPES = {
    "Audit": [
        ("runId", "bytes32"),
        ("size", "uint64"),
        ("root", "bytes32"),
        ("segments", "uint64"),
        ("nonce", "bytes32"),
        ("replayed", "Segment[]"),
        ("stack", "bytes32"),
        ("block", "uint64"),
        ("blockHash", "bytes32"),
    ],
    "Segment": [
        ("number", "uint64"),
        ("start", "bytes32"),
        ("end", "bytes32"),
        ("class", "string"),
    ],
}


def test_a_wallet_signs_the_same_digest() -> None:
    message = encode_typed_data(
        {
            "name": "provenance",
            "version": "1",
            "chainId": DOMAIN.chain_id,
            "verifyingContract": str(DOMAIN.registry),
        },
        {name: [{"name": n, "type": t} for n, t in each] for name, each in TYPES.items()},
        {
            "runId": AUDIT.run_id,
            "size": AUDIT.size,
            "root": AUDIT.root,
            "segments": AUDIT.segments,
            "nonce": AUDIT.nonce,
            "replayed": [
                {"number": s.number, "start": s.start, "end": s.end, "class": s.outcome}
                for s in AUDIT.replayed
            ],
            "stack": AUDIT.stack_digest,
            "block": AUDIT.block,
            "blockHash": AUDIT.block_hash,
        },
    )
    assert keccak(b"\x19" + message.version + message.header + message.body) == AUDIT.digest(DOMAIN)
    wallet = A.account.sign_message(message)
    Attestation(AUDIT, A.address, bytes(wallet.signature)).require_signed(DOMAIN)


CHANGES: dict[str, Any] = {
    "run_id": RunId(b"\x09" * 32),
    "size": 13,
    "root": b"\x09" * 32,
    "segments": 4,
    "nonce": Word(b"\x09" * 32),
    "replayed": AUDIT.replayed[:1],
    "stack": {"torch": "2.15.1"},
    "block": 8,
    "block_hash": b"\x09" * 32,
}
OF_SEGMENT: dict[str, Any] = {
    "number": 1,
    "start": Word(b"\x09" * 32),
    "end": Word(bytes(32)),
    "outcome": Agreement.EXACT,
}


@pytest.mark.parametrize(
    "audit",
    [replace(AUDIT, **{name: value}) for name, value in CHANGES.items()]
    + [
        replace(AUDIT, replayed=(AUDIT.replayed[0], replace(AUDIT.replayed[1], **{name: value})))
        for name, value in OF_SEGMENT.items()
    ],
)
def test_the_signature_covers_everything(audit: Audit) -> None:
    with pytest.raises(VerificationError, match="signed by another key"):
        replace(SIGNED, audit=audit).require_signed(DOMAIN)


def test_a_line_is_read_as_it_was_written() -> None:
    assert list(parse_lines(to_line(SIGNED) + to_line(SIGNED))) == [SIGNED, SIGNED]


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(to_line(SIGNED))
    change(value)
    return json.dumps(value).encode()


def deep() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(200):
        found = {"a": found}
    return found


HOSTILE = {
    "no JSON": b"{" * 400,
    "a list": b"[" + b"0," * 300 + b"0]",
    "another format": changed(lambda v: v.update(format="provenance-audit/2")),
    "one field more": changed(lambda v: v.update(more=1)),
    "one field less": changed(lambda v: v.pop("stack")),
    "a size that is true": changed(lambda v: v.update(size=True)),
    "a size below zero": changed(lambda v: v.update(size=-1)),
    "a block of 64 bits": changed(lambda v: v.update(block=2**63)),
    "a float in the stack": changed(lambda v: v.update(stack={"a": 0.5})),
    "a deep stack": changed(lambda v: v.update(stack=deep())),
    "a stack that is a list": changed(lambda v: v.update(stack=[])),
    "half a letter in the stack": changed(lambda v: v.update(stack={"a": "\ud800"})),
    "nothing replayed": changed(lambda v: v.update(replayed=[])),
    "no such class": changed(lambda v: v["replayed"][0].update({"class": "fine"})),
    "a class that is a list": changed(lambda v: v["replayed"][0].update({"class": []})),
    "a short root": changed(lambda v: v.update(root="0x00")),
    "a short signature": changed(lambda v: v.update(signature="0x00")),
    "an auditor with a name": changed(lambda v: v.update(auditor="Anna")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_is_refused_and_takes_nothing_from_others(name: str) -> None:
    line = HOSTILE[name]
    with pytest.raises(InputError, match="not an attestation"):
        parse_line(line)
    assert list(parse_lines(line + b"\n" + to_line(SIGNED))) == [SIGNED]


def test_the_same_attestation_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "attestations.jsonl"
    assert keep(path, SIGNED)
    assert not keep(path, SIGNED)
    assert read_attestations(path) == [SIGNED]


def test_a_file_that_nobody_would_read_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "attestations.jsonl"
    path.write_bytes(b"\n" * MAX_ATTESTATIONS_BYTES)
    with pytest.raises(OutputError, match="file of attestations is full"):
        keep(path, SIGNED)
    path.write_bytes(b"\n" * (MAX_ATTESTATIONS_BYTES + 1))
    with pytest.raises(InputError, match="too large"):
        read_attestations(path)


def test_a_link_is_neither_read_nor_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(to_line(SIGNED))
    link.symlink_to(target)
    with pytest.raises(InputError):
        read_attestations(link)
    with pytest.raises(InputError):
        keep(link, SIGNED)


def test_more_draws_of_one_nonce_are_the_fewer_and_others() -> None:
    nonce = chain_nonce(RunId(b"\x01" * 32), b"\x02" * 32)
    each = [set(drawn(9, wanted, nonce)) for wanted in range(1, 10)]
    assert all(few < more for few, more in pairwise(each))
    assert nonce != chain_nonce(RunId(b"\x01" * 32), b"\x03" * 32)
    with pytest.raises(InputError, match="not so many segments"):
        drawn(3, 4, nonce)
