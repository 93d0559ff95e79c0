"""Verdicts in words: what `verify`, `gate` and `proof verify` print."""

from __future__ import annotations

import json
from collections.abc import Sequence

from provenance.judgement.verdict import Claim, Edge, Status, Verdict
from provenance.text.counted import counted


def _mark(claim: Claim) -> str:
    return {True: "holds      ", False: "FAILS      ", None: "not checked"}[claim.holds]


def claim_lines(claim: Claim) -> list[str]:
    """One claim, for people."""
    lines = [f"  {claim.step} {_mark(claim)} {claim.id:<20} {claim.text}"]
    for name in ("where", "expected", "actual"):
        value = getattr(claim, name)
        if value is not None and claim.holds is False:
            lines.append(f"                {name:>8}: {value}")
    if claim.holds is None and claim.needs:
        lines.append(f"                   needs: {claim.needs}")
    return lines


def render(verdict: Verdict) -> str:
    """The verdict for people: the first line has the result, the others the reasons."""
    verdict = verdict.shown()
    checked = [c for c in verdict.claims if c.holds is not None]
    open_ids = ", ".join(c.id for c in verdict.not_checked)
    left = f"{len(verdict.not_checked)} not checked: {open_ids}" if open_ids else "all checked"
    suffix = f" ({'; '.join(verdict.development)})" if verdict.development else ""
    head = verdict.word.split(" (")[0].upper()
    if verdict.status is Status.VERIFIED and verdict.development:
        head += " (development)"
    lines = [f"{head}  {verdict.subject['name']}: {verdict.reason}"]
    if verdict.status is Status.VERIFIED:
        lines[0] = f"{head}{suffix}  {counted(len(checked), 'claim')}, {left}"
        if any(claim.id == "policy.satisfied" and claim.holds is False for claim in checked):
            lines[0] += f"; {verdict.reason}"
    for claim in sorted(verdict.claims, key=lambda c: c.step):
        lines += claim_lines(claim)
    for edge in verdict.edges:
        lines += _edge_lines(edge)
    if verdict.interval:
        lines.append(
            f"  made between block {verdict.interval['not_before']['block']} and block "
            f"{(verdict.interval['not_later_than'] or {}).get('block', '?')}"
        )
    lines.append("  this verdict never shows: " + "; ".join(verdict.limits))
    lines.append(f"  trust file {verdict.trust}")
    return "\n".join(lines)


def _edge_lines(edge: Edge) -> list[str]:
    """One edge of the lineage, and below it what is noted of it."""
    link = f"{_short(edge.child)} <- {_short(edge.parent)}"
    noted = [f"                   note: {edge.note}"] if edge.note else []
    return [f"  {edge.kind:<15} {link}  {edge.grade.value}", *noted]


def _short(text: str) -> str:
    """A digest cut to its first and last 8 digits; a text of 20 characters or less stays whole."""
    prefix, _, body = text.rpartition(":") if ":" in text else text.rpartition("x")
    return text if len(body) <= 20 else f"{prefix}{text[len(prefix)]}{body[:8]}..{body[-8:]}"


WORST_FIRST = (
    Status.FAILED,
    Status.REVOKED,
    Status.POLICY_DENIED,
    Status.INDETERMINATE,
    Status.VERIFIED,
)


def proof_verdicts_json(verdicts: Sequence[Verdict], worst: Verdict) -> str:
    """Verdicts about proof files, as JSON. Status and exit code are those of `worst`."""
    value = {
        "format": "provenance-proof-verdicts/1",
        "status": worst.status.value,
        "word": worst.word,
        "exit_code": worst.exit_code,
        "verdicts": [v.to_json() for v in verdicts],
    }
    return json.dumps(value, indent=2)


def proof_verdict_text(verdict: Verdict) -> str:
    """One verdict about a proof file, for people."""
    verdict = verdict.shown()
    head = verdict.word.upper().replace("(DEVELOPMENT)", "(development)")
    lines = [f"{head}  {verdict.subject['name']}: {verdict.reason}"]
    for claim in verdict.claims:
        lines += claim_lines(claim)
    return "\n".join(
        [
            *lines,
            *(f"  {reason}" for reason in verdict.development),
            "  not shown: " + "; ".join(verdict.limits),
            f"  trust file {verdict.trust}",
        ]
    )
