"""Requirements that all checks share: equal facts, the pinned key, proofs that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.errors import MissingEvidence, VerificationError
from provenance.ids import KeyId, to_hex
from provenance_zk.checker.engine import Engine
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import vk_id


def require_equal(what: str, where: str, expected: object, actual: object) -> None:
    """Compare what was recomputed with what the evidence says.

    Raises:
        VerificationError: they differ; bytes are shown as `0x..`.
    """
    if expected != actual:
        raise VerificationError(
            f"{what} differs", where=where, expected=_show(expected), actual=_show(actual)
        )


def _show(value: object) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)


def require_key(words: bytes, expected: KeyId) -> bytes:
    """Require that words (attacker-controlled) are the key with this id; returns them.

    Without this check, evidence could bring a key whose maker knows its secrets and can forge.

    Raises:
        VerificationError: the words have another id.
    """
    require_equal("key id", "vk.words", expected, vk_id(words))
    return words


@dataclass(frozen=True)
class Wanted:
    """The proofs that evidence must hold.

    Attributes:
        where: names them in errors.
        key: id of the key of all of them; None where proofs may be under several keys.
    """

    count: int
    kind: str
    where: str
    key: KeyId | None = None

    def parse(self, values: Sequence[Mapping[str, Any]]) -> list[ProofFile]:
        """Read the proofs (attacker-controlled).

        Raises:
            InputError: a malformed proof.
            MissingEvidence: fewer proofs.
            VerificationError: more proofs, or a proof of another kind or key.
        """
        if len(values) < self.count:
            raise MissingEvidence(
                f"evidence lacks {self.count - len(values)} of {self.count} proofs",
                where=f"{self.where} {len(values)}",
            )
        if len(values) != self.count:
            raise VerificationError(
                "evidence has another number of proofs",
                where=self.where,
                expected=self.count,
                actual=len(values),
            )
        proofs = [ProofFile.from_json(value) for value in values]
        for i, proof in enumerate(proofs):
            if proof.kind != self.kind or self.key not in (None, proof.vk_id):
                raise VerificationError(
                    "proof is for another key",
                    where=f"{self.where} {i}",
                    expected=f"{self.kind} {self.key or ''}",
                    actual=f"{proof.kind} {proof.vk_id}",
                )
        return proofs


def require_valid(
    engine: Engine, words: bytes, proofs: Sequence[ProofFile], mask: int, where: str
) -> None:
    """Check every proof with the engine.

    Raises:
        VerificationError: a proof does not hold; `where` names the first.
    """
    for i, good in enumerate(engine.verify(words, proofs, mask)):
        if not good:
            raise VerificationError(
                "Groth16 proof does not verify",
                where=f"{where} {i}",
                expected="a valid proof",
                actual="invalid",
            )
