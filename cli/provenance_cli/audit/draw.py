"""`provenance audit draw`: the segments that a block drew after the training had ended."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance.log.audit.draw import drawn
from provenance_cli.audit.subject import OnChain, Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.judge.question import segments_wanted
from provenance_cli.options import Json, RunDir
from provenance_cli.output import result


def draw(
    run: RunDir,
    segments: Annotated[
        str, typer.Option(metavar="N|all", help="How many segments to draw.")
    ] = "1",
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Say which segments of RUN a block drew after its training had ended on chain.

    Nobody could know them before, and nobody can draw others: the block is the second one after
    that of the first head with the end of the training. Nothing is sent.
    """
    subject = Subject.read(run)
    wanted = segments_wanted(segments, "--segments")
    count = len(subject.segments)
    found = OnChain.of(subject, trust).draw(subject)
    numbers = drawn(count, count if wanted is None else wanted, found.nonce)
    value = {
        "format": "provenance-draw/1",
        "run_id": str(subject.run_id),
        "segments": count,
        "closed_in_block": found.head.block_number,
        "block": found.block,
        "nonce": str(found.nonce),
        "drawn": numbers,
    }
    lines = [
        f"block {found.block} drew {len(numbers)} of {count} segments; the training had ended on "
        f"chain in block {found.head.block_number}",
        *(f"segment {n}: {subject.segments[n]}" for n in numbers),
        f"nonce {found.nonce}",
    ]
    result(value, json, "\n".join(lines))
