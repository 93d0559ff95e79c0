"""`provenance proof`: what a proof or statement file shows to somebody who has nothing else, and
its form for other verifiers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.ids import DatasetId
from provenance_cli.judge.verdict_text import WORST_FIRST, proof_verdict_text, proof_verdicts_json
from provenance_cli.options import ExecutorOption, Json
from provenance_cli.output import note

proof_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check or export a proof or statement file as a third party.",
)


@proof_app.callback()
def _root() -> None:
    """Check or export a proof or statement file as a third party."""


@proof_app.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE..", help="provenance-statement/1 or provenance-proof/1 files."
        ),
    ],
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust", help="Trust file (default: PROVENANCE_TRUST, configuration folder)."
        ),
    ] = None,
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", metavar="FOLDER", help="Folder of verifying keys; repeatable."),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="0x..", help="The dataset asked about: its root."),
    ] = None,
    depth: Annotated[int | None, typer.Option("--depth", metavar="N", help="Its depth.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", help="How many records it has.")
    ] = None,
    dataset_id: Annotated[
        str | None,
        typer.Option("--dataset-id", metavar="0x..", help="Or its registration on chain."),
    ] = None,
    sorted_folder: Annotated[
        Path | None,
        typer.Option("--sorted", metavar="FOLDER", help="Sorted proofs (else the chain's)."),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="In pure Python: about a second a proof.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check proof files against pinned keys and a known dataset; the exit code is that of the worst
    verdict.
    """
    from provenance.judgement.trust import load_trust
    from provenance.settings import Settings
    from provenance_cli.judge.asked_dataset import engine_for, named_dataset
    from provenance_zk.audits.proof_check import KeyFolders, ProofJudge
    from provenance_zk.audits.sorted_folder import SortedFolder
    from provenance_zk.audits.sorted_proofs import FOLDER, chunk_files

    settings = Settings.load()
    trusted = load_trust(trust or settings.trust)
    named, on_chain = named_dataset(settings, trusted, (root, depth, count), dataset_id)
    folder = (
        sorted_folder / FOLDER
        if sorted_folder is not None and (sorted_folder / FOLDER).is_dir()
        else sorted_folder
    )
    chunks = list(chunk_files(folder)) if folder is not None else []
    engine = engine_for(settings, slow, len(files) + len(chunks))
    beside = [path.parent for path in files] + ([folder] if folder is not None else [])
    folders = KeyFolders(tuple(dict.fromkeys([*(keys or []), *beside])), settings.cache / "keys")
    lone = ProofJudge(trusted, engine, folders, named, on_chain)
    judge = (
        ProofJudge(trusted, engine, folders, named, SortedFolder(chunks, lone))
        if folder is not None
        else lone
    )
    verdicts = [judge.judge(path) for path in files]
    worst = min(verdicts, key=lambda v: WORST_FIRST.index(v.status))
    text = "\n".join(proof_verdict_text(v) for v in verdicts)
    print(proof_verdicts_json(verdicts, worst) if as_json else text)
    raise typer.Exit(worst.exit_code)


