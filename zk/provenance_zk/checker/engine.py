"""Engines that check proofs and recompute commitments: `zkprover`, or plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.artifacts.memo import Memo
from provenance.artifacts.tensors import Tensor
from provenance.errors import NotFound, RejectedError, VerificationError
from provenance.verify.protocols import CommittedTensors
from provenance_zk.groth16.bases import parse_position_bases
from provenance_zk.groth16.key import parse_key
from provenance_zk.groth16.multiples import Point, sum_of_multiples
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.proof_file import ProofFile, point_bytes
from provenance_zk.prover.client import ZkProver
from provenance_zk.statements import chunk_count, inverse, p_vector
from provenance_zk.weights.kept import commit_kept
from provenance_zk.weights.stages import commit_tensors


class Engine(Protocol):
    """Checks proofs and recomputes commitments. Arguments are attacker-controlled.

    Every method raises InputError if a key, proof or file is malformed, and UnavailableError if
    `zkprover` cannot run.
    """

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]:
        """Whether each proof holds.

        Args:
            words: bytes of the verifying key.
            mask: bit i asks for the proof of knowledge of commitment i.
        """
        ...

    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]:
        """Recompute P of each chunk from the order of an epoch.

        Args:
            words: bytes of the verifying key.
            p_bases: bases of P and of its mask, 64 bytes each.
            order: a[h], shape (N,).

        Returns:
            One point of 64 bytes per chunk.

        Raises:
            VerificationError: the bases' digest is not the key's.
            InputError: the bases are unsound, or I_0 or S of the key is not their sum.
        """
        ...

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        """As `ProofVerifier.commit_tensors`.

        Raises:
            NotFound: this engine cannot hash weights.
        """
        ...


class ProverEngine:
    """The fast engine: the `zkprover` binary, milliseconds a proof.

    Args:
        memo: roots that this machine computed before; None to compute all of them.
    """

    def __init__(self, prover: ZkProver, memo: Memo | None = None) -> None:
        self._prover, self._memo = prover, memo

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]:
        """As `Engine` says."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vk.words"
            path.write_bytes(words)
            return [answer.ok for answer in self._prover.verify(path, proofs, mask)]

    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]:
        """As `Engine` says."""
        with tempfile.TemporaryDirectory() as folder:
            path, bases = Path(folder) / "vk.words", Path(folder) / "bases"
            path.write_bytes(words)
            bases.write_bytes(p_bases)
            try:
                return list(self._prover.recompute_order(path, bases, order).points)
            except RejectedError as error:  # how the prover says that files contradict each other
                raise VerificationError(
                    error.what, where=error.where, expected=error.expected, actual=error.actual
                ) from error

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        """As `Engine` says."""
        if self._memo is None:
            return CommittedTensors(commit_tensors(self._prover, files, tensors))
        return commit_kept(self._prover, self._memo, files, tensors)


class SlowEngine:
    """The slow engine: plain Python that shares no code with the prover.

    It takes a tenth of a second or two a proof, and milliseconds a position.
    """

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]:
        """As `Engine` says."""
        return [is_valid_proof(words, proof, mask) for proof in proofs]

    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]:
        """As `Engine` says."""
        key = parse_key(words)
        bases = parse_position_bases(key, p_bases)[: key.slots]
        pi = inverse([int(x) for x in order])
        return [
            affine_bytes(sum_of_multiples(zip(p_vector(pi, c, key.slots), bases, strict=True)))
            for c in range(chunk_count(len(order), key.slots))
        ]

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        """Always raises NotFound: plain Python would be too slow."""
        raise NotFound(
            "weights are not hashed in pure Python",
            hint="build zkprover (make setup) and verify without --slow",
        )


def affine_bytes(point: Point) -> bytes:
    """A G1 point as 64 bytes; infinity is zeros."""
    if curve.is_inf(point):
        return bytes(64)
    x, y = curve.normalize(point)
    return point_bytes((int(x), int(y)))
