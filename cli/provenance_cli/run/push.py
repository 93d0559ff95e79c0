"""`provenance push`: hand a run's evidence to a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.layout import RunFolder
from provenance.text.shown import visible
from provenance_cli.options import Json, RunDir, TokenFile
from provenance_cli.output import result, working

if TYPE_CHECKING:
    from provenance.push.sending import Sent
    from provenance.push.service import Checked

push_app = typer.Typer(add_completion=False, help="Hand a run's evidence to a service.")
_DISAGREES = 1
_SHOWN = 5


@push_app.command()
def push(
    run: RunDir,
    server: Annotated[
        str, typer.Option(envvar="PROVENANCE_SERVER", metavar="URL", help="URL of the service.")
    ],
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Send a service what it lacks of a run: records, heads, proofs and keys.

    Records are sent as the journal has them: digests of what was trained on, and the configuration
    with the paths that stand in it. Contents of the dataset, salts, blindings and weights are not
    sent. Given again, it sends only what is new. The journal here stays the truth. The service
    checks each piece, and at the end compares the whole with itself and with the chain; that is no
    verdict. Exit code 1: something that was sent contradicts itself or the chain, or is not shown.
    """
    from provenance.log.run_log import run_id_of
    from provenance.push.sending import hand_over
    from provenance.push.service import PushService
    from provenance_cli.jobs.meanwhile import token_of

    folder = RunFolder(run).require()
    run_id = run_id_of(folder)
    service = PushService(server, run_id, token_of(token_file))
    try:
        with working("push") as progress:
            sent, checked = hand_over(folder, service, progress)
    finally:
        service.close()
    value = {
        "format": "provenance-push/1",
        "run_id": str(run_id),
        "server": service.shown,
        "page": f"{service.url}/runs/{run_id}",
        "records": sent.records,
        "new_records": sent.new_records,
        "files": sent.files,
        "new_files": sent.new_files,
        "bytes_sent": sent.bytes,
        "not_sent": [visible(name) for name in sent.kept],
        "anchored": checked.anchored,
        "faults": list(checked.faults),
    }
    result(value, json, "\n".join(_lines(value, sent, checked)))
    if checked.faults:
        raise typer.Exit(_DISAGREES)


def _lines(value: dict[str, Any], sent: Sent, checked: Checked) -> list[str]:
    rest = sent.records - checked.anchored
    return [
        f"{sent.records} records ({sent.new_records} new) and {sent.files} files "
        f"({len(sent.new_files)} new or changed) at {value['server']}",
        f"the service compared records, {checked.heads} heads and the chain: "
        + (f"{len(checked.faults)} faults" if checked.faults else "nothing contradicts"),
        *(visible(fault) for fault in checked.faults),
        f"{checked.anchored} of the records are anchored and final"
        + (f", {rest} not yet" if rest > 0 else ""),
        *_kept(sent.kept),
        value["page"],
    ]


def _kept(names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"stays here: {visible(', '.join(names[:_SHOWN]))}{more}"]
