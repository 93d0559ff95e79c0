"""`provenance gate`: stop a pipeline unless the model is verified."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from provenance_cli.judge.options import (
    AllowRollback,
    Evidence,
    Fresh,
    PolicyFile,
    Release,
    Subject,
    TrustFile,
)

gate_app = typer.Typer(add_completion=False, help="Stop a pipeline unless the model is verified.")


@gate_app.command()
def gate(
    subject: Subject,
    evidence: Evidence = None,
    trust: TrustFile = None,
    release: Release = None,
    fresh: Fresh = False,
    policy: PolicyFile = None,
    allow_rollback: AllowRollback = False,
    json_out: Annotated[
        Path | None, typer.Option(help="Also write the verdict as JSON to this file.")
    ] = None,
    sarif_out: Annotated[
        Path | None,
        typer.Option(help="Also write it as SARIF 2.1.0 to this file, for code scanning."),
    ] = None,
) -> None:
    """Judge a model for a pipeline.

    The exit code is that of the verdict: 0 only if every claim that the policy requires holds.
    """
    from provenance.judgement.sarif import to_sarif
    from provenance.text.program import release as running
    from provenance_cli.judge.question import Question, judge
    from provenance_cli.judge.verdict_text import render
    from provenance_cli.outputs import try_file, write_output

    try_file(json_out, "--json-out")
    try_file(sarif_out, "--sarif-out")
    question = Question(
        subject,
        tuple(evidence or ()),
        trust,
        policy,
        release,
        allow_rollback=allow_rollback,
        fresh=fresh,
    )
    verdict = judge(question)
    print(render(verdict), flush=True)
    if json_out is not None:
        write_output(json_out, _written(verdict.to_json()), "--json-out")
    if sarif_out is not None:
        write_output(sarif_out, _written(to_sarif(verdict, running())), "--sarif-out")
    raise typer.Exit(verdict.exit_code)


def _written(value: dict[str, Any]) -> bytes:
    return (jsonlib.dumps(value, indent=2) + "\n").encode()
