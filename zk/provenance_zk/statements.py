"""What the statements are about: vectors, challenges, products and the proof file, in plain
integers.

Everything a verifier recomputes outside the circuits stands here once, slowly and obviously; the
prover has its own copy in Go and the contracts theirs in Solidity, and all three read the same
vectors.

Notation: N = count, n = slots of the key, m = ceil(N/n) chunks, L_g = leaf g, a = order of the
epoch (position h feeds leaf a[h]), g = c*n + i, h = c*n + j.

Source: docs/formats/proofs.md ("Public inputs", "Challenge preimages", "Order of an epoch",
"Accumulators").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance.ids import KeyId
from provenance.statements import MAX_RECORDS
from provenance_zk.field import R, parse_word, to_word
from provenance_zk.kinds import KINDS, public_names

EPOCH_MASK = 0b110  # knowledge of U and P; D passed its check at registration
LINK_MASK = 0b000  # U is infinity, P is computed by the ledger, D passed at registration
FULL_MASK = 0b111

PROOF_FORMAT = "provenance-proof/1"
_PROOF_FIELDS = ("format", "kind", "vkId", "a", "b", "c", "commitments", "poks", "public")
_MAX_PROOF_BYTES = 1 << 16


def tag(name: str) -> bytes:
    """`keccak256("provenance/v1/" || name)`, for link, dataset, epoch, seed and draw."""
    return bytes(keccak(text=f"provenance/v1/{name}"))


def _hash(types: Sequence[str], values: Sequence[Any]) -> bytes:
    return bytes(keccak(encode(types, values)))


def points_hash(points: Iterable[bytes]) -> bytes:
    """keccak256 of "all X_c": 64-byte points in chunk order, infinity as zeros.

    Raises:
        InputError: a point of another length.
    """
    parts = list(points)
    if any(len(point) != 64 for point in parts):
        raise InputError("a G1 point has 64 bytes")
    return bytes(keccak(b"".join(parts)))


def chunk_count(count: int, slots: int) -> int:
    """m = ceil(N/n).

    Raises:
        InputError: count outside 1..16^6, or no slots.
    """
    if not 1 <= count <= MAX_RECORDS or slots < 1:
        raise InputError(
            "no such statement",
            expected=f"1..{MAX_RECORDS} records, slots >= 1",
            actual=f"{count}, {slots}",
        )
    return -(-count // slots)


@dataclass(frozen=True)
class Registration:
    """What names a dataset's registration with one pair of keys; addresses are 20 bytes, ids 32."""

    chain_id: int
    ledger: bytes
    owner: bytes
    epoch_key: bytes
    tree_key: bytes
    root: int
    depth: int
    count: int
    slots: int
    d_hash: bytes

    @property
    def link_seed(self) -> bytes:
        return _hash(
            ["bytes32", "uint256", "address", "address", "bytes32", "bytes32"]
            + ["uint256"] * 5
            + ["bytes32"],
            [
                tag("link"),
                self.chain_id,
                self.ledger,
                self.owner,
                self.epoch_key,
                self.tree_key,
                self.root,
                self.depth,
                self.count,
                self.slots,
                chunk_count(self.count, self.slots),
                self.d_hash,
            ],
        )

    @property
    def dataset_id(self) -> bytes:
        return dataset_id(self.link_seed)


def dataset_id(link_seed: bytes) -> bytes:
    """Name of a registration, as the ledger computes it from the seed of its link."""
    return _hash(["bytes32", "bytes32"], [tag("dataset"), link_seed])


def run_seed(
    chain_id: int,
    registry: bytes,
    run_id: bytes,
    preregistration: bytes,
    dataset: bytes,
    block_hash: bytes,
) -> bytes:
    """Seed of a run:

    `block_hash` is the hash of block h+K, which nobody knew at pre-registration.
    """
    return _hash(
        ["bytes32", "uint256", "address", "bytes32", "bytes32", "bytes32", "bytes32"],
        [tag("seed"), chain_id, registry, run_id, preregistration, dataset, block_hash],
    )


