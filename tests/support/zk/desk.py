"""A verifier's desk: trapdoor keys, statements under them, and the command that judges files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import Digest, sha256
from provenance.ids import Address
from provenance.judgement.facts import ChainIdentity, Contract
from provenance.judgement.trust import Key
from provenance.judgement.trust_file import render
from provenance_zk.audits.sorted_proofs import chunk_file, words_of
from provenance_zk.audits.statement_file import Statement
from tests.support.trapdoor import TrapdoorKey
from tests.support.zk.command import Call, Outcome

SORTED, MEMBER, ABSENT = (
    TrapdoorKey("sorted", 16, 5),
    TrapdoorKey("member", 1, 5),
    TrapdoorKey("absent", 1, 5),
)
TREE = TrapdoorKey("tree", 256, 5)
DATASET = DatasetRoot(0x1234, 5, 40)
DIGEST = sha256(b"a record")
HI, LO = DIGEST.limbs
FIRSTS = (101, 102, 103)


def sorted_statement(chunk: int, dataset: DatasetRoot = DATASET, **changes: int) -> Statement:
    last = chunk == 2
    inputs = {
        "root": dataset.root,
        "k": chunk,
        "used": 8 if last else 16,
        "more": int(not last),
        "first": FIRSTS[chunk],
        "next": 0 if last else FIRSTS[chunk + 1],
    } | changes
    return Statement("sorted", dataset, None, SORTED.prove(*inputs.values()))


def member(dataset: DatasetRoot = DATASET, digest: Digest = DIGEST) -> Statement:
    return Statement(
        "member", dataset, digest, MEMBER.prove(dataset.root, dataset.count, *digest.limbs)
    )


def absent(dataset: DatasetRoot = DATASET, digest: Digest = DIGEST) -> Statement:
    return Statement(
        "absent", dataset, digest, ABSENT.prove(dataset.root, dataset.count, digest.limbs[0])
    )


class Desk:
    """A verifier's desk: trust file, keys, files, and the command."""

    def __init__(self, folder: Path, call: Call) -> None:
        self.folder, self._call = folder, call
        self.trust(SORTED, MEMBER, ABSENT, TREE)
        for key in (SORTED, MEMBER, ABSENT, TREE):
            path = words_of(folder, key.vk_id)
            path.parent.mkdir(parents=True)
            path.write_bytes(key.words)

    def trust(
        self,
        *keys: TrapdoorKey,
        klass: str = "dev",
        environment: str = "local",
        dev: TrapdoorKey | None = None,
    ) -> None:
        """Pin these keys under one class; `dev` is pinned as a development key."""
        contract, listed = Contract(Address("0x" + "11" * 20), "0x" + "22" * 32), []
        chain_id = 31337 if environment == "local" else 1  # chains of development are always local
        chain = ChainIdentity(
            chain_id, "0x" + "33" * 32, {"registry": contract, "ledger": contract}
        )
        for key in keys:
            own = "dev" if key is dev else klass
            listed.append(
                Key(
                    f"0x{key.vk_id.hex()}",
                    key.kind,
                    own,
                    "sha256:00" if own == "ceremony" else None,
                )
            )
        (self.folder / "trust.yaml").write_text(render(environment, chain, tuple(listed), ()))

    def write(self, value: Statement | dict[str, Any], name: str = "file.json") -> Path:
        path = self.folder / name
        path.write_bytes(
            value.to_bytes() if isinstance(value, Statement) else json.dumps(value).encode()
        )
        return path

    def write_set(self, *statements: Statement) -> Path:
        folder = self.folder / "set"
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.json"):
            old.unlink()
        for i, statement in enumerate(statements):
            chunk_file(folder, i).write_bytes(statement.to_bytes())
        return folder

    def verify(self, *args: object, named: DatasetRoot | None = DATASET) -> Outcome:
        name = (
            ("--root", named.hex0x, "--depth", named.depth, "--count", named.count) if named else ()
        )
        return self._call("proof", "verify", *args, *name, "--json")

    def status(self, *args: object, named: DatasetRoot | None = DATASET) -> tuple[int, str]:
        done = self.verify(*args, named=named)
        return done.code, done.json["status"]

    def failing(self, *args: object, named: DatasetRoot | None = DATASET) -> list[str]:
        done = self.verify(*args, named=named)
        assert (done.code, done.json["status"]) == (1, "failed")
        return [
            c["id"] for v in done.json["verdicts"] for c in v["claims"] if c["status"] == "fails"
        ]
