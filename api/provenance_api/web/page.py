"""HTML from values. All that is shown may be hostile: templates escape it, and none goes into scripts or styles."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provenance.judgement.policy import CLAIMS, ON_DEMAND
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance_api.catalog import Listed
from provenance_api.problems import Problem
from provenance_api.resolve import Answer
from provenance_api.web.lineage import pictures, shorten

FOLDER = Path(__file__).resolve().parent
STATIC = FOLDER / "static"

STEPS = {
    1: "Identify the file",
    2: "Find its release by a trusted publisher",
    3: "Check the records under the signed head",
    4: "Check the chain, and that the head is final",
    5: "Walk the lineage",
    6: "Check the proofs",
    7: "Recompute what can be recomputed",
    8: "Check for revocations",
    9: "Apply the policy",
}
# Status -> (tone, shape): a colour and a shape, both beside the word.
LOOKS = {
    Status.VERIFIED: ("good", "check"),
    Status.FAILED: ("bad", "cross"),
    Status.REVOKED: ("bad", "slash"),
    Status.POLICY_DENIED: ("warn", "slash"),
    Status.PENDING: ("info", "clock"),
    Status.INDETERMINATE: ("warn", "alert"),
    Status.NOT_FOUND: ("plain", "lens"),
}


@dataclass(frozen=True)
class Step:
    number: int
    title: str
    claims: tuple[Claim, ...]


def _utc(timestamp: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).strftime(
            "%Y-%m-%d %H:%M:%S UTC"
        )
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} s after 1970"  # a chain may claim any time


class Pages:
    """Renders the site's pages."""

    def __init__(self) -> None:
        loader = FileSystemLoader(FOLDER / "templates")
        self._templates = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"utc": _utc, "shorten": shorten}

    def verdict(self, answer: Answer) -> str:
        verdict = answer.verdict
        tone, shape = LOOKS[verdict.status]
        return self._render(
            "verdict.html",
            answer=answer,
            verdict=verdict,
            tone="dev" if tone == "good" and verdict.development else tone,
            shape=shape,
            steps=_steps(verdict),
            unreached=_unreached(verdict),
            pictures=pictures(verdict),
            query=answer.asked,
        )

    def home(self, releases: list[Listed], note: str | None) -> str:
        return self._render("home.html", releases=releases, note=note, query="")

    def problem(self, problem: Problem, query: str) -> str:
        return self._render("problem.html", problem=problem, query=query[:512])

    def _render(self, template: str, **values: Any) -> str:
        context: Mapping[str, Any] = values
        return self._templates.get_template(template).render(context)


def _steps(verdict: Verdict) -> list[Step]:
    """Every step in order; one without claims was not reached."""
    return [
        Step(n, title, tuple(c for c in verdict.claims if c.step == n))
        for n, title in STEPS.items()
    ]


def _unreached(verdict: Verdict) -> list[str]:
    """Claims that the verification stopped short of."""
    made = {c.id for c in verdict.claims}
    return [id_ for id_ in CLAIMS if id_ not in made | ON_DEMAND]
