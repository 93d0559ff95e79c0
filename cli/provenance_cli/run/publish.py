"""`provenance publish`: merge, quantize, prove and release a trained run, then judge the file."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance_cli.options import (
    DEFAULT_DRAWS,
    Draws,
    DryRun,
    ExecutorOption,
    Json,
    KeyName,
    Quantized,
    RunDir,
)
from provenance_cli.output import result

publish_app = typer.Typer(
    add_completion=False, help="Merge, quantize, prove, release and judge a trained run."
)


@publish_app.command()
def publish(
    run: RunDir,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the release, as name or name:version (default: model)."),
    ] = None,
    format_: Quantized = "Q8_0",
    draws: Draws = DEFAULT_DRAWS,
    no_prove: Annotated[
        bool,
        typer.Option("--no-prove", help="Only declare merge and quantization, without proofs."),
    ] = False,
    key: KeyName = "default",
    executor: ExecutorOption = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Merge, quantize, prove sampled blocks, release the file, and judge it.

    The exit code is that of the verdict. Repeatable: tasks that are done already are skipped.
    """
    from provenance.layout import RunFolder
    from provenance.settings import Settings
    from provenance_cli.jobs.publish import PublishJob, PublishRequest
    from provenance_cli.jobs.tasks import print_forecast, run_tasks
    from provenance_cli.judge.verdict_text import render
    from provenance_cli.outputs import try_run
    from provenance_zk.workers.executors import Workshop

    request = PublishRequest(run, name, format_, draws, not no_prove, key)
    with Workshop(Settings.load(), executor) as workshop:
        job = PublishJob(request, workshop)
        if not dry_run:
            try_run(RunFolder(run))
        job.check(spend=not dry_run)
        if dry_run:
            print_forecast(job.tasks(), json)
            return
        run_tasks(job.tasks(), job.relay)
        verdict = job.verdict()
    text = f"{render(verdict)}\nfile {job.file}\nnext: provenance verify {job.file}"
    result(job.made(verdict), json, text)
    raise typer.Exit(verdict.exit_code)
