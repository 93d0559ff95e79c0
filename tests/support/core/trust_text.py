"""A trust file's text, from its value."""

from __future__ import annotations

from provenance.judgement.trust import Trust, render


def trust_text(trust: Trust) -> str:
    """The text that `parse_trust` reads back."""
    return render(trust.environment, trust.chain, trust.keys, trust.publishers, trust.confirmations)