@proof_app.command()
def submit(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE..", help="provenance-statement/1 files of one dataset."),
    ],
    dataset_id: Annotated[
        str,
        typer.Option("--dataset-id", metavar="0x..", help="The dataset's registration on chain."),
    ],
    key: Annotated[
        str, typer.Option("--key", help="Name of the signing key: it pays, and shows nothing.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Have the deployed contract of audits check statement files.

    Anybody may; what it knows already is not sent again.

    Proofs of absence wait for the dataset's sorted set, whose files may be submitted in the same
    call. The digest becomes public for good. Ends when all is final.
    """
    from provenance.chain.session import Session
    from provenance.settings import Settings
    from provenance_cli.output import result, stage
    from provenance_zk.audits.statement_file import Statement
    from provenance_zk.audits.submission import submit_statements
    from provenance_zk.field import parse_word

    wanted = DatasetId(parse_word(dataset_id, "--dataset-id").to_bytes(32, "big"))
    statements = [(path, Statement.load(path)) for path in files]
    session = Session(Settings.load(), key, note)
    with stage("submit") as progress:
        outcomes = submit_statements(statements, wanted, session, session.deployment.keys, progress)
    value = {
        "format": "provenance-submitted/1",
        "dataset_id": f"0x{wanted.hex()}",
        "contract": session.deployment.audits,
        "statements": [outcome.to_json() for outcome in outcomes],
    }
    result(
        value,
        as_json,
        "\n".join(
            [
                *(outcome.line() for outcome in outcomes),
                f"contract of audits {session.deployment.audits}",
            ]
        ),
    )


@proof_app.command("open")
def open_(
    run: Annotated[Path, typer.Argument(help="Run folder with its weights.")],
    nonce: Annotated[
        str, typer.Option("--nonce", metavar="0x..", help="32 bytes that the verifier chose.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the openings go; public.")
    ],
    draws: Annotated[int, typer.Option(min=2, max=1 << 16, help="Blocks drawn in all.")] = 459,
    executor: ExecutorOption = "local",
    key: Annotated[str, typer.Option("--key", help="Name of the signing key.")] = "default",
    as_json: Json = False,
) -> None:
    """Open sampled blocks of a run's merge and quantization at a nonce that a verifier demands.

    `verify --openings` checks what comes of it.
    """
    from provenance.chain.session import Session
    from provenance.digest import Digest
    from provenance.settings import Settings
    from provenance_cli.output import result, stage
    from provenance_cli.outputs import try_folder
    from provenance_cli.wiring import inspector_for
    from provenance_zk.weights.run_proofs import WeightProver
    from provenance_zk.workers.executors import opened as open_prover

    try_folder(out, "--out")
    settings = Settings.load()
    session = Session(settings, key, note)
    with open_prover(settings, executor) as workers, stage("open") as progress:
        cache, inspector = settings.cache / "keys", inspector_for()
        owner = WeightProver(session, *workers, cache, inspector, progress)
        value = owner.open(run, bytes(Digest.parse(nonce)), draws, out)
    result(
        value,
        as_json,
        f"{', '.join(f'{count} {name} proofs' for name, count in value['proofs'].items())} in "
        f"{out}",
    )


@proof_app.command()
def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PROOF", help="A provenance-proof/1 or provenance-statement/1 file."
        ),
    ],
    snarkjs: Annotated[
        Path,
        typer.Option(
            "--snarkjs", metavar="OUT", help="Folder to write key, proof and public inputs to."
        ),
    ],
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", metavar="FOLDER", help="Folder of verifying keys; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a proof with its key as snarkjs reads them; checks neither.

    The exported key belongs to this proof alone.
    """
    from provenance.layout import write_json
    from provenance.settings import Settings
    from provenance_cli.output import result
    from provenance_cli.outputs import try_folder
    from provenance_zk.audits.proof_check import KeyFolders, parse_file
    from provenance_zk.audits.statement_file import read_small
    from provenance_zk.groth16.snarkjs import export as export_files

    try_folder(snarkjs, "--snarkjs")
    _, proof = parse_file(read_small(file), file)
    folders = KeyFolders((*(keys or []), file.parent), Settings.load().cache / "keys")
    files = export_files(folders.words(proof.vk_id), proof)
    for name, value in files.items():
        write_json(snarkjs / name, value)
    if proof.commitments:
        note(
            "snarkjs sees the main equation only: knowledge of the commitments, without which "
            "this proof shows nothing, is not exported"
        )
    paths = [str(snarkjs / name) for name in files]
    result(
        {"format": "provenance-proof-export/1", "vkId": f"0x{proof.vk_id.hex()}", "files": paths},
        as_json,
        "\n".join(paths),
    )
