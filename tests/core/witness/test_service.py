"""What a witness signs: heads of publishers' runs, by the registry at a final block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from provenance.errors import (
    AuthError,
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import Address, RunId
from provenance.judgement.facts import Contract
from provenance.judgement.trust import Publisher
from provenance.log.c2sp import signed_checkpoint
from provenance.log.tree import Head
from provenance.log.witness.cosignature import Cosignature
from provenance.log.witness.note import MAX_NOTE_BYTES, Note, SignatureLine
from provenance.log.witness.request import MAX_PROOF_LINES, MAX_REQUEST_BYTES, AddCheckpoint
from provenance.merkle import Tree
from provenance.signing import Domain, head_digest, sign_head
from provenance.witness.key import WitnessSigner, create_witness_key, load_witness_key
from provenance.witness.memory import Memory, Stale
from provenance.witness.service import Witness
from tests.support.core.witnesses import text_of
from tests.support.memory_run import DOMAIN, KEY, OWNER, MemoryRun

NOW = 1_800_000_000
STRANGER = Account.from_key(b"\x09" * 32)


@dataclass
class Place:
    """A run on a chain in memory, and a witness that reads that chain."""

    run: MemoryRun
    signer: WitnessSigner
    memory: Memory
    reads: int = 0

    @property
    def tree(self) -> Tree:
        return Tree(record.entry for record in self.run.evidence.log)

    def witness(self) -> Witness:
        def reader() -> Any:
            self.reads += 1
            return self.run.chain

        return Witness(self.signer, self.memory, self.run.trust, reader, lambda: NOW)

    def head(self, size: int | None = None) -> Head:
        tree = self.tree
        return Head(self.run.run_id, size or len(tree), tree.root(size))  # type: ignore[arg-type]

    def ask(self, head: Head | None = None, old: int = 0, **changes: Any) -> str:
        head = head or self.head()
        proof = tuple(self.tree.consistency_proof(old, head.size)) if old <= head.size else ()
        return self.witness().add_checkpoint(body(head, old=old, proof=proof, **changes))


def body(
    head: Head,
    *,
    old: int = 0,
    proof: tuple[bytes, ...] = (),
    key: Any = KEY,
    signer: str = OWNER,
    domain: Domain = DOMAIN,
    signed: Head | None = None,
) -> bytes:
    """A request. signed: the head that the signature is of, if it is another."""
    signature = sign_head(key, signed or head, domain)
    note = Note.parse(signed_checkpoint(head, domain, signer, signature).encode())
    return AddCheckpoint(old, proof, note).to_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    Memory.prepare(tmp_path)
    create_witness_key(tmp_path / "key", "witness.example/w1")
    memory = Memory(tmp_path)
    yield Place(MemoryRun(), load_witness_key(tmp_path / "key"), memory)
    memory.close()


def test_the_head_of_a_publishers_run_is_signed(place: Place) -> None:
    line = place.ask()
    assert line.endswith("\n")
    found = Cosignature.read(SignatureLine.parse(line[:-1]), place.signer.key)
    assert found is not None
    assert (found.time, found.is_of(text_of(place.head(), DOMAIN))) == (NOW, True)


def test_it_follows_a_log_and_signs_the_same_head_again(place: Place) -> None:
    place.ask(place.head(3))
    place.ask(place.head(3), old=3)
    place.ask(place.head(9), old=3)
    with pytest.raises(Stale) as stale:
        place.ask(place.head(9), old=3)
    assert stale.value.size == 9
    with pytest.raises(Stale):
        place.ask(place.head(3))  # a replay of an older head


def test_a_fork_that_the_owner_signed_is_refused(place: Place) -> None:
    place.ask(place.head(5))
    fork = Tree([*(r.entry for r in place.run.evidence.log[:4]), bytes(32), bytes(32)])
    for size in (5, 6):
        head = replace(place.head(5), size=size, root=fork.root(size))
        proof = tuple(fork.consistency_proof(5, size))
        with pytest.raises(VerificationError):
            place.witness().add_checkpoint(body(head, old=5, proof=proof))
    place.ask(place.head(6), old=5)


def stranger(place: Place) -> bytes:
    return body(place.head(), key=STRANGER, signer=STRANGER.address.lower())


def in_the_publishers_name(place: Place) -> bytes:
    return body(place.head(), key=STRANGER)


def of_another_head(place: Place) -> bytes:
    return body(place.head(), signed=place.head(3))


def of_another_chain(place: Place) -> bytes:
    """The text is of the pinned chain, the signature of another one."""
    signature = sign_head(KEY, place.head(), replace(DOMAIN, chain_id=1))
    note = Note.parse(signed_checkpoint(place.head(), DOMAIN, OWNER, signature).encode())
    return AddCheckpoint(0, (), note).to_bytes()


def one_good_and_one_bad(place: Place) -> bytes:
    """Both lines have the name and id of the publisher's key (a malformed note)."""
    request = AddCheckpoint.parse(body(place.head()))
    (good,) = request.note.signatures
    both = (good, replace(good, signature=bytes(65)))
    return replace(request, note=replace(request.note, signatures=both)).to_bytes()


