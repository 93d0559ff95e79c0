"""Typed client of `zkprover`, the Go program that makes keys, commitments and proofs.

A call starts a child of its own (`provenance_zk.prover.child`) or asks a server, which reads each
key only once (`provenance_zk.prover.server`). Secrets (salts, blindings, records) reach the prover
only in private files that are removed afterwards (`provenance_zk.prover.request`), never as
arguments.

Source: docs/formats/prover.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.errors import InputError, UnavailableError
from provenance.ids import KeyId, to_hex
from provenance.progress import Say
from provenance_zk.field import parse_element
from provenance_zk.proof_file import ProofFile, point_from_json
from provenance_zk.prover.child import Child, find_binary
from provenance_zk.prover.request import (
    PrivateFolder,
    blindings_bytes,
    leaf_bytes,
    order_bytes,
    private_folder,
)
from provenance_zk.prover.server import Requests, Server

__all__ = [
    "DEFAULT_TIMEOUT_S",
    "Commitments",
    "KeyInfo",
    "Question",
    "VerifierAnswer",
    "ZkProver",
    "find_binary",
]

DEFAULT_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class KeyInfo:
    """Facts of a key folder.

    `klass` is `dev` when one party ran the setup, and could therefore forge proofs.
    """

    dir: Path
    kind: str
    slots: int
    depth: int
    vk_id: KeyId
    circuit: str
    klass: str
    constraints: int


@dataclass(frozen=True)
class Commitments:
    """One 64-byte point per chunk, and the proof of knowledge of each.

    `poks` is empty where points were recomputed from public bases.
    """

    points: tuple[bytes, ...]
    poks: tuple[bytes, ...]
    slots: int
    vk_id: KeyId


@dataclass(frozen=True)
class VerifierAnswer:
    """What the prover's verifier says of one proof; `reason` is empty for a good one."""

    ok: bool
    reason: str


@dataclass(frozen=True)
class Question:
    """A digest, and its place among a dataset's leaves. A proof reveals the digest only.

    Attributes:
        leaves: (N, 32) uint8, or their bytes.
        depth: of the tree over the leaves.
        digest: 32 bytes.
        position: of the digest's leaf; for an absent digest the number of smaller digests.
    """

    leaves: np.ndarray | bytes
    depth: int
    digest: bytes
    position: int

    def fields(self, folder: PrivateFolder, key: Path) -> dict[str, Any]:
        """Fields of a request about the digest; writes the leaves to `folder`."""
        data = leaf_bytes(self.leaves)
        return {
            "key": str(key),
            "leaves": folder.write("leaves", data),
            "count": len(data) // 32,
            "depth": self.depth,
            "digest": to_hex(self.digest),
            "position": self.position,
            "out": folder.out("proof"),
        }


