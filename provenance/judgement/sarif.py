"""Verdicts as SARIF, which code scanning of pipelines and editors read.

A verdict that is not `verified` is a result of its own, so whoever counts results never takes a
verdict without a failing claim for a good one. Claims that hold and those that nobody checked are
results, too, of the kinds that the format has for them.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, sections 3.14
(run), 3.19 (toolComponent), 3.27 (result).
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from provenance.judgement.policy import CLAIMS
from provenance.judgement.verdict import TABLE, Claim, Status, Verdict

MEDIA_TYPE = "application/sarif+json"
VERDICT = "verdict"
"""The rule of the result that a verdict other than `verified` is."""
_TOOL = "provenance"
_KINDS = {True: "pass", False: "fail", None: "open"}


def to_sarif(verdict: Verdict, version: str) -> dict[str, Any]:
    """The verdict as one SARIF run.

    Texts that came from evidence are made visible, as on a terminal. `runs[0].properties` has
    status, exit code and trust file.

    Args:
        version: of this program.
    """
    verdict = verdict.shown()
    rules = list(dict.fromkeys([VERDICT, *CLAIMS, *(claim.id for claim in verdict.claims)]))
    failing = verdict.status is not Status.VERIFIED
    results = [_of_verdict(verdict)] if failing else []
    results += [_of_claim(verdict, claim) for claim in verdict.claims]
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": _TOOL,
                        "version": version,
                        "rules": [{"id": rule, "shortDescription": _about(rule)} for rule in rules],
                    }
                },
                "artifacts": [_artifact(verdict)],
                "results": results,
                "properties": {
                    "status": verdict.status.value,
                    "exitCode": verdict.exit_code,
                    "trustFile": verdict.trust,
                    "development": list(verdict.development),
                    "neverShown": list(verdict.limits),
                },
            }
        ],
    }


def _about(rule: str) -> dict[str, str]:
    if rule == VERDICT:
        return {"text": "The verdict on the model."}
    return {"text": f"Claim {rule} of the verdict on the model."}


def _artifact(verdict: Verdict) -> dict[str, Any]:
    digest = str(verdict.subject["digest"]).removeprefix("sha256:")
    return {"location": {"uri": _uri(verdict)}, "hashes": {"sha-256": digest}}


def _uri(verdict: Verdict) -> str:
    """The file's name as a relative reference (RFC 3986); a name with a colon would be a scheme."""
    return quote(str(verdict.subject["name"]), safe="/")


def _of_verdict(verdict: Verdict) -> dict[str, Any]:
    text = f"{verdict.word}: {TABLE[verdict.status].meaning}. {verdict.reason}"
    return _result(verdict, VERDICT, "fail", text, verdict.status.value)


def _of_claim(verdict: Verdict, claim: Claim) -> dict[str, Any]:
    facts = [("where", claim.where), ("expected", claim.expected), ("actual", claim.actual)]
    facts += [("needs", claim.needs)]
    said = "; ".join(f"{name}: {value}" for name, value in facts if value is not None)
    text = f"{claim.text} ({said})" if said else claim.text
    return _result(verdict, claim.id, _KINDS[claim.holds], text, claim.where or "")


def _result(verdict: Verdict, rule: str, kind: str, text: str, at: str) -> dict[str, Any]:
    """One result. The format asks for the level `none` wherever nothing fails."""
    named = "\n".join((str(verdict.subject["digest"]), rule, at))
    return {
        "ruleId": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": text},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(verdict), "index": 0}}}
        ],
        "partialFingerprints": {"claim/v1": hashlib.sha256(named.encode()).hexdigest()},
    }
