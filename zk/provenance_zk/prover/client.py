"""Typed client of `zkprover`, the Go program that makes keys, commitments and proofs.

Each call starts one child (`provenance_zk.prover.child`), or with a server asks that, which reads
each key once (`provenance_zk.prover.server`). Secrets (salts, blindings, records) reach the prover
only in private files that are removed afterwards (`provenance_zk.prover.request`), never as
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.errors import InputError, UnavailableError
from provenance_zk.field import parse_element
from provenance_zk.prover.child import Child, find_binary
from provenance_zk.prover.request import (
    PrivateFolder,
    blindings_bytes,
    challenge_fields,
    leaf_bytes,
    order_bytes,
    private_folder,
    used_bytes,
)
from provenance_zk.prover.server import Requests, Server
from provenance_zk.statements import ProofFile, point_from_json

__all__ = ["DEFAULT_TIMEOUT_S", "Commitments", "KeyInfo", "Verdict", "ZkProver", "find_binary"]

DEFAULT_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class KeyInfo:
    """Facts of a key folder.

    `klass` is `dev` when one party ran the setup and could forge proofs.
    """

    dir: Path
    kind: str
    slots: int
    depth: int
    vk_id: bytes
    circuit: str
    klass: str
    constraints: int
    reused: bool


@dataclass(frozen=True)
class Commitments:
    """One 64-byte point per chunk, and the proof of knowledge of each (empty when recomputed from
    public bases).
    """

    points: tuple[bytes, ...]
    poks: tuple[bytes, ...]
    slots: int
    vk_id: bytes


@dataclass(frozen=True)
class Verdict:
    """What gnark says of one proof; `reason` tells why it is not valid."""

    ok: bool
    reason: str


class ZkProver:
    """Runs the prover.

    Every method raises UnavailableError when the program cannot run, is killed or takes too long,
    InputError for requests, files and keys it refuses, RejectedError when the statement is false.

    Args:
        binary: see `find_binary`.
        progress: gets each progress line of the child.
        timeout_s: limit of one call.
        server: where requests go, but for setups and ceremonies, which take more memory than a
            server can predict.
    """

    def __init__(
        self,
        binary: Path,
        *,
        progress: Callable[[str], None] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        server: Server | None = None,
    ) -> None:
        self.binary = binary
        self.server = server
        self._progress = progress
        self._child = Child(binary, timeout_s)
        self._requests = Requests(server, timeout_s) if server is not None else None

    def request(
        self,
        command: str,
        request: Mapping[str, Any],
        progress: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Result of any command; what files it reads and writes is the caller's.

        Args:
            progress: gets its lines in the place of the prover's own.
        """
        lines = progress or self._progress
        if self._requests is None or command == "setup" or command.startswith("ceremony-"):
            return self._child.call(command, request, lines)
        return self._requests.call(command, request, lines)

    def interrupt(self) -> None:
        """Let requests to a server that are under way in other threads fail as if it had gone."""
        if self._requests is not None:
            self._requests.interrupt()

    # keys

    def setup(self, kind: str, slots: int, depth: int, cache: Path) -> KeyInfo:
        """Find the development key of a circuit in `cache`, or make it (40 s for 2^18 constraints
        on two cores).
        """
        result = self.request(
            "setup", {"kind": kind, "slots": slots, "depth": depth, "cache": str(cache)}
        )
        return KeyInfo(
            Path(result["key"]),
            result["kind"],
            result["slots"],
            result["depth"],
            _word(result["vkId"]),
            result["circuitDigest"],
            result["class"],
            result["constraints"],
            result["reused"],
        )

    def inspect(self, words: Path) -> dict[str, Any]:
        """Header of a verifying key after it passed every check of a loader."""
        return self.request("inspect", {"words": str(words)})

    # ceremony

    def ceremony(self, step: str, **request: Any) -> dict[str, Any]:
        """One step of a ceremony: begin, contribute, accept, seal or verify
        (docs/formats/ceremony.md).
        """
        return self.request(
            f"ceremony-{step}",
            {
                name: str(value) if isinstance(value, Path) else value
                for name, value in request.items()
            },
        )

    # dataset

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        """(leaves, root) of count*32 bytes of digests in strictly increasing order and count*31
        bytes of salts.
        """
        with private_folder() as folder:
            request = {
                "digests": folder.write("digests", digests),
                "salts": folder.write("salts", salts),
                "leaves_out": folder.out("leaves"),
                "depth": depth,
            }
            result = self.request("dataset", request)
            return folder.read("leaves"), parse_element(result["root"], "root")

    def leaf_root(self, leaves: np.ndarray | bytes, depth: int) -> int:
        """Root over leaves: the fast root function of `CommittedDataset.check`."""
        with private_folder() as folder:
            result = self.request(
                "leaf-root", {"leaves": folder.write("leaves", leaf_bytes(leaves)), "depth": depth}
            )
            return parse_element(result["root"], "root")

    def order(self, seed: bytes, epoch: int, count: int) -> np.ndarray:
        """`provenance.order.epoch_order`, faster. Shape (count,), uint64."""
        with private_folder() as folder:
            self.request(
                "order",
                {
                    "seed": f"0x{seed.hex()}",
                    "epoch": epoch,
                    "count": count,
                    "out": folder.out("order"),
                },
            )
            return np.frombuffer(folder.read("order"), dtype=">u8").astype(np.uint64)

    # commitments

    def commit_values(
        self, key: Path, vector: str, values: np.ndarray | bytes, blindings: Sequence[int]
    ) -> Commitments:
        """Commit to D (values are the leaves) or U (the leaves in fed order), one secret blinding
        per chunk.
        """
        if vector not in ("D", "U"):
            raise InputError("values are committed as D or U", actual=vector)
        data = leaf_bytes(values)
        with private_folder() as folder:
            return _commitments(
                self.request(
                    "commit",
                    {
                        "key": str(key),
                        "vector": vector,
                        "values": folder.write("values", data),
                        "count": len(data) // 32,
                        "blindings": folder.write(
                            "blindings", blindings_bytes(**{vector.lower(): blindings})
                        ),
                    },
                )
            )

    def commit_order(self, key: Path, order: np.ndarray | Sequence[int]) -> Commitments:
        """Commit to P, with proofs of knowledge."""
        with private_folder() as folder:
            return _commitments(
                self.request(
                    "commit",
                    {
                        "key": str(key),
                        "vector": "P",
                        "order": folder.write("order", order_bytes(order)),
                        "count": len(order),
                    },
                )
            )

    def recompute_order(
        self, words: Path, bases: Path, order: np.ndarray | Sequence[int]
    ) -> Commitments:
        """What a verifier does: P from the order alone, over bases held against the key.

        No proofs of knowledge.
        """
        with private_folder() as folder:
            return _commitments(
                self.request(
                    "commit",
                    {
                        "words": str(words),
                        "bases": str(bases),
                        "vector": "P",
                        "count": len(order),
                        "order": folder.write("order", order_bytes(order)),
                    },
                )
            )

    # proofs

    def prove_tree(
        self,
        key: Path,
        leaves: np.ndarray | bytes,
        depth: int,
        chunks: Sequence[int],
        challenge: tuple[int, int],
    ) -> list[ProofFile]:
        """One `tree` proof for each tree chunk number of `chunks`; challenge is (gamma, delta)."""
        data = leaf_bytes(leaves)
        with private_folder() as folder:
            shared = {
                "key": str(key),
                "leaves": folder.write("leaves", data),
                "count": len(data) // 32,
                "depth": depth,
                **challenge_fields(challenge),
            }
            return self._prove("prove-tree", folder, shared, "k", chunks)

    def prove_link(
        self,
        key: Path,
        leaves: np.ndarray | bytes,
        d_blindings: Sequence[int],
        chunks: Sequence[int],
        challenge: tuple[int, int],
    ) -> list[ProofFile]:
        """One link proof (an `epoch` proof in leaf order with U at infinity) for each of
        `chunks`.
        """
        data = leaf_bytes(leaves)
        with private_folder() as folder:
            shared = {
                "key": str(key),
                "leaves": folder.write("leaves", data),
                "count": len(data) // 32,
                "blindings": folder.write("blindings", blindings_bytes(d=d_blindings)),
                **challenge_fields(challenge),
            }
            return self._prove("prove-link", folder, shared, "chunk", chunks)

    def prove_epoch(
        self,
        key: Path,
        leaves: np.ndarray,
        order: np.ndarray | Sequence[int],
        blindings: tuple[Sequence[int], Sequence[int]],
        chunks: Sequence[int],
        challenge: tuple[int, int],
    ) -> list[ProofFile]:
        """One `epoch` proof for each of `chunks`;

        `blindings` are those of D and of U, one per chunk of the epoch.
        """
        used = used_bytes(leaves, order)
        with private_folder() as folder:
            shared = {
                "key": str(key),
                "leaves": folder.write("leaves", leaf_bytes(leaves)),
                "used": folder.write("used", used),
                "order": folder.write("order", order_bytes(order)),
                "count": len(leaves),
                "blindings": folder.write(
                    "blindings", blindings_bytes(d=blindings[0], u=blindings[1])
                ),
                **challenge_fields(challenge),
            }
            return self._prove("prove-epoch", folder, shared, "chunk", chunks)

    # audits of a dataset

    def prove_sorted(
        self, key: Path, digests: bytes, salts: bytes, depth: int, chunks: Sequence[int]
    ) -> list[ProofFile]:
        """One `sorted` proof for each chunk number of `chunks`; digests and salts of all records as
        for `dataset`.
        """
        with private_folder() as folder:
            shared = {
                "key": str(key),
                "digests": folder.write("digests", digests),
                "salts": folder.write("salts", salts),
                "count": len(digests) // 32,
                "depth": depth,
            }
            return self._prove("prove-sorted", folder, shared, "k", chunks)

    def prove_member(
        self,
        key: Path,
        leaves: np.ndarray | bytes,
        position: int,
        digest: bytes,
        salt: bytes,
        depth: int,
    ) -> ProofFile:
        """A `member` proof for the record at `position`, which the proof does not tell."""
        with private_folder() as folder:
            request = _question(folder, key, leaves, position, digest, depth)
            self.request("prove-member", {**request, "salt": folder.write("salt", salt)})
            return ProofFile.parse(folder.read("proof"))

    def prove_absent(
        self,
        key: Path,
        leaves: np.ndarray | bytes,
        position: int,
        digest: bytes,
        below: tuple[bytes, bytes] | None,
        above: tuple[bytes, bytes] | None,
        depth: int,
    ) -> ProofFile:
        """An `absent` proof for a digest between two records, which the proof does not tell.

        Args:
            position: number of records with a smaller digest.
            below: (digest, salt) of the record before the position; None at position 0.
            above: (digest, salt) of the record at the position; None behind the last record.
        """
        neighbours = b"".join(
            digest + salt for digest, salt in (side for side in (below, above) if side is not None)
        )
        with private_folder() as folder:
            request = _question(folder, key, leaves, position, digest, depth)
            self.request(
                "prove-absent", {**request, "neighbours": folder.write("neighbours", neighbours)}
            )
            return ProofFile.parse(folder.read("proof"))

    # verdicts

    def verify(self, words: Path, proofs: Sequence[ProofFile], mask: int) -> list[Verdict]:
        """What the prover's verifier says of each proof; malformed ones are false.

        Never an empty list.
        """
        with private_folder() as folder:
            paths = [folder.write(f"proof-{i}", proof.to_bytes()) for i, proof in enumerate(proofs)]
            result = self.request("verify", {"words": str(words), "proofs": paths, "mask": mask})
        verdicts = [
            Verdict(entry["ok"] is True, entry.get("reason", "")) for entry in result["results"]
        ]
        if len(verdicts) != len(proofs) or result["ok"] is not all(
            verdict.ok for verdict in verdicts
        ):
            raise UnavailableError("prover contradicts itself", where="verify")
        return verdicts

    def products(
        self,
        challenge: tuple[int, int],
        count: int,
        *,
        leaves: np.ndarray | bytes | None = None,
        used: np.ndarray | bytes | None = None,
        order: np.ndarray | None = None,
        slots: int = 0,
        tree_slots: int = 0,
    ) -> dict[str, list[int]]:
        """Accumulators per chunk: `a` of leaves and order, `b` of used leaves, `t` and `z` of tree
        chunks.
        """
        with private_folder() as folder:
            request: dict[str, Any] = {
                "count": count,
                "slots": slots,
                "treeSlots": tree_slots,
                **challenge_fields(challenge),
            }
            for name, data in (("leaves", leaves), ("used", used)):
                if data is not None:
                    request[name] = folder.write(name, leaf_bytes(data))
            if order is not None:
                request["order"] = folder.write("order", order_bytes(order))
            result = self.request("products", request)
        return {
            name: [parse_element(word, name) for word in words] for name, words in result.items()
        }

    def _prove(
        self,
        command: str,
        folder: PrivateFolder,
        shared: Mapping[str, Any],
        name: str,
        chunks: Sequence[int],
    ) -> list[ProofFile]:
        jobs = [{name: chunk, "out": folder.out(f"proof-{chunk}")} for chunk in chunks]
        if not jobs:
            raise InputError("no chunks to prove")
        self.request(command, {**shared, "jobs": jobs})
        return [ProofFile.parse(folder.read(f"proof-{chunk}")) for chunk in chunks]


def _question(
    folder: PrivateFolder,
    key: Path,
    leaves: np.ndarray | bytes,
    position: int,
    digest: bytes,
    depth: int,
) -> dict[str, Any]:
    """What requests about one digest share."""
    data = leaf_bytes(leaves)
    return {
        "key": str(key),
        "leaves": folder.write("leaves", data),
        "count": len(data) // 32,
        "depth": depth,
        "digest": f"0x{digest.hex()}",
        "position": position,
        "out": folder.out("proof"),
    }


def _word(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _commitments(result: Mapping[str, Any]) -> Commitments:
    points = tuple(point_from_json(point, "point") for point in result["points"])
    poks = tuple(point_from_json(point, "pok") for point in result.get("poks") or ())
    return Commitments(points, poks, result["slots"], _word(result["vkId"]))
