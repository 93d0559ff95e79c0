"""`provenance cosign`: have witnesses sign a run's newest head, and keep what they sign."""

from __future__ import annotations

import datetime
import time
from typing import Annotated, Any

import typer

from provenance.errors import ConfigError, ProvenanceError
from provenance.judgement.trust import Trust, show_time
from provenance.judgement.trust_file import load_trust
from provenance.log.anchoring import SignedHead
from provenance.log.witness.cosignature import MAX_AHEAD_S, Cosignature, WitnessKey
from provenance.log.witness.kept import CosignedHead, keep
from provenance.log.witness.note import Note
from provenance.settings import Settings
from provenance.text.shown import visible
from provenance.witness.client import WitnessEndpoint
from provenance.witness.client import cosign as ask_for
from provenance_cli.judge.log_export import SignedLog, read_signed_log
from provenance_cli.judge.options import TrustFile
from provenance_cli.options import Json, RunDir
from provenance_cli.output import note, result
from provenance_cli.outputs import try_run

cosign_app = typer.Typer(add_completion=False, help="Have witnesses sign a run's newest head.")
_SOME_DID_NOT = 3


@cosign_app.command()
def cosign(
    run: RunDir,
    witness: Annotated[
        list[str],
        typer.Option("--witness", metavar="URL", help="A witness's URL; repeatable."),
    ],
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey",
            metavar="NAME+ID+KEY",
            help="Key of a witness that the trust file does not name; repeatable.",
        ),
    ] = None,
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Ask each witness for its cosignature of the run's newest signed head, and keep it.

    A cosignature is kept if it is by a witness of the trust file, or by a key given with --vkey.
    Ask after a release, before the log goes on: only a cosignature of the released head counts.
    Exit code 3: not every witness signed; what the others signed is kept.
    """
    endpoints = [WitnessEndpoint(url) for url in witness]
    path = trust or Settings.load().trust
    believed = None if path is None else load_trust(path)
    keys = _keys(vkey or [], believed)
    log = read_signed_log(run, believed)
    try_run(log.folder)
    signed = log.heads[-1]
    made, silent = _ask_all(log, signed, endpoints, keys)
    value = {
        "format": "provenance-cosign/1",
        "seq": signed.seq,
        "size": signed.head.size,
        "cosigned": made,
        "refused": silent,
    }
    lines = [f"{one['witness']} signed head {signed.seq} at {one['time']}" for one in made]
    result(value, json, "\n".join(lines) or f"no witness signed head {signed.seq}")
    if silent:
        raise typer.Exit(_SOME_DID_NOT)


def _keys(given: list[str], trust: Trust | None) -> list[WitnessKey]:
    """The keys whose cosignatures are kept: those given, and those of the trust file."""
    keys = [WitnessKey.parse(text) for text in given]
    if trust is not None and trust.witnesses is not None:
        keys += trust.witnesses.keys
    if not keys:
        raise ConfigError(
            "no witness's key is known",
            expected="witnesses in the trust file, or --vkey",
            hint="whoever runs the witness tells its key (vkey)",
        )
    return list(dict.fromkeys(keys))


def _ask_all(
    log: SignedLog, signed: SignedHead, endpoints: list[WitnessEndpoint], keys: list[WitnessKey]
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """What each witness signed, which is kept at once, and why others did not."""
    made, silent = [], []
    checkpoint = Note.parse(log.note(signed).encode())
    for endpoint in endpoints:
        latest = int(time.time()) + MAX_AHEAD_S
        try:
            found = ask_for(endpoint.ask, checkpoint, log.tree, keys, latest)
        except ProvenanceError as error:
            note(str(error) if error.where else f"{endpoint.shown}: {error}")
            silent.append({"url": endpoint.shown, "error": error.to_json()})
            continue
        for one in found:
            keep(log.folder.cosignatures, CosignedHead(signed.head, one))
            made.append(_told(one, endpoint))
    return made, silent


def _told(one: Cosignature, endpoint: WitnessEndpoint) -> dict[str, str]:
    moment = datetime.datetime.fromtimestamp(one.time, datetime.UTC)
    return {
        "witness": visible(one.witness.name),
        "time": show_time(moment),
        "url": endpoint.shown,
    }
