"""The run whose proofs are checked."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.errors import MissingEvidence, VerificationError
from provenance.ids import to_hex
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage


@dataclass(frozen=True)
class Run:
    """A run, and the question for which its proofs are checked."""

    case: Case
    chain: Chain
    log: Log
    lineage: Lineage

    def pinned_key(self, vk_id: bytes, kind: str) -> bytes:
        """A verifying key's words from the evidence, once the trust file pins its id.

        The words are attacker-controlled until their hash was compared with the id.

        Raises:
            VerificationError: the trust file pins no such key of this kind.
            MissingEvidence: the evidence lacks its words.
        """
        name = to_hex(vk_id)
        key = self.case.verifier.trust.key(name)
        if key is None or key.kind != kind:
            raise VerificationError(
                "key is not pinned by the trust file",
                where=name,
                expected=f"a pinned {kind} key",
                actual=key.kind if key else "unknown",
            )
        if key.klass == "dev":
            self.case.notes.develops(f"{kind} key {name[:10]}..{name[-8:]} is a development key")
        words = self.log.evidence.key_words(name)
        if words is None:
            raise MissingEvidence(
                f"evidence lacks the {kind} key", where=f"provenance/keys/{name}/vk.words"
            )
        return words