@dataclass(frozen=True)
class EpochAnchor:
    """What an anchored epoch binds before its challenge exists (order of the fields = order of the
    preimage).
    """

    chain_id: int
    ledger: bytes
    registry: bytes
    epoch_key: bytes
    dataset_id: bytes
    run_id: bytes
    run_seed: bytes
    epoch: int
    number: int
    count: int
    consumed: int
    slots: int
    log_size: int
    log_root: bytes
    d_hash: bytes
    u_hash: bytes
    p_hash: bytes

    @property
    def seed(self) -> bytes:
        return _hash(
            ["bytes32", "uint256", "address", "address"]
            + ["bytes32"] * 4
            + ["uint256"] * 7
            + ["bytes32"] * 4,
            [
                tag("epoch"),
                self.chain_id,
                self.ledger,
                self.registry,
                self.epoch_key,
                self.dataset_id,
                self.run_id,
                self.run_seed,
                self.epoch,
                self.number,
                self.count,
                self.consumed,
                self.slots,
                chunk_count(self.count, self.slots),
                self.log_size,
                self.log_root,
                self.d_hash,
                self.u_hash,
                self.p_hash,
            ],
        )


def challenges(seed: bytes) -> tuple[int, int]:
    """(gamma, delta): two separately indexed hashes of the seed, reduced modulo r."""
    first, second = (
        int.from_bytes(_hash(["bytes32", "uint256"], [seed, i]), "big") % R for i in (0, 1)
    )
    return first, second


def inverse(order: Sequence[int]) -> list[int]:
    """pi of a: `pi[a[h]] = h`."""
    pi = [0] * len(order)
    for h, leaf in enumerate(order):
        pi[leaf] = h
    return pi


def leaves_to_ints(leaves: np.ndarray) -> list[int]:
    """(N, 32) uint8, big-endian, to integers."""
    data = np.ascontiguousarray(leaves).tobytes()
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def d_vector(leaves: Sequence[int], chunk: int, slots: int) -> list[int]:
    """D_c: leaf g, 0 from N on."""
    window = list(leaves[chunk * slots : (chunk + 1) * slots])
    return window + [0] * (slots - len(window))


def p_vector(pi: Sequence[int], chunk: int, slots: int) -> list[int]:
    """P_c: the position that leaf g is fed at, g itself from N on.

    With `pi` empty it is the P of a link.
    """
    return [pi[g] if g < len(pi) else g for g in range(chunk * slots, (chunk + 1) * slots)]


def u_vector(leaves: Sequence[int], order: Sequence[int], chunk: int, slots: int) -> list[int]:
    """U_c: the leaf fed at position h, 0 from N on."""
    fed = [leaves[leaf] for leaf in order[chunk * slots : (chunk + 1) * slots]]
    return fed + [0] * (slots - len(fed))


def product_at(gamma: int, delta: int, values: Sequence[int], positions: Sequence[int]) -> int:
    """`prod_i(gamma + values[i] + delta*positions[i]) mod r`: a_c of (D_c, P_c)."""
    product = 1
    for value, position in zip(values, positions, strict=True):
        product = product * (gamma + value + delta * position) % R
    return product


def product_from(gamma: int, delta: int, values: Sequence[int], start: int) -> int:
    """`prod_j(gamma + values[j] + delta*(start+j)) mod r`: b_c of U_c, t_k of the used leaves of a
    tree chunk.
    """
    product, shift = 1, (gamma + delta * start) % R
    for value in values:
        product = product * (shift + value) % R
        shift += delta
    return product


def used_leaves(count: int, k: int, chunk_leaves: int) -> int:
    """`clamp(N - s*k, 0, s)`: leaves in tree chunk k of s leaves."""
    return max(0, min(count - chunk_leaves * k, chunk_leaves))


def tree_products(
    gamma: int, delta: int, leaves: Sequence[int], k: int, chunk_leaves: int
) -> tuple[int, int]:
    """(t_k, z_k) of tree chunk k."""
    start = k * chunk_leaves
    used = leaves[start : start + chunk_leaves]
    return product_from(gamma, delta, used, start), product_from(
        gamma, delta, [0] * len(used), start
    )


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `parse_json`: an object that names a field twice is refused with an InputError."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InputError(
            "JSON object names a field twice", actual=", ".join(name for name, _ in pairs)[:80]
        )
    return value


