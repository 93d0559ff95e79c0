"""`provenance keys ceremony`: make a proving key together (docs/formats/ceremony.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from provenance.ids import bare_digits
from provenance_cli.options import Json
from provenance_cli.output import fields, note, result, working
from provenance_cli.setup.key_facts import Depth, Kind, Slots, describe, prover_of

ceremony = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make a proving key with several parties, or verify how one was made.",
)
_Transcript = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the transcript.")]
_Minimum = Annotated[
    int,
    typer.Option("--min", metavar="K", min=2, help="Least number of contributions in each phase."),
]


def _print(value: dict[str, Any], as_json: bool, following: str) -> None:
    """Print the fields, and what is to be done next."""
    result(value, as_json, f"{fields(value)}\n{following}")


@ceremony.command()
def begin(
    folder: _Transcript, kind: Kind, slots: Slots, depth: Depth = 0, as_json: Json = False
) -> None:
    """Coordinator: start a ceremony for one circuit in the new folder DIR."""
    from provenance.settings import Settings
    from provenance_cli.outputs import try_folder

    try_folder(folder, "DIR")
    with working("begin"):
        made = prover_of(Settings.load()).ceremony(
            "begin", kind=kind, slots=slots, depth=depth, dir=folder
        )
    value = {
        "format": "provenance-ceremony-begun/1",
        "circuit": made["circuitDigest"],
        "folder": str(folder),
    }
    _print(
        value,
        as_json,
        f"next: send {folder / 'phase1-000.bin'} to the first contributor, who runs\n"
        "      provenance keys ceremony contribute phase1-000.bin --name NAME --out phase1-001.bin",
    )


@ceremony.command()
def contribute(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="State file that the coordinator sent you.")
    ],
    name: Annotated[str, typer.Option(help="Your name, which becomes public in the transcript.")],
    out: Annotated[Path, typer.Option(help="State file to write; it must not exist.")],
    as_json: Json = False,
) -> None:
    """Contributor: add secrets of your own to a state file.

    The secrets are drawn by this command, and exist only in its memory.
    """
    from provenance.settings import Settings
    from provenance_cli.outputs import try_file

    try_file(out, "--out")
    with working("contribute"):
        receipt = prover_of(Settings.load()).ceremony(
            "contribute", **{"in": file}, out=out, name=name
        )
    value = {"format": "provenance-ceremony-receipt/1", **receipt, "file": str(out)}
    _print(
        value,
        as_json,
        f"next: send {out} to the coordinator, and publish its SHA-256 where people know you.\n"
        "      Anyone can then check that the transcript has your contribution (verify --attested)",
    )


@ceremony.command()
def accept(
    folder: _Transcript,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="State file that a contributor sent you.")
    ],
    as_json: Json = False,
) -> None:
    """Coordinator: verify a contribution and add it to the transcript."""
    from provenance.settings import Settings

    with working("accept"):
        receipt = prover_of(Settings.load()).ceremony("accept", dir=folder, file=file)
    phase, index = receipt["phase"], receipt["index"]
    value = {"format": "provenance-ceremony-accepted/1", **receipt}
    _print(
        value,
        as_json,
        f"next: send {folder / f'phase{phase}-{index:03}.bin'} to the next contributor.\n"
        f"      After the last one, close phase {phase} with a beacon that is published later than "
        "now\n      (provenance keys ceremony seal)",
    )


@ceremony.command()
def seal(
    folder: _Transcript,
    beacon: Annotated[
        str,
        typer.Option(metavar="HEX", help="32 bytes that nobody knew before the last contribution."),
    ],
    source: Annotated[
        str,
        typer.Option(
            help="Where anyone can look the beacon up, such as a block's hash or a drand round."
        ),
    ],
    minimum: _Minimum,
    as_json: Json = False,
) -> None:
    """Coordinator: verify the open phase and close it with a public beacon.

    When phase 2 is closed, the key is made and stored in the cache.
    """
    from provenance.settings import Settings
    from provenance_cli.outputs import try_folder
    from provenance_zk.prover.keys import load_key

    settings = Settings.load()
    try_folder(settings.cache, "PROVENANCE_CACHE")
    value = bare_digits(beacon)
    with working("seal"):
        sealed = prover_of(settings).ceremony(
            "seal",
            dir=folder,
            minimum=minimum,
            beacon={"value": value, "source": source},
            cache=settings.cache / "keys",
        )
    if sealed["closed"] == 1:
        _print(
            {"format": "provenance-ceremony-sealed/1", "closed": 1, "folder": str(folder)},
            as_json,
            f"next: phase 2 begins. Send {folder / 'phase2-000.bin'} to its first contributor",
        )
        return
    described = describe(load_key(Path(sealed["key"])))
    _print(
        {**described, "format": "provenance-ceremony-sealed/1", "closed": 2},
        as_json,
        f"next: publish {folder}. Others run: provenance keys ceremony verify {folder} --min "
        f"{minimum} --store",
    )


@ceremony.command()
def verify(
    folder: _Transcript,
    minimum: _Minimum,
    attested: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHA256",
            help="SHA-256 of a contribution that must be there, by somebody you trust; repeatable. "
            "Each phase needs one.",
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Folder of a key that must be the transcript's.")
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Write the transcript's key into the cache.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recompute a closed ceremony from its files, and say which key it makes.

    The command cannot check the beacons: look them up at their sources. It says which phase has no
    attested contribution.
    """
    from provenance.settings import Settings
    from provenance_cli.outputs import try_folder

    settings = Settings.load()
    request: dict[str, Any] = {
        "dir": folder,
        "minimum": minimum,
        "attested": [a.removeprefix("sha256:") for a in attested or []],
    }
    if key is not None:
        request["key"] = key
    if store:
        try_folder(settings.cache, "PROVENANCE_CACHE")
        request["cache"] = settings.cache / "keys"
    with working("verify"):
        checked = prover_of(settings).ceremony("verify", **request)
    manifest = checked["manifest"]
    phases = (manifest["phase1"], manifest["phase2"])
    facts = {
        "format": "provenance-ceremony-verified/1",
        "transcript": checked["transcript"],
        "vk_id": checked["vkId"],
        "kind": manifest["kind"],
        "slots": manifest["slots"],
        "depth": manifest["depth"],
        "circuit": manifest["circuitDigest"],
        "path": checked.get("key"),
    }
    for line in _unattested(checked["attested"]):
        note(line)
    if as_json:
        names = [[c["name"] for c in phase["contributions"]] for phase in phases]
        result(
            {
                **facts,
                "contributions": names,
                "attested": checked["attested"],
                "beacons": [phase["beacon"] for phase in phases],
            },
            True,
            "",
        )
    else:
        _print(facts, False, "\n".join(_phase_lines(phases)))


def _unattested(counts: list[int]) -> list[str]:
    """Say in words what a phase without an attested contribution means."""
    return [
        f"phase {number} has no attested contribution: for all that you attested, one person may "
        "have made all of this phase, and can then forge proofs (--attested SHA256 of a "
        f"phase{number}-NNN.bin whose maker you trust)"
        for number, count in enumerate(counts, 1)
        if count == 0
    ]


def _phase_lines(phases: tuple[dict[str, Any], ...]) -> list[str]:
    lines = []
    for number, phase in enumerate(phases, 1):
        lines.append(
            f"{f'phase {number}':12}  {', '.join(c['name'] for c in phase['contributions'])}"
        )
        lines.append(
            f"{f'beacon {number}':12}  {phase['beacon']['value']}  {phase['beacon']['source']}"
        )
    return [
        *lines,
        "next: look both beacons up at their sources, and ask the contributors you know "
        "whether they took part",
    ]