class ZkProver:
    """Runs the prover.

    Every method raises UnavailableError when the program cannot run, is killed or takes too long,
    InputError when it refuses a request, a file or a key, and RejectedError when the statement is
    false.

    Args:
        binary: see `find_binary`.
        progress: gets each progress line of the prover.
        timeout_s: limit of one call.
        server: where requests go; None for a child per request. Setups and ceremonies always run in
            a child, since a server cannot predict how much memory they need.
    """

    def __init__(
        self,
        binary: Path,
        *,
        progress: Say | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        server: Server | None = None,
    ) -> None:
        self.binary = binary
        self.server = server
        self._say = progress
        self._child = Child(binary, timeout_s)
        self._requests = Requests(server, timeout_s) if server is not None else None

    def request(
        self, command: str, request: Mapping[str, Any], say: Say | None = None
    ) -> dict[str, Any]:
        """Run any command; returns its result. The request names the files to read and write.

        Args:
            say: gets the progress lines of this command instead of `progress`.
        """
        lines = say or self._say
        if self._requests is None or command == "setup" or command.startswith("ceremony-"):
            return self._child.call(command, request, lines)
        return self._requests.call(command, request, lines)

    def interrupt(self) -> None:
        """Make requests of other threads to a server fail with UnavailableError."""
        if self._requests is not None:
            self._requests.interrupt()

    # --- keys ------------------------------------------------------------------------------------

    def setup(self, kind: str, slots: int, depth: int, cache: Path) -> KeyInfo:
        """Find the development key of a circuit in `cache`, or make it.

        Making takes 40 s for 2^18 constraints on two cores.
        """
        result = self.request(
            "setup", {"kind": kind, "slots": slots, "depth": depth, "cache": str(cache)}
        )
        return KeyInfo(
            Path(result["key"]),
            result["kind"],
            result["slots"],
            result["depth"],
            KeyId.parse(result["vkId"]),
            result["circuitDigest"],
            result["class"],
            result["constraints"],
        )

    def ceremony(self, step: str, **request: Any) -> dict[str, Any]:
        """One step of a ceremony: begin, contribute, accept, seal or verify.

        Source: docs/formats/ceremony.md.
        """
        fields = {n: str(v) if isinstance(v, Path) else v for n, v in request.items()}
        return self.request(f"ceremony-{step}", fields)

    # --- dataset ---------------------------------------------------------------------------------

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        """As `TreeBuilder.dataset` of `provenance_zk.training.commitments`."""
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
        """Root over leaves (N, 32): the fast root function of `CommittedDataset.check`."""
        with private_folder() as folder:
            result = self.request(
                "leaf-root", {"leaves": folder.write("leaves", leaf_bytes(leaves)), "depth": depth}
            )
            return parse_element(result["root"], "root")

    # --- commitments -----------------------------------------------------------------------------

    def commit_values(
        self, key: Path, vector: str, values: np.ndarray | bytes, blindings: Sequence[int]
    ) -> Commitments:
        """Commit to D or U, with proofs of knowledge.

        Args:
            vector: `D` or `U`.
            values: (N, 32) uint8; for D the leaves, for U the leaves in the order they were fed.
            blindings: one secret blinding per chunk.
        """
        if vector not in ("D", "U"):
            raise InputError("values are committed as D or U", actual=vector)
        data, secret = leaf_bytes(values), blindings_bytes(**{vector.lower(): blindings})
        with private_folder() as folder:
            request = {
                "key": str(key),
                "vector": vector,
                "values": folder.write("values", data),
                "count": len(data) // 32,
                "blindings": folder.write("blindings", secret),
            }
            return _commitments(self.request("commit", request))

    def commit_order(self, key: Path, order: np.ndarray | Sequence[int]) -> Commitments:
        """Commit to the positions P of an order a[h], shape (N,), with proofs of knowledge."""
        return self._commit_order({"key": str(key)}, order)

    def recompute_order(
        self, words: Path, bases: Path, order: np.ndarray | Sequence[int]
    ) -> Commitments:
        """Recompute P from the order alone, as a verifier does; without proofs of knowledge.

        Args:
            words: file of the verifying key, which pins the hash of the bases.
            bases: file of the bases of P.
            order: a[h], shape (N,).
        """
        return self._commit_order({"words": str(words), "bases": str(bases)}, order)

    def _commit_order(
        self, key: Mapping[str, Any], order: np.ndarray | Sequence[int]
    ) -> Commitments:
        with private_folder() as folder:
            path = folder.write("order", order_bytes(order))
            request = {**key, "vector": "P", "order": path, "count": len(order)}
            return _commitments(self.request("commit", request))

    # --- audits of a dataset ---------------------------------------------------------------------

    def prove_sorted(
        self, key: Path, digests: bytes, salts: bytes, depth: int, chunks: Sequence[int]
    ) -> list[ProofFile]:
        """One `sorted` proof for each chunk.

        Args:
            digests: of all records, as `dataset` takes them.
            salts: as `digests`.
            chunks: numbers of the chunks.
        """
        if not chunks:
            raise InputError("no chunks to prove")
        with private_folder() as folder:
            request = {
                "key": str(key),
                "digests": folder.write("digests", digests),
                "salts": folder.write("salts", salts),
                "count": len(digests) // 32,
                "depth": depth,
                "jobs": [{"k": k, "out": folder.out(f"proof-{k}")} for k in chunks],
            }
            self.request("prove-sorted", request)
            return [ProofFile.parse(folder.read(f"proof-{k}")) for k in chunks]

    def prove_member(self, key: Path, question: Question, salt: bytes) -> ProofFile:
        """A `member` proof of the record with this digest and salt."""
        with private_folder() as folder:
            request = {**question.fields(folder, key), "salt": folder.write("salt", salt)}
            self.request("prove-member", request)
            return ProofFile.parse(folder.read("proof"))

    def prove_absent(
        self,
        key: Path,
        question: Question,
        below: tuple[bytes, bytes] | None,
        above: tuple[bytes, bytes] | None,
    ) -> ProofFile:
        """An `absent` proof of a digest between two records.

        Args:
            question: the digest, and the number of smaller digests as its position.
            below: (digest, salt) of the record before the position; None at position 0.
            above: (digest, salt) of the record at the position; None behind the last record.
        """
        sides = [side for side in (below, above) if side is not None]
        neighbours = b"".join(digest + salt for digest, salt in sides)
        with private_folder() as folder:
            path = folder.write("neighbours", neighbours)
            self.request("prove-absent", {**question.fields(folder, key), "neighbours": path})
            return ProofFile.parse(folder.read("proof"))

    # --- verification ----------------------------------------------------------------------------

    def verify(self, words: Path, proofs: Sequence[ProofFile], mask: int) -> list[VerifierAnswer]:
        """What the prover's verifier says of each proof (attacker-controlled).

        A malformed proof does not raise; its answer says that it does not hold.

        Args:
            words: file of the verifying key.
            mask: bit i asks for the proof of knowledge of commitment i.

        Raises:
            InputError: no proofs.
        """
        with private_folder() as folder:
            paths = [folder.write(f"proof-{i}", proof.to_bytes()) for i, proof in enumerate(proofs)]
            result = self.request("verify", {"words": str(words), "proofs": paths, "mask": mask})
        answers = [VerifierAnswer(r["ok"] is True, r.get("reason", "")) for r in result["results"]]
        all_hold = all(answer.ok for answer in answers)
        if len(answers) != len(proofs) or result["ok"] is not all_hold:
            raise UnavailableError("prover contradicts itself", where="verify")
        return answers


def _commitments(result: Mapping[str, Any]) -> Commitments:
    points = tuple(point_from_json(point, "point") for point in result["points"])
    poks = tuple(point_from_json(point, "pok") for point in result.get("poks") or ())
    return Commitments(points, poks, result["slots"], KeyId.parse(result["vkId"]))