def _words(value: Any, count: int | None, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise InputError(
            "not a list of words",
            where=where,
            expected=count,
            actual=len(value) if isinstance(value, list) else type(value).__name__,
        )
    return tuple(parse_word(word, f"{where}[{i}]") for i, word in enumerate(value))


def _points(value: Any, count: int, where: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list) or len(value) != count:
        raise InputError(
            "not a list of points",
            where=where,
            expected=count,
            actual=len(value) if isinstance(value, list) else type(value).__name__,
        )
    points = [_words(point, 2, f"{where}[{i}]") for i, point in enumerate(value)]
    return tuple((x, y) for x, y in points)


def point_bytes(point: Sequence[int]) -> bytes:
    """(x, y) as 64 bytes; infinity is (0, 0).

    Raises:
        InputError: a coordinate that is no word.
    """
    x, y = point
    if not (0 <= x < 2**256 and 0 <= y < 2**256):
        raise InputError("not a point", expected="two words")
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def point_ints(data: bytes) -> tuple[int, int]:
    """64 bytes as (x, y); the inverse of `point_bytes`.

    Raises:
        InputError: another length.
    """
    if len(data) != 64:
        raise InputError("a G1 point has 64 bytes", actual=len(data))
    return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")


def point_from_json(value: Any, where: str = "point") -> bytes:
    """`["0x..", "0x.."]` as 64 bytes. Raises InputError when it is anything else."""
    return point_bytes(_words(value, 2, where))


@dataclass(frozen=True)
class ProofFile:
    """One proof as its JSON file has it: integers below 2^256, not yet checked against any field or
    curve.

    `b` is in EIP-197 order (x1, x0, y1, y0). Law: `ProofFile.parse(p.to_bytes()) == p`.
    """

    kind: str
    vk_id: KeyId
    a: tuple[int, int]
    b: tuple[int, int, int, int]
    c: tuple[int, int]
    commitments: tuple[tuple[int, int], ...]
    poks: tuple[tuple[int, int], ...]
    public: tuple[int, ...]

    @classmethod
    def parse(cls, data: bytes | str) -> ProofFile:
        """Read a proof file (attacker-controlled).

        Raises:
            InputError: not JSON, unknown, missing or repeated fields, wrong lengths, hex that is
                not canonical.
        """
        if len(data) > _MAX_PROOF_BYTES:
            raise InputError(
                "proof file is too large", expected=f"<= {_MAX_PROOF_BYTES} bytes", actual=len(data)
            )
        try:
            value = parse_json(data.encode() if isinstance(data, str) else data, unique_fields)
        except ValueError as error:
            raise InputError("proof is not JSON", actual=error) from error
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: Any) -> ProofFile:
        """`parse` for JSON that was read already; raises as it does."""
        if not isinstance(value, dict) or set(value) != set(_PROOF_FIELDS):
            found = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise InputError(
                "proof has other fields", expected=", ".join(_PROOF_FIELDS), actual=str(found)[:200]
            )
        if value["format"] != PROOF_FORMAT:
            raise InputError(
                "proof has another format", expected=PROOF_FORMAT, actual=repr(value["format"])[:40]
            )
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            raise InputError(
                "unknown kind of proof", expected=", ".join(KINDS), actual=repr(kind)[:40]
            )
        commitments = len(KINDS[kind].commitments)
        a0, a1 = _words(value["a"], 2, "a")
        b0, b1, b2, b3 = _words(value["b"], 4, "b")
        c0, c1 = _words(value["c"], 2, "c")
        public = _words(value["public"], None, "public")
        public_names(kind, len(public))
        return cls(
            kind,
            KeyId(parse_word(value["vkId"], "vkId").to_bytes(32, "big")),
            (a0, a1),
            (b0, b1, b2, b3),
            (c0, c1),
            _points(value["commitments"], commitments, "commitments"),
            _points(value["poks"], commitments, "poks"),
            public,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "format": PROOF_FORMAT,
            "kind": self.kind,
            "vkId": f"0x{self.vk_id.hex()}",
            "a": [to_word(x) for x in self.a],
            "b": [to_word(x) for x in self.b],
            "c": [to_word(x) for x in self.c],
            "commitments": [[to_word(x) for x in point] for point in self.commitments],
            "poks": [[to_word(x) for x in point] for point in self.poks],
            "public": [to_word(x) for x in self.public],
        }

    def to_bytes(self) -> bytes:
        return json.dumps(self.to_json(), separators=(",", ":")).encode("ascii")

    def public_value(self, name: str) -> int:
        """A public input by the name it has in `KINDS`.

        Raises:
            InputError: this kind of proof has no such input.
        """
        names = public_names(self.kind, len(self.public))
        if name not in names:
            raise InputError(
                "no such public input", where=self.kind, expected=", ".join(names), actual=name
            )
        return self.public[names.index(name)]
