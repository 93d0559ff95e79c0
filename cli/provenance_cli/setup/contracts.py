"""`provenance contracts verify`: is the code on chain what these sources compile to?"""

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

from provenance.errors import UnavailableError
from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import note, result

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Compare deployed contract code with this package's sources.",
)


@app.callback()
def _root() -> None:
    """Compare deployed contract code with this package's sources."""


def compile_sources() -> dict[str, Any]:
    """Recompile the shipped standard-JSON input with py-solc-x over npm's solc; contracts by name.

    Raises:
        UnavailableError: compiler not installed, or it refuses the sources.
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
                "compiler failed", actual=str(error.stderr_data)[:300]
            ) from error
    value = jsonlib.loads(output[output.index("{") :])  # solcjs prints a line of its own first
    if fatal := [
        e["formattedMessage"] for e in value.get("errors", []) if e.get("severity") == "error"
    ]:
        raise UnavailableError("sources do not compile", actual=fatal[0][:300])
    return {
        name: contract
        for contracts in value["contracts"].values()
        for name, contract in contracts.items()
    }


def _solc(folder: Path) -> Path:
    """A `solc` that runs npm's solcjs with this environment's node: no compiler is downloaded."""
    script = Path(__file__).resolve().parents[3] / "node_modules" / "solc" / "solc.js"
    node = Path(sys.executable).with_name("node")
    if not script.is_file() or not node.is_file():
        raise UnavailableError(
            "solc is not installed", where=str(script), hint="make setup (npm package solc)"
        )
    wrapper = folder / "solc"
    shell = shutil.which("sh") or "/bin/sh"
    # solcjs neither waits for a slow pipe on stdin nor until one has taken all of its output: it
    # gets files.
    wrapper.write_text(
        f"#!{shell}\n"
        f'cd "{folder}" && cat > in && "{node}" "{script}" "$@" < in > out\n'
        "status=$?\ncat out\nexit $status\n"
    )
    wrapper.chmod(0o700)
    return wrapper


def match(compiled: Mapping[str, Any], deployed: bytes) -> str:
    """exact_match (metadata hash included), match (all but the metadata), or none.

    Immutable values are not part of the compiled code: their places are taken as zero on both
    sides.
    """
    runtime = compiled["evm"]["deployedBytecode"]
    expected, actual = bytearray.fromhex(runtime["object"]), bytearray(deployed)
    if len(expected) != len(actual):
        return "none"
    for places in runtime.get("immutableReferences", {}).values():
        for place in places:
            start, end = place["start"], place["start"] + place["length"]
            expected[start:end] = actual[start:end] = bytes(place["length"])
    if expected == actual:
        return "exact_match"
    return "match" if _without_metadata(expected) == _without_metadata(actual) else "none"


def _without_metadata(code: bytes | bytearray) -> bytes:
    """Code less its CBOR metadata, whose length stands in the last two bytes (Solidity docs,
    "Contract Metadata").
    """
    length = int.from_bytes(code[-2:], "big") + 2
    return bytes(code[:-length]) if length < len(code) else bytes(code)


@app.command()
def verify(json: Json = False) -> None:
    """Recompile with py-solc-x and compare with the deployed code; exit 1 unless all are at least
    `match`.
    """
    from provenance.chain.contracts import Reader
    from provenance.chain.session import connect, load_deployment

    settings = Settings.load()
    deployment = load_deployment(settings)
    rpc, _ = connect(settings, note)
    note("compiling the contracts")
    compiled = compile_sources()
    places = {
        "ProvenanceRegistry": deployment.registry,
        "ProofLedger": deployment.ledger,
        # The ledger's code says where, as an immutable value, which `match` passes over: its code
        # is compared as well.
        "BatchVerifier": Reader(rpc, deployment.addresses).latest().batch_verifier(),
    }
    found = {name: match(compiled[name], rpc.code(address)) for name, address in places.items()}
    result(
        {"format": "provenance-contracts/1", "contracts": found},
        json,
        "\n".join(f"{k}: {v}" for k, v in found.items()),
    )
    if "none" in found.values():
        raise typer.Exit(1)
