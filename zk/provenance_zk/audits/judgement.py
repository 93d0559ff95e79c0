"""The claims about one proof or statement file, and the status that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provenance.errors import InputError, NotFound, VerificationError
from provenance.judgement.verdict import Claim, Status
from provenance.text.shown import sentence
from provenance_zk.audits.statement_file import Statement

CLAIMS = {
    name: step
    for step, name in enumerate(
        (
            "key.pinned",
            "proof.valid",
            "statement.inputs",
            "dataset.named",
            "dataset.sorted",
            "not.revoked",
            "shown.on_chain",
        ),
        1,
    )
}
OPTIONAL = frozenset({"shown.on_chain"})


@dataclass
class Judgement:
    """Claims in the order of the steps that make them.

    `development` holds reasons why the verdict counts in a local environment only, such as a
    development key.
    """

    claims: list[Claim] = field(default_factory=list)
    development: list[str] = field(default_factory=list)

    def add(self, id_: str, text: str, holds: bool | None, **facts: Any) -> bool:
        """Add a claim of `CLAIMS`; returns whether it holds, False if it is open."""
        self.claims.append(Claim(id_, CLAIMS[id_], text, holds, **facts))
        return holds is True

    def guarded(self, id_: str, check: Callable[[], str], text: str) -> bool:
        """Run a check that returns the claim's sentence; returns whether the claim holds.

        If the check raises NotFound, the claim stays open with `text` as its sentence; any other
        error about the evidence makes it fail.
        """
        try:
            return self.add(id_, check(), True)
        except NotFound as error:
            return self.add(id_, text, None, needs=str(error))
        except (VerificationError, InputError) as error:
            facts = {"where": error.where, "expected": error.expected, "actual": error.actual}
            return self.add(id_, error.what, False, **facts)

    def status(self, statement: Statement | None, environment: str) -> tuple[Status, str]:
        """(status, why).

        Args:
            statement: None for a proof file without a statement, which shows nothing by itself.
            environment: that of the trust file; only `local` accepts development keys.
        """
        failed = next((c for c in self.claims if c.holds is False), None)
        if failed is not None and failed.id == "not.revoked":
            return Status.REVOKED, failed.text
        if failed is not None:
            return Status.FAILED, _why(failed)
        left = [c.id for c in self.claims if c.holds is None and c.id not in OPTIONAL]
        if left or statement is None:
            return Status.INDETERMINATE, f"not checked: {', '.join(left)}"
        if self.development and environment != "local":
            return Status.POLICY_DENIED, self.development[0]
        return Status.VERIFIED, statement.sentence()


def _why(failed: Claim) -> str:
    return sentence(failed.text, where=failed.where, expected=failed.expected, actual=failed.actual)