@pytest.mark.parametrize(
    "forged",
    [stranger, in_the_publishers_name, of_another_head, of_another_chain, one_good_and_one_bad],
)
def test_what_no_publisher_signed_is_refused_before_the_chain_is_asked(
    place: Place, forged: Callable[[Place], bytes]
) -> None:
    with pytest.raises(AuthError):
        place.witness().add_checkpoint(forged(place))
    assert place.reads == 0


def test_lines_of_strangers_beside_the_publishers_are_passed_over(place: Place) -> None:
    request = AddCheckpoint.parse(body(place.head()))
    (good,) = request.note.signatures
    lines = (SignatureLine("w.example", b"1234", b"x"), replace(good, key_id=b"5678"), good)
    asked = replace(request, note=replace(request.note, signatures=lines))
    place.witness().add_checkpoint(asked.to_bytes())


@pytest.mark.parametrize(
    "domain",
    [replace(DOMAIN, chain_id=1), replace(DOMAIN, registry=Address("0x" + "cd" * 20))],
)
def test_logs_of_another_chain_or_registry_are_not_known(place: Place, domain: Domain) -> None:
    with pytest.raises(NotFound, match="another chain or registry"):
        place.ask(domain=domain)
    assert place.reads == 0


def test_logs_of_others_and_runs_that_are_not_there_are_not_known(place: Place) -> None:
    data = body(place.head()).replace(b"model-provenance/", b"example.com/")
    with pytest.raises(NotFound, match="not known"):
        place.witness().add_checkpoint(data)
    with pytest.raises(NotFound, match="no such run"):
        place.ask(replace(place.head(), run_id=RunId(b"\x01" * 32)))


def test_a_run_that_is_not_in_a_final_block_yet_is_not_known(place: Place) -> None:
    run_id = place.run.chain.open_run(OWNER, b"\x05" * 32, b"\x06" * 32)
    head = replace(place.head(), run_id=run_id)
    with pytest.raises(NotFound):
        place.ask(head)
    place.run.chain.mine(3)
    place.ask(head)


def test_a_publisher_signs_no_heads_of_other_peoples_runs(place: Place) -> None:
    """Two publishers: the one who signed does not own the run."""
    other = STRANGER.address.lower()
    publishers = (*place.run.trust.publishers, Publisher(Address(other), "other"))
    place.run.trust = replace(place.run.trust, publishers=publishers)
    with pytest.raises(AuthError, match="owner"):
        place.ask(key=STRANGER, signer=other)


def test_whoever_is_no_publisher_any_more_is_refused(place: Place) -> None:
    block = place.run.chain.final().block.number
    for publisher, is_one in (
        (Publisher(Address(OWNER), "me", to_block=block - 1), False),
        (Publisher(Address(OWNER), "me", from_block=block + 1), False),
        (Publisher(Address(OWNER), "me", to_block=block), True),
    ):
        place.run.trust = replace(place.run.trust, publishers=(publisher,))
        if is_one:
            place.ask()
            return
        with pytest.raises(AuthError, match="no publisher at this block"):
            place.ask()


