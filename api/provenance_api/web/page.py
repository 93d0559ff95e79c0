"""The site's HTML pages.

An attacker may control every value on a page. The templates escape all of them, and put none into
scripts or styles.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provenance.judgement.policy import CLAIMS, ON_DEMAND
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance_api.problems import Problem
from provenance_api.resolve import Answer
from provenance_api.web.lineage import pictures, shorten
from provenance_api.web.texts import ENGLISH, Texts, made_visible
from provenance_api.web.timeline import timeline

FOLDER = Path(__file__).resolve().parent
STATIC = FOLDER / "static"

STEPS = range(1, 10)
# Status -> (tone, shape): the colour and the icon that stand beside the status word.
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
    """A step of the verification. It has no claims if it was not reached."""

    number: int
    claims: tuple[Claim, ...]


class Pages:
    """Renders the site's pages in one language."""

    def __init__(self, texts: Texts = ENGLISH) -> None:
        self._texts = texts
        loader = FileSystemLoader(FOLDER / "templates")
        self._templates = Environment(
            loader=loader,
            autoescape=True,
            finalize=made_visible,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"utc": self._utc, "shorten": shorten}
        self._templates.globals["t"] = texts

    def verdict(self, answer: Answer) -> str:
        """The page of a verdict."""
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
            pictures=pictures(verdict, self._texts),
            drawn=timeline(verdict.training, self._texts),
            query=answer.asked,
        )

    def problem(self, problem: Problem, query: str) -> str:
        """The page of a problem. `query` is the id that was asked for."""
        return self._render("problem.html", problem=problem, query=query[:512])

    def show(self, template: str, **values: Any) -> str:
        """Another page, by its template; its values are attacker-controlled like all others."""
        return self._render(template, **values)

    def _utc(self, timestamp: int) -> str:
        try:
            moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
        except (OverflowError, OSError, ValueError):
            return self._texts.plain(
                "time.seconds", seconds=timestamp
            )  # a chain may claim any time
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")

    def _render(self, template: str, **values: Any) -> str:
        context: Mapping[str, Any] = values
        return self._templates.get_template(template).render(context)


def _steps(verdict: Verdict) -> list[Step]:
    return [Step(n, tuple(c for c in verdict.claims if c.step == n)) for n in STEPS]


def _unreached(verdict: Verdict) -> list[str]:
    """Claims that the verification did not come to before it ended."""
    made = {c.id for c in verdict.claims}
    return [id_ for id_ in CLAIMS if id_ not in made | ON_DEMAND]
