"""`provenance contracts verify`: check that the code on chain was compiled from our sources."""

from __future__ import annotations

import json as jsonlib
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typer

from provenance.chain.artifact import ARTIFACTS, JUDGE, Addresses
from provenance.chain.contracts import Reader
from provenance.chain.lookup.code_match import match
from provenance.chain.rpc import Rpc
from provenance.chain.session import connect, load_deployment
from provenance.errors import UnavailableError
from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import note, result

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Compare the deployed contracts with this package's sources.",
)


@app.callback()
def _root() -> None:
    """Compare the deployed contracts with this package's sources."""


def compile_sources() -> dict[str, Any]:
    """Compile the shipped standard-JSON input with npm's solc, which py-solc-x runs.

    Returns:
        The compiler's output for each contract, by the contract's name.

    Raises:
        UnavailableError: the compiler is not installed, or it refuses the sources.
    """
    try:
        from solcx import wrapper
        from solcx.exceptions import SolcError
    except ModuleNotFoundError as error:
        raise UnavailableError("py-solc-x is not installed", hint="make setup") from error
    source = jsonlib.loads(
        resources.files("provenance").joinpath("abi", "solc-input.json").read_text()
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            output, _, _, _ = wrapper.solc_wrapper(
                solc_binary=_solc(Path(folder)), standard_json=True, stdin=jsonlib.dumps(source)
            )
        except SolcError as error:
            raise UnavailableError(
                "compiler failed",
                where="solc",
                actual=str(error.stderr_data)[:300],
                hint="install it again: make setup",
            ) from error
    value = jsonlib.loads(output[output.index("{") :])  # solcjs first prints another line
    if fatal := [
        e["formattedMessage"] for e in value.get("errors", []) if e.get("severity") == "error"
    ]:
        raise UnavailableError(
            "contract sources do not compile",
            where="abi/solc-input.json of this package",
            actual=fatal[0][:300],
            hint="install the package again",
        )
    return {
        name: contract
        for contracts in value["contracts"].values()
        for name, contract in contracts.items()
    }


def _solc(folder: Path) -> Path:
    """A script `solc` that runs npm's solcjs with this environment's node, offline."""
    script = Path(__file__).resolve().parents[3] / "node_modules" / "solc" / "solc.js"
    node = Path(sys.executable).with_name("node")
    if not script.is_file() or not node.is_file():
        raise UnavailableError(
            "solc is not installed", where=str(script), hint="make setup (npm package solc)"
        )
    wrapper = folder / "solc"
    shell = shutil.which("sh") or "/bin/sh"
    # Through pipes solcjs may read too little of its input and lose output, so it gets files.
    wrapper.write_text(
        f"#!{shell}\n"
        f'cd "{folder}" && cat > in && "{node}" "{script}" "$@" < in > out\n'
        "status=$?\ncat out\nexit $status\n"
    )
    wrapper.chmod(0o700)
    return wrapper


def compare(compiled: Mapping[str, Any], rpc: Rpc, addresses: Addresses) -> dict[str, str]:
    """What `match` says of each deployed contract, the judges of both ledgers included.

    The address of a judge is an immutable value, which `match` does not compare, so the judge's own
    code is compared as well. A ledger whose code is another's may name any judge: then there is
    none.

    Args:
        compiled: the compiler's output of each contract by its name.
        rpc: the endpoint, whose answers are attacker-controlled.
        addresses: where the contracts are. A deployment of an earlier release has fewer, and what
            it lacks is not compared.
    """
    found = {
        name: match(compiled[name], rpc.code(addresses[contract]))
        for contract, name in ARTIFACTS.items()
        if contract in addresses
    }
    snapshot = Reader(rpc, addresses).latest()
    for contract in ("ledger", "models"):
        name, verdict = ARTIFACTS[contract], "none"
        if found[name] != "none":
            verdict = match(compiled[JUDGE], rpc.code(snapshot.batch_verifier(contract)))
        found[f"{JUDGE} of {name}"] = verdict
    return found


@app.command()
def verify(json: Json = False) -> None:
    """Compile the contracts, and compare each with the code on chain: registry,
    proof ledger, dataset audits, model ledger, replay attestations, and the batch
    verifier of each ledger.

    `match` means equal but for the metadata hash, `exact_match` equal with it.
    Exit code 1: one contract is neither.
    """
    settings = Settings.load()
    deployment = load_deployment(settings)
    rpc = connect(settings, note)
    note("compiling the contracts")
    found = compare(compile_sources(), rpc, deployment.addresses)
    result(
        {"format": "provenance-contracts/1", "contracts": found},
        json,
        "\n".join(f"{k}: {v}" for k, v in found.items()),
    )
    if "none" in found.values():
        raise typer.Exit(1)
