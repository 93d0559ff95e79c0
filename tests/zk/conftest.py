"""A verifying key whose secrets the tests know: with them, proofs can be simulated without any
circuit or prover.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from provenance_zk.field import R
from provenance_zk.groth16 import pairing
from provenance_zk.groth16.pairing import unreduced
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys, vk_id
from provenance_zk.prover.server import ChildServer
from tests.support.chain import cache_folder
from tests.support.places import ZK_VECTORS
from tests.support.trapdoor import g1, g2


@dataclass(frozen=True)
class ToyKey:
    """Discrete logarithms of an `epoch` key; every field is a scalar or a tuple of scalars."""

    alpha: int
    beta: int
    gamma: int
    delta: int
    ic: tuple[int, ...]
    base: int
    sigmas: tuple[int, ...]
    header: tuple[int, ...] = (1, 1, 256, 0, 5, 3, 0)

    @cached_property
    def words(self) -> bytes:
        words = [*self.header, *g1(self.alpha), *g2(-self.beta), *g2(-self.gamma), *g2(-self.delta)]
        for scalar in self.ic:
            words += g1(scalar)
        for sigma in self.sigmas:
            words += [*g2(self.base), *g2(-sigma * self.base)]
        words += [1001, 1002, 1003, *g1(4004), *g1(5005)]
        return b"".join(word.to_bytes(32, "big") for word in words)

    def prove(
        self, public: tuple[int, ...], commitments: tuple[int, ...], *, a: int = 31, b: int = 37
    ) -> ProofFile:
        """A proof that verifies for any public inputs, as only the holder of the secrets can make
        it.
        """
        x = (
            self.ic[0]
            + sum(p * i for p, i in zip(public, self.ic[1:], strict=True))
            + sum(commitments)
        )
        c = (a * b - self.alpha * self.beta - x * self.gamma) * pow(self.delta, -1, R)
        return ProofFile(
            "epoch",
            vk_id(self.words),
            g1(a),
            g2(b),
            g1(c),
            tuple(g1(d) for d in commitments),
            tuple(g1(d * sigma) for d, sigma in zip(commitments, self.sigmas, strict=True)),
            public,
        )


@pytest.fixture(scope="session")
def toy() -> ToyKey:
    draw = random.Random(20261123).randrange
    return ToyKey(
        *(draw(2, R) for _ in range(4)),
        ic=tuple(draw(2, R) for _ in range(6)),
        base=draw(2, R),
        sigmas=tuple(draw(2, R) for _ in range(3)),
    )


@pytest.fixture(scope="session")
def points() -> tuple[object, object]:
    return g1, g2


@pytest.fixture(scope="session")
def vectors() -> Path:
    return ZK_VECTORS


@pytest.fixture(scope="session", autouse=True)
def remembered_pairings() -> Iterator[None]:
    """Each pairing is computed once: damaged proofs share most of theirs with the good one.

    Points are compared by their text, which has every coordinate.
    """
    known: dict[str, object] = {}

    def remembered(first: object, second: object) -> object:
        name = f"{first} {second}"
        if name not in known:
            known[name] = unreduced(first, second)
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "unreduced", remembered)
        yield


@pytest.fixture(scope="session")
def key_cache() -> Path:
    """Development keys are made once and shared between test runs."""
    return cache_folder() / "keys"


@pytest.fixture(scope="session")
def epoch_key(prover: ZkProver, key_cache: Path) -> KeyFolder:
    return ensure_keys(prover, key_cache, "epoch", 256)


@pytest.fixture(scope="session")
def tree_key(prover: ZkProver, key_cache: Path) -> KeyFolder:
    return ensure_keys(prover, key_cache, "tree", 256, 5)


@pytest.fixture(scope="module")
def key(epoch_key: KeyFolder) -> KeyFolder:
    return epoch_key


@pytest.fixture
def child(prover: ZkProver) -> Iterator[ChildServer]:
    with ChildServer(prover.binary, workers=2) as server:
        yield server
