"""`provenance verify` and `provenance gate`: one verification, printed for people, programs and pipelines."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from provenance.judgement.verdict import Claim, Status, Verdict
from provenance.settings import Settings

verify_app = typer.Typer(add_completion=False, help="Judge a model file or digest.")
gate_app = typer.Typer(add_completion=False, help="Let a pipeline pass only with a verified model.")

Subject = Annotated[str, typer.Argument(help="A model file, sha256:<64 hex>, or 64 hex digits.")]
Evidence = Annotated[
    list[Path] | None,
    typer.Option("--evidence", help="Run folder, or a folder of run folders; repeatable."),
]
TrustFile = Annotated[
    Path | None,
    typer.Option("--trust", help="Trust file (default: PROVENANCE_TRUST, configuration folder)."),
]
Release = Annotated[
    str | None,
    typer.Option("--release", help="Run id (0x..) that the artifact is claimed to be released by."),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="NAME|DIR", help="Base model: recompute what follows from it too."
    ),
]
WithData = Annotated[
    Path | None,
    typer.Option(
        "--with-data", help="Committed dataset with its salts: recompute the batches too."
    ),
]
Openings = Annotated[
    Path | None,
    typer.Option("--openings", metavar="DIR", help="Openings made by `proof open` at --nonce."),
]
Nonce = Annotated[
    str | None,
    typer.Option("--nonce", metavar="0x..", help="The 32 bytes that you demanded the openings at."),
]
Slow = Annotated[
    bool, typer.Option("--slow", help="Check proofs in pure Python, about a second each.")
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="Policy file (default: every claim of the main job)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]


@verify_app.command()
def verify(
    subject: Subject,
    evidence: Evidence = None,
    trust: TrustFile = None,
    release: Release = None,
    base: Base = None,
    with_data: WithData = None,
    openings: Openings = None,
    nonce: Nonce = None,
    slow: Slow = False,
    policy: PolicyFile = None,
    json: Json = False,
) -> None:
    """Judge a model file or digest; the exit code is the verdict's."""
    verdict = _judge(
        subject, evidence or [], trust, release, base, with_data, slow, policy, (openings, nonce)
    )
    print(jsonlib.dumps(verdict.to_json(), indent=2) if json else render(verdict))
    raise typer.Exit(verdict.exit_code)


@gate_app.command()
def gate(
    subject: Subject,
    evidence: Evidence = None,
    trust: TrustFile = None,
    release: Release = None,
    policy: PolicyFile = None,
    json_out: Annotated[
        Path | None, typer.Option(help="Also write the verdict as JSON to this file.")
    ] = None,
) -> None:
    """Verify and exit with the verdict's code: 0 only when every claim the policy requires holds."""
    verdict = _judge(subject, evidence or [], trust, release, None, None, False, policy)
    if json_out is not None:
        from provenance.layout import write_atomically

        write_atomically(json_out, (jsonlib.dumps(verdict.to_json(), indent=2) + "\n").encode())
    print(render(verdict))
    raise typer.Exit(verdict.exit_code)


def _judge(
    subject: str,
    evidence: list[Path],
    trust_file: Path | None,
    release: str | None,
    base: str | None,
    with_data: Path | None,
    slow: bool,
    policy_file: Path | None,
    demanded: tuple[Path | None, str | None] = (None, None),
) -> Verdict:
    from provenance.digest import Digest
    from provenance.errors import InputError
    from provenance.judgement.policy import load_policy
    from provenance.judgement.trust import load_trust
    from provenance.verify import Options
    from provenance.verify import verify as judge
    from provenance.verify.evidence import FolderSource, load_openings
    from provenance_cli.wiring import (
        base_folder,
        evidence_folders,
        inspector_for,
        prover_for,
        reader_for,
    )

    settings = Settings.load()
    if with_data is not None and not with_data.is_dir():
        raise InputError("no such folder", where=f"--with-data {with_data}")
    trust = load_trust(trust_file or settings.trust)
    data = None
    if with_data is not None:
        from provenance_trainer.run.replay import open_data_checker

        data = open_data_checker(with_data, evidence_folders(evidence, subject), settings)
    options = Options(
        release=Digest.parse(release) if release else None,
        base=base_folder(settings, base),
        data=data,
        openings=load_openings(*demanded),
    )
    return judge(
        subject,
        trust=trust,
        reader=reader_for(settings, trust),
        source=FolderSource(evidence_folders(evidence, subject)),
        prover=prover_for(settings, slow),
        inspector=inspector_for(),
        policy=load_policy(policy_file),
        options=options,
    )


def _mark(claim: Claim) -> str:
    return {True: "holds      ", False: "FAILS      ", None: "not checked"}[claim.holds]


def claim_lines(claim: Claim) -> list[str]:
    """One claim for people."""
    lines = [f"  {claim.step} {_mark(claim)} {claim.id:<20} {claim.text}"]
    for name in ("where", "expected", "actual"):
        value = getattr(claim, name)
        if value is not None and claim.holds is False:
            lines.append(f"                {name:>8}: {value}")
    if claim.holds is None and claim.needs:
        lines.append(f"                   needs: {claim.needs}")
    return lines


def render(verdict: Verdict) -> str:
    """The verdict for people; the first line says it all, the rest says why."""
    checked = [c for c in verdict.claims if c.holds is not None]
    not_checked = ", ".join(c.id for c in verdict.not_checked) or "none"
    suffix = f" ({'; '.join(verdict.development)})" if verdict.development else ""
    head = verdict.word.split(" (")[0].upper()
    if verdict.status is Status.VERIFIED and verdict.development:
        head += " (development)"
    lines = [f"{head}  {verdict.subject['name']}: {verdict.reason}"]
    if verdict.status is Status.VERIFIED:
        lines[0] = (
            f"{head}{suffix}  {len(checked)} claims, {len(verdict.not_checked)} not checked: {not_checked}"
        )
    for claim in sorted(verdict.claims, key=lambda c: c.step):
        lines += claim_lines(claim)
    lines += [
        f"  {e.kind:<15} {_short(e.child)} <- {_short(e.parent)}  {e.grade.value}"
        for e in verdict.edges
    ]
    if verdict.interval:
        lines.append(
            f"  made between block {verdict.interval['not_before']['block']} and block "
            f"{(verdict.interval['not_later_than'] or {}).get('block', '?')}"
        )
    lines.append("  this verdict never shows: " + "; ".join(verdict.limits))
    lines.append(f"  trust file {verdict.trust}")
    return "\n".join(lines)


def _short(text: str) -> str:
    """At least 8+8 digits of a digest."""
    prefix, _, body = text.rpartition(":") if ":" in text else text.rpartition("x")
    return text if len(body) <= 20 else f"{prefix}{text[len(prefix)]}{body[:8]}..{body[-8:]}"
