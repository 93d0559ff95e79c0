"""`provenance verify`: judge one model, and print the verdict."""

from __future__ import annotations

import json as jsonlib

import typer

from provenance_cli.judge.options import (
    AllowRollback,
    Base,
    Evidence,
    Fresh,
    Nonce,
    Openings,
    PolicyFile,
    Release,
    Replay,
    Slow,
    Subject,
    TrustFile,
    WithData,
)
from provenance_cli.options import Json

verify_app = typer.Typer(add_completion=False, help="Judge a model file or digest.")


@verify_app.command()
def verify(
    subject: Subject,
    evidence: Evidence = None,
    trust: TrustFile = None,
    release: Release = None,
    base: Base = None,
    with_data: WithData = None,
    replay: Replay = None,
    openings: Openings = None,
    nonce: Nonce = None,
    slow: Slow = False,
    fresh: Fresh = False,
    policy: PolicyFile = None,
    allow_rollback: AllowRollback = False,
    json: Json = False,
) -> None:
    """Judge a model file or digest. The exit code is that of the verdict."""
    from provenance_cli.judge.question import Question, judge
    from provenance_cli.judge.verdict_text import render

    question = Question(
        subject,
        tuple(evidence or ()),
        trust,
        policy,
        release,
        base,
        with_data,
        (openings, nonce),
        slow,
        allow_rollback,
        fresh,
        replay,
    )
    verdict = judge(question)
    print(jsonlib.dumps(verdict.to_json(), indent=2) if json else render(verdict))
    raise typer.Exit(verdict.exit_code)