def test_a_key_that_was_revoked_is_refused(place: Place) -> None:
    place.run.chain.revoke_signer(OWNER, OWNER, place.run.chain.block_number, "stolen")
    place.ask(place.head(3))  # not final yet
    place.run.chain.mine(3)
    with pytest.raises(AuthError, match="revoked"):
        place.ask(place.head(4), old=3)


def test_another_chain_behind_the_endpoint_is_out_of_reach(place: Place) -> None:
    registry = Contract(place.run.trust.contracts["registry"].address, "0x" + "99" * 32)
    identity = place.run.chain.answering
    place.run.chain.answering = replace(
        identity, contracts={**identity.contracts, "registry": registry}
    )
    with pytest.raises(UnavailableError, match="not the pinned one"):
        place.ask()


def test_a_chain_that_stands_still_or_is_down_is_out_of_reach(place: Place) -> None:
    place.run.trust = replace(place.run.trust, max_age_s=60)
    with pytest.raises(UnavailableError, match="too old"):
        place.ask()
    place.run.trust = replace(place.run.trust, max_age_s=None)
    place.run.chain.down = True
    with pytest.raises(UnavailableError):
        place.ask()


def test_a_contract_that_is_pinned_is_asked_for_its_signature(place: Place) -> None:
    code, head = "0x" + "77" * 32, place.head()
    owner = Publisher(Address(OWNER), "me", code_hash=code)
    place.run.trust = replace(place.run.trust, publishers=(owner,))
    with pytest.raises(AuthError, match="other code"):
        place.ask()
    accepted: set[tuple[bytes, bytes]] = set()
    place.run.chain.wallets[OWNER] = (code, accepted)
    with pytest.raises(AuthError, match="not its owner's"):
        place.ask()
    accepted.add((head_digest(head, DOMAIN), sign_head(KEY, head, DOMAIN)))
    place.ask()


GOOD = body(Head(RunId(b"\x07" * 32), 5, bytes(32)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        GOOD[1:],
        GOOD.replace(b"old 0", b"old 00"),
        GOOD.replace(b"old 0", b"old -1"),
        GOOD.replace(b"old 0", b"old 0x"),
        GOOD.replace(b"old 0", b"old"),
        GOOD.replace(b"old 0\n", b"old 0\nAAAA\n"),
        GOOD.replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n" * (MAX_PROOF_LINES + 1)),
        GOOD.replace(b"old 0\n", b"old 0\n" + (b"A" * 43 + b"=\n") * (MAX_PROOF_LINES + 1)),
        GOOD.replace(b"old 0", b"\xff"),
        GOOD.replace(b"\n5\n", b"\n05\n"),
        GOOD.replace(b"\n5\n", b"\n5\nextension\n"),
        GOOD + b"x",
        GOOD + b"\xe2\x80\x94 w " + b"A" * MAX_NOTE_BYTES + b"\n",
        b"old 0\n\n" + b"x" * 10_000_000,
        GOOD.replace(b"old 0", b"old 6"),
    ],
    ids=lambda data: repr(data[:16]),
)
def test_requests_in_another_form_are_refused(place: Place, data: bytes) -> None:
    trusted = place.run.trust
    with pytest.raises(InputError) as caught:
        place.witness().add_checkpoint(data)
    assert type(caught.value) is InputError
    assert trusted is place.run.trust
    assert place.reads == 0


def test_a_request_is_measured_before_it_is_read() -> None:
    with pytest.raises(InputError, match="request is too large"):
        AddCheckpoint.parse(b"x" * (MAX_REQUEST_BYTES + 1))


def test_a_request_comes_back(place: Place) -> None:
    request = AddCheckpoint(
        3, tuple(place.tree.consistency_proof(3, 12)), AddCheckpoint.parse(GOOD).note
    )
    assert AddCheckpoint.parse(request.to_bytes()) == request


def test_nothing_is_signed_if_nothing_can_be_remembered(place: Place, tmp_path: Path) -> None:
    (tmp_path / "heads").rmdir()
    (tmp_path / "heads").write_text("no folder")
    with pytest.raises(ProvenanceError) as caught:
        place.ask()
    assert "BEGIN" not in str(caught.value)
    assert caught.value.code in ("output", "witness-memory")
